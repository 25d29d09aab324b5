"""Which rows are trained on and which are validated, fold by fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.table import Table, Task
from pipeline.errors import DataError
from pipeline.seeds import derive_seed


@dataclass(frozen=True)
class Folds:
    """assignment: (n_rows,) int8, the fold in which each row is validated, 0 … n_folds-1."""

    assignment: np.ndarray
    n_folds: int

    def train_rows(self, fold: int) -> np.ndarray:
        """Return the ascending int64 positions of the rows that fold `fold` trains on."""
        return np.flatnonzero(self.assignment != fold)

    def valid_rows(self, fold: int) -> np.ndarray:
        """Return the ascending int64 positions of the rows that fold `fold` holds out."""
        return np.flatnonzero(self.assignment == fold)


def shuffled_by_class(target: np.ndarray, task: Task, seed: int) -> np.ndarray:
    """Return the row positions in a random order, for classification with the rows of a class together."""
    order = np.random.default_rng(seed).permutation(len(target))
    return order[np.argsort(target[order], kind="stable")] if task.is_classification else order


def make_folds(table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    """Return folds whose sizes, and for classification whose rows of each class, differ by one at most.

    Raises DataError when there are fewer rows than folds.
    """
    if table.n_rows < n_folds:
        raise DataError(f"{n_folds} folds need at least {n_folds} rows, but the table has {table.n_rows}.")
    assignment = np.empty(table.n_rows, dtype=np.int8)
    order = shuffled_by_class(table.target, task, derive_seed(seed, "folds"))
    # Dealt out like cards, class after class, every fold gets its share of each class and of all rows.
    assignment[order] = np.arange(table.n_rows) % n_folds
    return Folds(assignment, n_folds)


def held_out_rows(target: np.ndarray, task: Task, share: float, seed: int) -> np.ndarray:
    """Return (n_rows,) bool: a seeded `share` of the rows, for classification the same share of each class (to one)."""
    steps = np.floor(np.arange(len(target) + 1) * share + 0.5)
    chosen = np.empty(len(target), dtype=bool)
    chosen[shuffled_by_class(target, task, derive_seed(seed, "test"))] = np.diff(steps) > 0
    return chosen
