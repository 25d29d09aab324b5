"""Asks of each row models new to it.

Within a run there need be no test table: every row is held out by some fold, whose models can be asked about it as it
is and with other values of a column. What is explained so is what the run was judged by: the members' models of the
row's fold, blended as was learnt without the row's block (see out_of_fold.py). It is not the leader itself, which has
all folds' models, but what can be said of it honestly.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import Table, Task
from stacktune.ensemble.blend import SINGLE, Blend, heated
from stacktune.ensemble.member import Member, load_member, predict_members
from stacktune.ensemble.out_of_fold import trials_behind
from stacktune.ensemble.rows import LeaderboardRow
from stacktune.explain.trees import Part
from stacktune.seeds import derive_seed
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import TrialResult

# Of a rare class so many rows are looked at, if there are; they weigh as much less.
MIN_OF_A_CLASS = 50
# So many rows are looked at in all, and values of them: 16 MB.
MAX_ROWS, MAX_CELLS = 4_000, 4_000_000


@dataclass(frozen=True)
class Looked:
    """Some of a run's rows, with their features.

    rows: (n_rows,) positions in the training table, ascending.
    """

    table: Table
    rows: np.ndarray


@dataclass(frozen=True)
class HeldOut:
    """The models of a leaderboard's row by fold.

    names: the trials that are asked, in the order of the blends. models: by trial and fold. folds: (n_kinds, n_repeats)
    the folds that hold out rows of each kind; blocks: (n_kinds,) their blocks. blends: by block. temperature: of the
    leader's probabilities.
    """

    names: tuple[str, ...]
    models: Mapping[tuple[str, int], Member]
    folds: np.ndarray
    blocks: np.ndarray
    blends: Mapping[int, Blend]
    temperature: float
    task: Task

    def predict(self, table: Table) -> np.ndarray:
        """Return (n_rows, n_outputs) predictions.

        The table's groups are the kinds of its rows, see `looked_at`.
        """
        if table.groups is None:
            raise TypeError("rows of which it is not known who held them out")
        folds, blocks = self.folds[table.groups], self.blocks[table.groups]
        plain = replace(table, target=None, weight=None, groups=None)
        found = np.empty((table.n_rows, self.task.n_outputs))
        for block in np.unique(blocks):
            rows = np.flatnonzero(blocks == block)
            found[rows] = self._of_block(self.blends[block], plain.take(rows), folds[rows])
        return found if self.temperature == 1 else heated(found, self.temperature)

    def _of_block(self, blend: Blend, table: Table, folds: np.ndarray) -> np.ndarray:
        """Return predictions of rows of one block.

        folds: (n_rows, n_repeats) that hold them out.
        """
        shape = (table.n_rows, self.task.n_outputs)
        asked = [place for place, weight in enumerate(blend.weights) if weight > 0]
        parts = {place: np.zeros(shape) for place in asked}
        for of_repeat in folds.T:
            for fold in np.unique(of_repeat):
                own = np.flatnonzero(of_repeat == fold)
                members = [self.models[self.names[place], fold] for place in asked]
                for place, said in zip(asked, predict_members(members, table.take(own)), strict=True):
                    parts[place][own] += said / folds.shape[1]
        nothing = np.broadcast_to(0.0, shape)  # of those that weigh nothing
        return blend.combine([parts.get(place, nothing) for place in range(len(self.names))])


def models_asked(row: LeaderboardRow, folds: Folds) -> set[tuple[str, int]]:
    """Return the trials and folds whose models are needed."""
    kinds, of_kinds, _ = _kinds(folds, folds.judged_rows)
    names, blends = trials_behind(row), _blends(row, folds)
    return {
        (names[place], int(fold))
        for block, of_kind in zip(of_kinds, kinds, strict=True)
        for place, weight in enumerate(blends[int(block)].weights)
        if weight > 0
        for fold in of_kind
    }


def is_there(row: LeaderboardRow, trials: Mapping[str, TrialResult], folds: Folds) -> bool:
    """Return whether all models that are needed were kept."""
    return all(TrialFolder(trials[name].place).fold(fold).is_dir() for name, fold in models_asked(row, folds))


def open_held_out(
    row: LeaderboardRow, trials: Mapping[str, TrialResult], folds: Folds, task: Task, looked: Looked, deadline: float
) -> tuple[HeldOut, Table] | None:
    """Load the models by which some rows were judged.

    Returns also the rows' table with their kinds as its groups. It is None where models are not loaded by `deadline`,
    on `time.monotonic()`'s scale.
    """
    of_kinds, blocks, kinds = _kinds(folds, looked.rows)
    models = {}
    for name, fold in sorted(models_asked(row, folds)):
        if time.monotonic() >= deadline:
            return None
        models[name, fold] = load_member(trials[name].place, name, trials[name].family, (fold,))
    blends, names = _blends(row, folds), trials_behind(row)
    asked = HeldOut(names, models, of_kinds, blocks, blends, row.how.temperature, task)
    return asked, replace(looked.table, groups=kinds)


def _blends(row: LeaderboardRow, folds: Folds) -> dict[int, Blend]:
    alone = Blend(SINGLE, (1.0,))
    return {block: row.nested[block] if row.nested else alone for block in range(folds.n_blocks)}


def _kinds(folds: Folds, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return kinds of rows, and each row's kind.

    The kinds are told by the folds and the block that hold them out.
    """
    dealt = np.column_stack([one[rows] for one in (folds.assignment, *folds.again)]).astype(np.int64)
    n_each = folds.n_folds // folds.n_repeats
    numbered = np.column_stack([dealt + n_each * np.arange(folds.n_repeats), folds.blocks[rows].astype(np.int64)])
    kinds, which = np.unique(numbered, axis=0, return_inverse=True)
    return kinds[:, :-1], kinds[:, -1], which.ravel()


