"""Splits rows into training and validation, by fold.

The problem: scores on held-out rows decide everything, and the dealing decides what they are worth. A fold without a
row of a class has no AUC. Copies of a row on both sides are learnt by heart; yet in tables of few distinct rows, copies
are what new rows will be like, too.

What does not work well: random dealing leaves a class of 20 rows out of some fold. To keep all copies together makes
folds lopsided where a third of the rows are alike, and a class of one kind of row lands in one of them.

The solution: rows are dealt like cards, class after class, with copies as one card. Where a row has so many copies that
they fill a share of a fold (MAX_COPIES_SHARE), rows repeat by nature, and they are dealt one by one. A holdout is as
large as its rarest class needs, and parted into blocks on which ensembles are learnt and scored in turn.

What is guaranteed: folds differ by one row, in all and of each class, but for copies. The same table, seed and number
give the same folds everywhere. What a class of few rows does to scores is said (`fold_notes`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from stacktune.data.duplicates import copies_of
from stacktune.data.grouped import strata_of
from stacktune.data.table import MULTICLASS, Table, Task
from stacktune.errors import DataError
from stacktune.seeds import derive_seed
from stacktune.storage.digests import digest_of_arrays
from stacktune.storage.run_folder import ALL_ROWS

MIN_FOLDS = 2
# A plain holdout: its share of the rows, and the number of rows that say enough.
HOLDOUT_SHARE, MIN_HOLDOUT_SHARE, N_HELD_OUT_WANTED = 0.2, 0.05, 50_000
# Of a rare class so many rows are to be held out, for which half of the rows may be.
MIN_HELD_OUT_OF_A_CLASS, MAX_HOLDOUT_SHARE = 10, 0.5
# Of a single row, whatever is decided at a threshold is all or nothing; more rows, and fewer blocks to learn ensembles
# on, would not make the mean of blocks any surer.
MIN_IN_A_BLOCK = 2
N_BLOCKS, MIN_BLOCKS = 5, 2
# A row whose copies fill more than this share of a fold is not a mishap.
MAX_COPIES_SHARE = 0.1
# With fewer rows of a class the standard error of an AUC of .9 is above .03, which is more than models differ by.
MIN_JUDGED_OF_A_CLASS = 50


@dataclass(frozen=True)
class Folds:
    """K folds, or a single holdout.

    Each fold is held out once, and so is each row unless it is dealt again.

    assignment: (n_rows,) int8, the fold in which each row is validated, 0 … n_folds-1; -1 for rows that never are.
    blocks: (n_rows,) int8, the parts in which held-out predictions are judged, so that there is a spread and ensembles
        can be learnt on some and scored on others: the folds themselves, or parts of a holdout; -1 as above.
    n_learning: of rows in the order of time, (n_rows,) int8: how many folds, from the first on, learn from each; None
        where a fold learns from all rows that it does not hold out.
    moments: (n_rows,) of rows in the order of time. groups: (n_rows,) numbers of groups that stay together.
    again: (n_rows,) int8 assignments each, where rows are dealt more than once: their folds are numbered behind the
        first ones, n_folds counts them all, and a row's out-of-fold prediction is the mean of its predictions.
    refits: whether a model of all rows predicts for a trial though rows are in no order.
    """

    assignment: np.ndarray
    n_folds: int
    blocks: np.ndarray
    n_blocks: int
    n_learning: np.ndarray | None = None
    moments: np.ndarray | None = None
    groups: np.ndarray | None = None
    again: tuple[np.ndarray, ...] = ()
    refits: bool = False

    @property
    def n_repeats(self) -> int:
        """Return how often each judged row is held out."""
        return 1 + len(self.again)

    @property
    def is_ordered(self) -> bool:
        """Return whether models are judged on later rows."""
        return self.n_learning is not None

    @property
    def fits_all_rows(self) -> bool:
        """Return whether trials are also fitted on all rows.

        That model alone predicts for it then. Where rows are in the order of time those of the folds have not seen the
        newest.
        """
        return self.is_ordered or self.refits

    @property
    def models(self) -> tuple[int, ...]:
        """Return the models that predict new rows, by number."""
        return (ALL_ROWS,) if self.fits_all_rows else tuple(range(self.n_folds))

    @property
    def digest(self) -> str:
        """Return the digest of all that tells folds apart."""
        return digest_of_arrays(self.assignment, self.blocks, self.n_learning, *self.again)

    def repeat_of(self, fold: int) -> int:
        """Return in which dealing a fold is."""
        return fold * self.n_repeats // self.n_folds

    def _held_out(self, fold: int) -> np.ndarray:
        """Return (n_rows,) bool: which rows a fold holds out."""
        repeat = self.repeat_of(fold)
        return (self.assignment, *self.again)[repeat] == fold - repeat * (self.n_folds // self.n_repeats)

    def train_rows(self, fold: int) -> np.ndarray:
        """Return the positions that `fold` trains on.

        They are of rows, ascending and int64.
        """
        if self.n_learning is not None:
            return np.flatnonzero(self.n_learning > fold)
        return np.flatnonzero(~self._held_out(fold))

    def valid_rows(self, fold: int) -> np.ndarray:
        """Return the positions that `fold` holds out.

        They are of rows, ascending and int64.
        """
        return np.flatnonzero(self._held_out(fold))

    @cached_property
    def judged_rows(self) -> np.ndarray:
        """Return the positions that any fold holds out.

        They are of rows, ascending and int64.
        """
        return np.flatnonzero(self.blocks >= 0)

    def block_rows(self, block: int) -> np.ndarray:
        """Return the row positions of `block`, ascending int64."""
        return np.flatnonzero(self.blocks == block)

    def other_block_rows(self, block: int) -> np.ndarray:
        """Return the judged rows of all other blocks.

        They come as their ascending int64 positions.
        """
        return np.flatnonzero((self.blocks >= 0) & (self.blocks != block))


def shuffled_by_class(target: np.ndarray, task: Task, seed: int, n_copies: np.ndarray | None = None) -> np.ndarray:
    """Return the row positions, shuffled within each class.

    Their order is random; for classification the rows of a class are together.

    n_copies: (n_rows,) rows that each stands for; those with as many are together, within their class.
    """
    order = np.random.default_rng(seed).permutation(len(target))
    if n_copies is not None:
        order = order[np.argsort(n_copies[order], kind="stable")]
    return order[np.argsort(target[order], kind="stable")] if task.is_classification else order


def make_folds(table: Table, task: Task, n_folds: int, seed: int, is_even: bool = False) -> Folds:
    """Return folds of equal size, and equal classes.

    Sizes, and for classification the rows of each class, differ by one at most.

    n_folds: 1 for a holdout of a fifth of the rows, of fewer where these are plenty, or of more where a class is rare.
    is_even: whether the values of a regression are dealt evenly too, as if each tenth of them were a class.
    Copies of a row stay in its fold, which costs some of that evenness, lest a model be judged on what it has learnt by
    heart; but not where a row repeats so often that folds would be lopsided: there, rows repeat by their nature.

    Raises DataError when there are fewer rows than folds, or than blocks of a holdout, or too few of a class for one.
    """
    n_parts = N_BLOCKS if n_folds == 1 else n_folds
    if table.n_rows < n_parts:
        raise DataError(f"{n_parts} folds need at least {n_parts} rows, but the table has {table.n_rows}.")
    if is_even and not task.is_classification:
        table, task = _in_tenths(table, task)
    if n_folds == 1:
        return _holdout(table, task, seed)
    marks = partial(_in_turn, n_parts=n_folds)
    assignment = _kept_together(table.labels, task, copies_of(table), derive_seed(seed, "folds"), marks, 1)
    return Folds(assignment, n_folds, assignment, n_folds)


def _in_tenths(table: Table, task: Task) -> tuple[Table, Task]:
    """Return a regression as one of ten classes."""
    strata = strata_of(table.labels, task)
    classes = tuple(map(str, range(int(strata.max()) + 1)))
    return replace(table, target=strata), Task(MULTICLASS, classes) if len(classes) > 1 else task


def rarer_class(target: np.ndarray) -> tuple[int, int]:
    """Return the rarer class's code and size.

    It is the rarer of two classes, or the second largest of more.

    A part of the rows that has one of it besides the largest has two classes, and so has a score by every metric.
    """
    sizes = np.bincount(target)
    second = int(np.argsort(-sizes, kind="stable")[1]) if len(sizes) > 1 else 0
    return second, int(sizes[second])


def share_to_hold_out(target: np.ndarray, task: Task) -> float:
    """Return the share that a plain holdout takes."""
    share = min(HOLDOUT_SHARE, max(MIN_HOLDOUT_SHARE, N_HELD_OUT_WANTED / len(target)))
    n_of_class = rarer_class(target)[1] if task.is_classification else len(target)
    return max(share, min(MIN_HELD_OUT_OF_A_CLASS / max(1, n_of_class), MAX_HOLDOUT_SHARE))


def fold_notes(folds: Folds, table: Table, task: Task) -> list[str]:
    """Return notes on unusual folds and rare classes."""
    if not task.is_classification:
        return []
    notes, judged = [], table.labels[folds.judged_rows]
    code, n_of_class = rarer_class(table.labels)
    n_judged, name = int((judged == code).sum()), task.classes[code]
    share = len(judged) / table.n_rows
    if folds.n_folds == 1 and share_to_hold_out(table.labels, task) > HOLDOUT_SHARE:
        notes.append(f"held out {share:.0%} of the rows, as class {name} has {n_of_class} only; --folds 5 judges all")
    if n_judged < MIN_JUDGED_OF_A_CLASS:
        notes.append(
            f"only {n_judged} of the rows that models are judged on are of class {name}: an AUC of .90 has a standard "
            f"error of {_standard_error_of_auc(n_judged):.2f} there"
        )
    return notes


def _standard_error_of_auc(n_positive: int, auc: float = 0.9) -> float:
    """Return the standard error of an AUC.

    It follows Hanley and McNeil (1982, equation 1), with many rows of the other class.
    """
    return float(np.sqrt((2 * auc**2 / (1 + auc) - auc**2) / n_positive))


# Takes a number of rows; returns the part of each, where rows of a class follow one another.
Marks = Callable[[int], np.ndarray]


def deal(target: np.ndarray, task: Task, n_parts: int, seed: int, copies: np.ndarray) -> np.ndarray:
    """Deal rows like cards, class after class.

    It returns the (n_rows,) int8 part of each. So every part has its share of each class and of all rows.

    copies: (n_rows,), see `copies_of`; they get one part.
    """
    return _parted(target, task, copies, seed, partial(_in_turn, n_parts=n_parts))


def _in_turn(n: int, n_parts: int) -> np.ndarray:
    return np.arange(n) % n_parts


def _at_even_steps(n: int, share: float) -> np.ndarray:
    return np.diff(np.floor(np.arange(n + 1) * share + 0.5)) > 0


def _parted(target: np.ndarray, task: Task, first: np.ndarray, seed: int, marks: Marks) -> np.ndarray:
    """Return (n_rows,) int8 parts, by first copies.

    A row has the part that `marks` has for its `first`.
    """
    firsts, group = np.unique(first, return_inverse=True)
    parts = np.empty(len(firsts), dtype=np.int8)
    parts[shuffled_by_class(target[firsts], task, seed, np.bincount(group))] = marks(len(firsts))
    return parts[group]


def _kept_together(
    target: np.ndarray, task: Task, copies: np.ndarray, seed: int, marks: Marks, n_least: int
) -> np.ndarray:
    """Return (n_rows,) int8 parts, keeping copies together.

    Copies stay together unless they are too many for a part.

    Nothing is kept together where a part would have fewer than `n_least` rows of a class, and need not.
    """
    alone = _parted(target, task, np.arange(len(target)), seed, marks)
    most = MAX_COPIES_SHARE * np.bincount(alone).min()
    first = np.where(np.bincount(copies, minlength=len(target))[copies] > most, np.arange(len(target)), copies)
    if (first == np.arange(len(target))).all():
        return alone
    together = _parted(target, task, first, seed, marks)
    classes = target if task.is_classification else np.zeros(len(target), dtype=np.int64)
    n_parts = int(alone.max()) + 1
    n_cells = (int(classes.max()) + 1) * n_parts
    before, after = (np.bincount(classes * n_parts + parts, minlength=n_cells) for parts in (alone, together))
    return together if (after >= np.minimum(before, n_least)).all() else alone


def _holdout(table: Table, task: Task, seed: int) -> Folds:
    _check_holdout(table.labels, task)
    share, seed = share_to_hold_out(table.labels, task), derive_seed(seed, "folds")
    held_out = held_out_together(table.labels, task, share, seed, copies_of(table), MIN_BLOCKS)
    judged = table.labels[held_out]
    n_of_class = rarer_class(judged)[1] if task.is_classification else len(judged)
    n_blocks = int(np.clip(n_of_class // MIN_IN_A_BLOCK, MIN_BLOCKS, N_BLOCKS))
    blocks = np.full(table.n_rows, -1, dtype=np.int8)
    copies, marks = copies_of(table.take(np.flatnonzero(held_out))), partial(_in_turn, n_parts=n_blocks)
    blocks[held_out] = _kept_together(judged, task, copies, derive_seed(seed, "blocks"), marks, MIN_IN_A_BLOCK)
    return Folds(np.where(held_out, 0, -1).astype(np.int8), 1, blocks, n_blocks)


def _check_holdout(target: np.ndarray, task: Task) -> None:
    if not task.is_classification:
        return
    code, n_of_class = rarer_class(target)
    if n_of_class < 2 * MIN_BLOCKS:
        raise DataError(
            f"a holdout needs {2 * MIN_BLOCKS} rows of a class, half to learn from and half to be judged on, but "
            f"{task.classes[code]!r} has {n_of_class}. Use --folds {max(2, n_of_class)}."
        )


def held_out_together(
    target: np.ndarray, task: Task, share: float, seed: int, copies: np.ndarray, n_least: int = 1
) -> np.ndarray:
    """Return `held_out_rows`, keeping copies together.

    copies: (n_rows,), see `copies_of`.
    """
    marks = partial(_at_even_steps, share=share)
    return _kept_together(target, task, copies, derive_seed(seed, "test"), marks, n_least) > 0


def held_out_rows(target: np.ndarray, task: Task, share: float, seed: int) -> np.ndarray:
    """Return (n_rows,) bool: a seeded random `share`.

    For classification it is the same share of each class (to one).
    """
    return held_out_together(target, task, share, seed, np.arange(len(target)))
