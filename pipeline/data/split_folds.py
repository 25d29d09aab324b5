"""Makes the folds that a split asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from stacktune.data.folds import (
    MIN_BLOCKS,
    MIN_IN_A_BLOCK,
    N_BLOCKS,
    Folds,
    deal,
    make_folds,
    rarer_class,
    share_to_hold_out,
)
from stacktune.data.grouped import deal_groups, strata_of
from stacktune.data.ordered import HISTORY_SHARE, cut, pieces
from stacktune.data.split import FOLDS, GROUP, ROWS, TIME, VALIDATION, Split
from stacktune.data.table import Table, Task
from stacktune.errors import DataError
from stacktune.seeds import derive_seed


def folds_of(split: Split, table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    """Return the folds that the split makes.

    n_folds: 1 holds rows out once; of the user's own folds it is their number.

    Raises:
        DataError: the rows do not part so, or a fold would learn from or be judged on one class.
    """
    if split.n_repeats > 1:
        return _repeated(split, table, task, n_folds, seed)
    if split.by == ROWS:
        return make_folds(table, task, n_folds, seed, split.is_even)
    folds = _MAKERS[split.by](split, table, task, n_folds, seed)
    _check_classes(folds, split, table, task)
    return folds


def _repeated(split: Split, table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    if n_folds == 1:
        raise DataError(
            f"--repeats {split.n_repeats} deals folds anew, but rows are held out once, as the table is large. Give "
            "--folds 5, or leave --repeats out."
        )
    once = replace(split, n_repeats=1)
    seeds = [seed, *(derive_seed(seed, "repeat", number) for number in range(1, split.n_repeats))]
    first, *others = (folds_of(once, table, task, n_folds, one) for one in seeds)
    return replace(first, n_folds=n_folds * len(seeds), again=tuple(one.assignment for one in others))


def settled_folds(
    split: Split, table: Table, task: Task, asked: int | None, planned: int, reason: str, seed: int
) -> tuple[int, str]:
    """Return how many folds there are, and why.

    asked: by the user. planned, reason: by the size of the table; as many of these are taken as the split allows.

    Raises:
        DataError: the split does not allow for as many as were asked for, or for any.
    """
    if split.by == FOLDS:
        return _own_count(split, asked), ""
    if split.by == VALIDATION:
        return 1, ""
    if split.by == ROWS or asked is not None:
        return planned, reason
    least = min(2, planned)
    for n_folds in range(planned, least, -1):
        try:
            folds_of(split, table, task, n_folds, seed)
        except DataError as error:
            reason = f"of more {str(error).partition('. ')[0]}"
        else:
            return n_folds, reason
    return least, reason


def _own_count(split: Split, asked: int | None) -> int:
    if asked is not None and asked != len(split.names):
        raise DataError(
            f"--folds {asked} and --fold-column {split.column} contradict each other: the column has "
            f"{len(split.names)} values, and each is a fold. Leave --folds out."
        )
    return len(split.names)


def _own(split: Split, table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    # Rows may have been dropped since the values were counted.
    assignment = split.keys.astype(np.int8)
    empty = np.flatnonzero(np.bincount(assignment, minlength=n_folds) == 0)
    if len(empty):
        raise DataError(
            f"no row that is learnt from has {split.names[int(empty[0])]!r} in the fold column {split.column!r}. "
            "Drop the other rows with that value, too."
        )
    return Folds(assignment, n_folds, assignment, n_folds)


def _grouped(split: Split, table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    groups = split.keys
    n_groups = len(np.unique(groups))
    if n_groups < max(2, n_folds):
        raise DataError(
            f"{n_folds} folds need at least {max(2, n_folds)} groups, but {split.column!r} has {n_groups} in the rows "
            f"to learn from. Use --folds {n_groups}, or fewer."
        )
    strata, seed_of_folds = strata_of(table.labels, task), derive_seed(seed, "folds")
    if n_folds > 1:
        assignment = deal_groups(groups, strata, [1 / n_folds] * n_folds, seed_of_folds)
        return Folds(assignment, n_folds, assignment, n_folds, groups=groups)
    share = share_to_hold_out(table.labels, task)
    held_out = deal_groups(groups, strata, [1 - share, share], seed_of_folds) > 0
    return _held_out(held_out, table, task, seed, groups)


def _held_out(held_out: np.ndarray, table: Table, task: Task, seed: int, groups: np.ndarray | None = None) -> Folds:
    """Return the holdout of some rows, judged in blocks.

    groups: that are kept together in the blocks, where there are as many.
    """
    judged = table.labels[held_out]
    n_of_class = rarer_class(judged)[1] if task.is_classification else len(judged)
    n_blocks = int(np.clip(n_of_class // MIN_IN_A_BLOCK, MIN_BLOCKS, N_BLOCKS))
    rows = np.flatnonzero(held_out)
    seed = derive_seed(seed, "blocks")
    alone = deal(judged, task, n_blocks, seed, np.arange(len(rows)))
    parts = alone
    if groups is not None and len(np.unique(groups[rows])) >= MIN_BLOCKS:
        n_together = min(n_blocks, len(np.unique(groups[rows])))
        together = deal_groups(groups[rows], strata_of(judged, task), [1 / n_together] * n_together, seed)
        if _have_two_classes(judged, task, together, n_together):
            parts, n_blocks = together, n_together
    blocks = np.full(table.n_rows, -1, dtype=np.int8)
    blocks[rows] = parts
    return Folds(np.where(held_out, 0, -1).astype(np.int8), 1, blocks, n_blocks, groups=groups)


def _ordered(split: Split, table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    share = 1 - HISTORY_SHARE if n_folds > 1 else share_to_hold_out(table.labels, task)
    windows = cut(split, n_folds, share)
    if n_folds > 1:
        blocks, n_blocks = windows.window, n_folds
    else:
        blocks, n_blocks = _blocks_in_order(split, table, task, windows.window == 0)
    return Folds(windows.window, n_folds, blocks, n_blocks, windows.n_learning, split.keys)


def _blocks_in_order(split: Split, table: Table, task: Task, held_out: np.ndarray) -> tuple[np.ndarray, int]:
    """Return blocks of one window, with two classes each."""
    rows, blocks = np.flatnonzero(held_out), np.full(table.n_rows, -1, dtype=np.int8)
    for n_blocks in range(min(N_BLOCKS, len(rows)), MIN_BLOCKS - 1, -1):
        parts = pieces(split.keys[rows], n_blocks)
        if _have_two_classes(table.labels[rows], task, parts, n_blocks) or n_blocks == MIN_BLOCKS:
            blocks[rows] = parts
            return blocks, n_blocks
    raise DataError(
        f"the last rows by {split.column!r} that models would be judged on are {len(rows)}, and at least "
        f"{MIN_BLOCKS} are needed. Use more --folds, or more rows."
    )


def _fixed(split: Split, table: Table, task: Task, n_folds: int, seed: int) -> Folds:
    held_out = split.keys > 0
    if held_out.sum() < MIN_BLOCKS:
        raise DataError(
            f"the validation table has {int(held_out.sum())} rows to be judged on, and needs at least {MIN_BLOCKS}."
        )
    return _held_out(held_out, table, task, seed)


def _have_two_classes(target: np.ndarray, task: Task, parts: np.ndarray, n_parts: int) -> bool:
    if not task.is_classification:
        return bool((np.bincount(parts, minlength=n_parts) > 0).all())
    return all(len(np.unique(target[parts == part])) > 1 for part in range(n_parts))


def _check_classes(folds: Folds, split: Split, table: Table, task: Task) -> None:
    """Raise DataError where a fold has one class only."""
    if not task.is_classification:
        return
    places = [("is judged on", folds.block_rows(block), block) for block in range(folds.n_blocks)]
    places += [("learns from", folds.train_rows(fold), fold) for fold in range(folds.n_folds)]
    for does, rows, number in places:
        classes = np.unique(table.labels[rows])
        if len(classes) < 2:
            raise DataError(
                f"{_name_of(folds, split, number)} {does} one class only, {task.classes[classes[0]]!r} "
                f"({len(rows):,} rows), which tells models nothing apart. {_remedy(split)}"
            )


def _name_of(folds: Folds, split: Split, number: int) -> str:
    if split.by == FOLDS:
        return f"the fold {split.names[number]!r} of {split.column!r}"
    parts = "folds" if folds.n_folds > 1 else "parts held out"
    by = "of the validation table" if split.by == VALIDATION else f"by {split.column!r}"
    return f"one of {folds.n_blocks} {parts} {by}"


def _remedy(split: Split) -> str:
    if split.by == FOLDS:
        return "Merge such folds."
    if split.by == VALIDATION:
        return "Give validation rows of each class."
    return "Use fewer --folds, or name another column."


_MAKERS: dict[str, Callable[[Split, Table, Task, int, int], Folds]] = {
    GROUP: _grouped,
    TIME: _ordered,
    FOLDS: _own,
    VALIDATION: _fixed,
}
