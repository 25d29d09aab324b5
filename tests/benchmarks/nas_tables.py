"""Search architectures on tables: the controller against random search, and inherited ranks against true ones.

    python tests/benchmarks/nas_tables.py TABLE.parquet=TARGET … [--rows 4000] [--children 40] [--epochs 6] [--seeds 5]

Each child is trained from scratch on the first of five folds of a sample of rows, for the same number of epochs, and
scored on the rest of it at its best; neither way begins with the portfolio. Prints the best score and the mean of the
last half. Then, for as many children at random, Spearman's correlation of what they score after a quarter of the
epochs, from scratch and with weights inherited from the best three of eight others, with what they score from scratch
after all.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from nas_closed_form import Score, at_random, by_controller
from scipy.stats import spearmanr

from stacktune.data.dataset import load_dataset
from stacktune.data.folds import make_folds
from stacktune.families.base import Cache, Compute, Job
from stacktune.families.registry import get_family
from stacktune.metrics import Metric, get_metric
from stacktune.search.nas.children import child_space, random_child
from stacktune.search.nas.source import N_DONORS
from stacktune.search.space import load_space
from stacktune.settings.read import load_settings
from stacktune.trials.fold_fit import FoldFit
from stacktune.trials.scoring import part_score

N_OTHERS = 8


@dataclass(frozen=True)
class Ground:
    """A table on whose first fold children are trained. metric: the task's own."""

    name: str
    job: Job
    metric: Metric

    def trained(self, config: dict, n_epochs: int, bank: list[Path], folder: Path | None = None) -> float:
        """Return a child's best score after so many epochs; keep its model in `folder`."""
        fit = FoldFit(get_family("nas"), config, self.job, self.metric)
        if bank:
            fit.learner.warm_start(bank)
        fit.grow_to(n_epochs)
        if folder is not None:
            folder.mkdir()
            fit.learner.save(folder)
        job = self.job
        return part_score(self.metric, job.task, job.table, job.valid, fit.predictions)


def ground(path: str, target: str, n_rows: int, seed: int) -> Ground:
    """Read a table."""
    dataset, _ = load_dataset(load_settings({"data": path, "target": target, "sample_rows": n_rows, "seed": seed}))
    folds = make_folds(dataset.table, dataset.task, 5, seed)
    rows, valid = folds.train_rows(0), folds.valid_rows(0)
    job = Job(dataset.table, dataset.task, rows, valid, "fold0", seed=seed, compute=Compute(1), cache=Cache())
    return Ground(Path(path).stem, job, get_metric(None, dataset.task.kind))


def searched(path: str, target: str, args: argparse.Namespace, seed: int) -> list[dict[str, object]]:
    """Return what each way to search found."""
    place = ground(path, target, args.rows, seed)
    score: Score = partial(place.trained, n_epochs=args.epochs, bank=[])
    rows = []
    for name, search in (("controller", by_controller), ("random", at_random)):
        scores = search(score, args.children, seed)
        best, late = max(scores), float(np.mean(scores[len(scores) // 2 :]))
        shown = {"best": place.metric.shown(best), "late": place.metric.shown(late)}
        rows.append({"table": place.name, "search": name, **shown})
    return rows


def ranked(path: str, target: str, args: argparse.Namespace, seed: int) -> dict[str, object]:
    """Return how well scores after a quarter of the epochs tell those after all."""
    place, rng = ground(path, target, args.rows, seed), np.random.default_rng((seed, 4))
    space, early = child_space(load_space("nas").domains), max(1, args.epochs // 4)
    with TemporaryDirectory() as name:
        others = {Path(name, str(number)): random_child(space, rng) for number in range(N_OTHERS)}
        known = {folder: place.trained(config, args.epochs, [], folder) for folder, config in others.items()}
        bank = sorted(known, key=known.get, reverse=True)[:N_DONORS]
        children = [random_child(space, rng) for _ in range(args.children)]
        true = [place.trained(config, args.epochs, []) for config in children]
        scratch = [place.trained(config, early, []) for config in children]
        inherited = [place.trained(config, early, bank) for config in children]
    told = {"scratch": spearmanr(scratch, true).statistic, "inherited": spearmanr(inherited, true).statistic}
    return {"table": place.name, **told}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--children", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cpus", type=int, default=2)
    args = parser.parse_args()
    runs = [(*table.rsplit("=", 1), args, seed) for table in args.tables for seed in range(args.seeds)]
    with ProcessPoolExecutor(args.cpus) as pool:
        found = [pool.submit(searched, *run) for run in runs]
        told = [pool.submit(ranked, *run) for run in runs]
        frame = pd.DataFrame([row for future in found for row in future.result()])
        print(frame.groupby(["table", "search"]).agg(["mean", "std"]).to_string(float_format="%.4f"), flush=True)
        ranks = pd.DataFrame([future.result() for future in told])
        print(ranks.groupby("table").agg(["mean", "std"]).round(2).to_string())


if __name__ == "__main__":
    main()
