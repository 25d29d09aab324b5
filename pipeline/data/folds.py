"""Which rows are trained on and which are validated, fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.data.duplicates import first_rows
from pipeline.data.table import Table, Task
from pipeline.errors import DataError
from pipeline.seeds import derive_seed

FEWEST_FOLDS = 2
# A plain holdout: its share of the rows, and the number of rows that say enough.
HOLDOUT_SHARE, LEAST_HOLDOUT_SHARE, ENOUGH_HELD_OUT = 0.2, 0.05, 50_000
N_BLOCKS = 5
# A row whose copies fill more than this share of a fold is not a mishap.
MOST_COPIES_SHARE = 0.1


@dataclass(frozen=True)
class Folds:
    """Either K folds, each held out once, or a single holdout.

    assignment: (n_rows,) int8, the fold in which each row is validated, 0 … n_folds-1; -1 for rows that never are.
    blocks: (n_rows,) int8, the parts in which held-out predictions are judged, so that there is a spread and ensembles
        can be learnt on some and scored on others: the folds themselves, or parts of a holdout; -1 as above.
    """

    assignment: np.ndarray
    n_folds: int
    blocks: np.ndarray
    n_blocks: int

    def train_rows(self, fold: int) -> np.ndarray:
        """Return the ascending int64 positions of the rows that fold `fold` trains on."""
        return np.flatnonzero(self.assignment != fold)

    def valid_rows(self, fold: int) -> np.ndarray:
        """Return the ascending int64 positions of the rows that fold `fold` holds out."""
        return np.flatnonzero(self.assignment == fold)

    @cached_property
    def judged_rows(self) -> np.ndarray:
        """The ascending int64 positions of the rows that are held out at all."""
        return np.flatnonzero(self.blocks >= 0)

    def block_rows(self, block: int) -> np.ndarray:
        """Return the ascending int64 positions of the rows of block `block`."""
        return np.flatnonzero(self.blocks == block)

    def other_block_rows(self, block: int) -> np.ndarray:
        """Return the ascending int64 positions of the rows that are judged in other blocks."""
        return np.flatnonzero((self.blocks >= 0) & (self.blocks != block))


def shuffled_by_class(target: np.ndarray, task: Task, seed: int) -> np.ndarray:
    """Return the row positions in a random order, for classification with the rows of a class together."""
    order = np.random.default_rng(seed).permutation(len(target))
    return order[np.argsort(target[order], kind="stable")] if task.is_classification else order


def make_folds(table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    """Return folds whose sizes, and for classification whose rows of each class, differ by one at most.

    n_folds: 1 for a holdout of a fifth of the rows, or of fewer where these are plenty.
    Copies of a row stay in its fold, which costs some of that evenness, lest a model be judged on what it has learnt by
    heart; but not where a row repeats so often that folds would be lopsided: there, rows repeat by their nature.

    Raises DataError when there are fewer rows than folds, or than blocks of a holdout.
    """
    n_parts = N_BLOCKS if n_folds == 1 else n_folds
    if table.n_rows < n_parts:
        raise DataError(f"{n_parts} folds need at least {n_parts} rows, but the table has {table.n_rows}.")
    if n_folds == 1:
        return _holdout(table, task, seed)
    assignment = _with_copies(deal(table.target, task, n_folds, derive_seed(seed, "folds")), table, task)
    return Folds(assignment, n_folds, assignment, n_folds)


def deal(target: np.ndarray, task: Task, n_parts: int, seed: int) -> np.ndarray:
    """Deal rows out like cards, class after class; return the (n_rows,) int8 part of each.

    So every part has its share of each class and of all rows.
    """
    parts = np.empty(len(target), dtype=np.int8)
    parts[shuffled_by_class(target, task, seed)] = np.arange(len(target)) % n_parts
    return parts


def _with_copies(parts: np.ndarray, table: Table, task: Task) -> np.ndarray:
    """Return (n_rows,) parts with copies of a row in its part, where that leaves the parts much as they are."""
    first = first_rows(table)
    n_parts = int(parts.max()) + 1
    most_often = np.bincount(first).max()
    together = parts[first]
    if most_often > MOST_COPIES_SHARE * table.n_rows / n_parts:
        return parts
    classes = table.target if task.is_classification else np.zeros(table.n_rows, dtype=np.int64)
    before, after = (np.unique(classes * n_parts + chosen) for chosen in (parts, together))
    return together if np.array_equal(before, after) else parts


def _holdout(table: Table, task: Task, seed: int) -> Folds:
    share = min(HOLDOUT_SHARE, max(LEAST_HOLDOUT_SHARE, ENOUGH_HELD_OUT / table.n_rows))
    seed = derive_seed(seed, "folds")
    held_out = _with_copies(held_out_rows(table.target, task, share, seed).astype(np.int8), table, task) > 0
    blocks = np.full(table.n_rows, -1, dtype=np.int8)
    blocks[held_out] = deal(table.target[held_out], task, N_BLOCKS, derive_seed(seed, "blocks"))
    return Folds(np.where(held_out, 0, -1).astype(np.int8), 1, blocks, N_BLOCKS)


def held_out_rows(target: np.ndarray, task: Task, share: float, seed: int) -> np.ndarray:
    """Return (n_rows,) bool: a seeded `share` of the rows, for classification the same share of each class (to one)."""
    steps = np.floor(np.arange(len(target) + 1) * share + 0.5)
    chosen = np.empty(len(target), dtype=bool)
    chosen[shuffled_by_class(target, task, derive_seed(seed, "test"))] = np.diff(steps) > 0
    return chosen
