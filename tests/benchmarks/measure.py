"""Run stacktune on tables within budgets, and print a table: score on held-out rows, wall clock against the budget.

    python tests/benchmarks/measure.py TRAIN.parquet TEST.parquet --target COLUMN [--metric NAME] [--budgets 30,60,120]
                                       [--cpus 2] [--seed 0]

Without tables it measures on the diabetes and digits tables that ship with scikit-learn, a fifth of each held out.
The wall clock is that of the whole command, from its start to its exit. The last columns say where it went: starting
until the search begins, fitting (processor seconds of trials over cores), what else the search took of the cores (Tune,
processes on their way up, waiting), ensembles, and registering, testing and ending.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Case:
    """One table, split."""

    name: str
    train: Path
    test: Path
    target: str
    metric: str | None


def shipped_cases(folder: Path) -> Iterator[Case]:
    """Yield the tables of scikit-learn that need no download."""
    for name, load in (("diabetes", load_diabetes), ("digits", load_digits)):
        train, test = train_test_split(load(as_frame=True).frame, test_size=0.2, random_state=0)
        paths = [folder / f"{name}-{part}.parquet" for part in ("train", "test")]
        for path, frame in zip(paths, (train, test), strict=True):
            frame.to_parquet(path, index=False)
        yield Case(name, *paths, "target", None)


def measure(case: Case, budget_s: float, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return one row of the printed table."""
    output = folder / f"{case.name}-{budget_s:g}"
    command = [
        *(sys.executable, "-m", "stacktune", "run", case.train, "--target", case.target, "--test-data", case.test),
        *("--time-budget", budget_s, "--cpus", args.cpus, "--seed", args.seed, "--output", output),
        *(("--metric", case.metric) if case.metric else ()),
    ]
    started = time.monotonic()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    wall_s = time.monotonic() - started
    facts = json.loads((output / "run.json").read_text())
    return {
        "table": case.name,
        "budget s": budget_s,
        "wall s": round(wall_s, 1),
        "metric": facts["metric"],
        "test": facts["test_score"],
        "cv": facts["cv_score"],
        "leader": facts["leader"],
        "done/stopped/failed": f"{facts['n_completed']}/{facts['n_stopped']}/{facts['n_failed']}",
        "cores busy": round(facts["fit_cpu_s"] / facts["wall_s"] / args.cpus, 2),
        **_shares(facts, wall_s, args.cpus),
    }


def _shares(facts: dict[str, Any], wall_s: float, n_cpus: int) -> dict[str, str]:
    """Return what share of the run's core-seconds each part of it had."""
    began = facts["phase_began_s"]
    fitting = facts["fit_cpu_s"] / n_cpus
    seconds = {
        "start": began["searching"],
        "fit": fitting,
        "search besides": began["stacking"] - began["searching"] - fitting,
        "ensembles": began["registering"] - began["stacking"],
        "end": wall_s - began["registering"],
    }
    return {f"{part} %": f"{100 * of_part / wall_s:.1f}" for part, of_part in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, nargs="?")
    parser.add_argument("test", type=Path, nargs="?")
    parser.add_argument("--target")
    parser.add_argument("--metric")
    parser.add_argument("--budgets", default="30,60,120", help="seconds, with commas between them")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = [Case(args.train.parent.name, args.train, args.test, args.target, args.metric)] if args.train else None
        rows = [
            measure(case, float(budget_s), args, folder)
            for case in given or shipped_cases(folder)
            for budget_s in args.budgets.split(",")
        ]
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