def looked_at(table: Table, task: Task, folds: Folds, seed: int) -> Looked:
    """Return rows to explain a run by.

    They are drawn from those that a fold holds out, at least MIN_OF_A_CLASS of a class; where that makes a class more
    frequent than it is, weights make up for it. A search needs no features of other rows beside it.
    """
    judged = folds.judged_rows
    n_most = min(MAX_ROWS, max(2 * MIN_OF_A_CLASS, MAX_CELLS // max(1, table.n_features)))
    if len(judged) <= n_most:
        return Looked(table.take(judged), judged)
    random = np.random.default_rng(derive_seed(seed, "explained rows"))
    drawn = random.permutation(judged)
    if not task.is_classification:
        rows = np.sort(drawn[:n_most])
        return Looked(table.take(rows), rows)
    chosen, weight = [], np.ones(table.n_rows)
    counts = np.bincount(table.labels[judged], minlength=task.n_outputs)
    for code in np.flatnonzero(counts):
        own = drawn[table.labels[drawn] == code]
        n_own = min(len(own), max(round(n_most * len(own) / len(judged)), MIN_OF_A_CLASS))
        chosen.append(own[:n_own])
        weight[own] = len(own) / n_own
    rows = np.sort(np.concatenate(chosen))
    return Looked(_weighed(table.take(rows), weight[rows]), rows)


def _weighed(table: Table, factors: np.ndarray) -> Table:
    if np.ptp(factors) < 0.05 * factors.mean():  # rounding alone
        return table
    weight = factors if table.weight is None else factors * table.weight
    return replace(table, weight=(weight / weight.mean()).astype(np.float32))


def parts_of(held_out: HeldOut, table: Table, members: Sequence[str], n_most: int) -> Iterator[Part]:
    """Yield members' models with rows that they held out.

    n_most: rows of each member, over all folds.
    """
    if table.groups is None:
        raise TypeError("rows of which it is not known who held them out")
    first = held_out.folds[table.groups, 0]
    step = max(1, len(first) // n_most)
    for name in members:
        for fold in np.unique(first):
            if (name, fold) in held_out.models:
                own = table.take(np.flatnonzero(first == fold)[::step])
                (predictor,) = held_out.models[name, fold].predictors
                yield Part(name, predictor, replace(own, groups=None))
