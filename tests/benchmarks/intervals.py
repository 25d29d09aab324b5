"""Measure what intervals hold of rows that were split off, and how wide they are: a line a table.

    python tests/benchmarks/intervals.py DATA/diamonds.parquet:price DATA/ames_housing.parquet:Sale_Price [--rows 4000]

Each table is split by seed: `--rows` to learn from, up to ten times as many to judge on, `--splits` times over. Models
are the first of each family's portfolio; the leader is what the leaderboard of five folds has on top, ensembles too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from in_process import Fitted, fit
from rich.console import Console
from rich.table import Table

from stacktune.ensemble.interval import Held, fit_interval, held_by, held_out_of_fold
from stacktune.ensemble.out_of_fold import honest_predictions, trials_behind
from stacktune.trials.result import load_oof

FAMILIES = ("lightgbm", "linear", "extra_trees")
MOST_TEST_ROWS = 10


def measured(fitted: Fitted, level: float) -> tuple[Held, Held, float]:
    """Return what intervals hold out of fold and of the test rows, and how wide one width for all rows would be."""
    row, table, folds, loss = fitted.board.leader, fitted.dataset.table, fitted.problem.folds, fitted.problem.task.loss
    trials = {result.trial_id: result for result in fitted.results}
    honest = honest_predictions(row, {name: load_oof(trials[name]) for name in trials_behind(row)}, folds)[:, 0]
    interval = fit_interval(honest, table.labels, table.weight, level, loss)
    said = fitted.leader.predict_table(fitted.test)[:, 0]
    alike = 2 * float(np.quantile(np.abs(table.labels - honest), level))
    return (
        held_out_of_fold(honest, table.labels, table.weight, folds, level, loss),
        held_by(interval, said, fitted.test.labels, fitted.test.weight),
        alike,
    )


def part(path: str, n_rows: int, seed: int) -> pd.DataFrame:
    """Return random rows: `n_rows` to learn from, and behind them those to judge on."""
    frame = pd.read_parquet(path)
    return frame.sample(n=min(len(frame), (1 + MOST_TEST_ROWS) * n_rows), random_state=seed).reset_index(drop=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", metavar="PATH:TARGET")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--level", type=float, default=0.9)
    asked = parser.parse_args()
    shown = Table(
        "table", "rows", "test rows", "leader", "out of fold", "test", "mean width", "one width", "std of target"
    )
    for one in asked.tables:
        path, _, target = one.rpartition(":")
        for seed in range(asked.splits):
            frame = part(path, asked.rows, seed)
            n_learnt = min(asked.rows, len(frame) * 2 // 3)
            with TemporaryDirectory() as folder:
                test = Path(folder) / "test.parquet"
                frame[n_learnt:].to_parquet(test)
                fitted = fit(
                    frame[:n_learnt], target, Path(folder), FAMILIES, test_data=str(test), task="regression", n_folds=5
                )
                out_of_fold, on_test, alike = measured(fitted, asked.level)
            figures = (out_of_fold.coverage, on_test.coverage, on_test.width, alike, fitted.test.labels.std())
            cells = [f"{value:.3f}" for value in figures[:2]] + [f"{value:.4g}" for value in figures[2:]]
            shown.add_row(Path(path).stem, f"{n_learnt:,}", f"{on_test.n_rows:,}", fitted.board.leader.name, *cells)
    Console(width=150).print(shown)


if __name__ == "__main__":
    main()
