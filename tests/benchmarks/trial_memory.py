"""Fit models on made tables, each in a process of its own, and print what they took beside what their family says.

    python tests/benchmarks/trial_memory.py [--families lightgbm,…] [--sizes 100000x50x2,20000x20x100,…] [--seconds 60]

A size is rows x columns x classes, of which 1 is a regression. A fold's four fifths are learnt from, the rest is for
validation. What a process took is its peak beyond what it held with the table before the fit. Where the fit is not
over within --seconds, it has grown as far as it came. The first and the most demanding entry of each portfolio are
fitted.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table, Task
from stacktune.families.base import Cache, Config, FitSize, Job
from stacktune.families.registry import all_families, get_family
from stacktune.metrics import get_metric
from stacktune.search.space import load_space
from stacktune.trials.fold_fit import FoldFit

SIZES = "100000x50x2,500000x20x1,20000x20x100,4000x10x1000,1000x3000x2,20000x1000x2"


def made(n_rows: int, n_columns: int, n_classes: int) -> tuple[Table, Task]:
    """Return numbers of which some tell the target."""
    random = np.random.default_rng(0)
    features = random.standard_normal((n_rows, n_columns), dtype=np.float32)
    signal = features[:, 0] * features[:, 1] + np.sin(3 * features[:, 2]) + random.standard_normal(n_rows)
    names = tuple(f"x{index}" for index in range(n_columns))
    if n_classes == 1:
        return Table(features, names, target=signal.astype(np.float64)), Task(REGRESSION)
    classes = pd.qcut(signal, n_classes, labels=False).astype(np.int32)
    return Table(features, names, target=classes), Task(
        BINARY if n_classes == 2 else MULTICLASS, tuple(map(str, range(n_classes)))
    )


def took(family: str, config: Config, size: tuple[int, int, int], seconds: float) -> tuple[float, float, int]:
    """Return the gigabytes and seconds of one fit, and how far it grew."""
    table, task = made(*size)
    order = np.random.default_rng(0).permutation(table.n_rows)
    valid, rows = np.sort(order[: table.n_rows // 5]), np.sort(order[table.n_rows // 5 :])
    metric = get_metric(None, task.kind)
    get_family(family).start(Job(*made(40, 3, 2), np.arange(30), np.arange(30, 40), "warm"), config).advance(1)
    before, started = psutil.Process().memory_info().rss, time.monotonic()
    fit = FoldFit(get_family(family), config, Job(table, task, rows, valid, "fold0", cache=Cache(2)), metric)
    fit.grow_to(fit.max_units, started + seconds)
    n_units = fit.learner.n_units
    fit.finish()
    with TemporaryDirectory() as folder:
        fit.learner.save(Path(folder))
    fit.learner.predict(table.take(valid[:2000]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return (peak - before) / 1e9, time.monotonic() - started, n_units


def chosen(family: str, fit_size: FitSize) -> list[Config]:
    """Return the first and the most demanding entry of a portfolio."""
    portfolio, n_bytes = load_space(family).portfolio, get_family(family).n_bytes
    most = max(portfolio, key=lambda config: n_bytes(config, fit_size))
    return [portfolio[0]] if most == portfolio[0] else [portfolio[0], most]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(all_families()))
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    for text in args.sizes.split(","):
        size = tuple(map(int, text.split("x")))
        fit_size = FitSize(size[0], size[1], size[2])
        for family in args.families.split(","):
            for config in chosen(family, fit_size):
                said = get_family(family).n_bytes(config, fit_size) / 1e9
                with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                    gigabytes, fit_s, n_units = alone.submit(took, family, config, size, args.seconds).result()
                print(
                    f"{text:16} {family:14} took {gigabytes:6.2f} GB, said {said:6.2f} ({said / gigabytes:5.2f}), "
                    f"{n_units:5} units in {fit_s:5.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
