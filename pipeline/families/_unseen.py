"""Levels that no training row has.

A model is asked about known levels in their stead, and its answers are averaged.

The problem: a level never seen is neither missing nor like any other. Yet boosters send it where missing values go, or
to the side of a split that lists no levels; a forest that takes codes as numbers takes it for the last ones; to a net
it is the absence of all. Where missing values all meant class 1, a city never seen got a probability of .975.

What does not work well: to train with made-up unseen levels costs each model some of what it knows of the known ones.
A single known level in its stead, say the most frequent, says what that level says.

The solution: nothing is known of the level but that it is there. So the row is asked about with several known levels
of its column, drawn evenly over the training rows that have one (missing values are not among them: this value is not
missing), and the mean of the answers is the answer. Every family is treated so, whatever it is. Only rows with such a
level take longer, N_DRAWN times as long.

Columns that a model sees as means of the target by level are left to it (`Family.knows_unseen_beyond`): there a level
never seen is one of no rows, whose mean is that of the column's rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import Table, Task
from stacktune.families._checks import is_real
from stacktune.families._encode import N_OTHER, lay_out, layout_faults, read_parts, target_signals, write_parts
from stacktune.families.base import Attributing, Config, Family, Job, Learner, Predictor
from stacktune.seeds import derive_seed

# A share of rows is met within 1/16, and two levels of like frequency within nothing at all.
N_DRAWN = 8
UNSEEN_FILE = "unseen.npz"
# The rows of one question: those that are drawn for would otherwise take N_DRAWN times the memory.
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class KnownLevels:
    """The levels that a model's training rows have.

    It also says which of them stand for others.

    columns: (n_columns,) int64 the categorical columns that are filled in; cardinalities: (n_columns,) int64 theirs.
    known: (n_levels_in_all,) bool, laid out as by `lay_out`. drawn: (N_DRAWN, n_columns) float32 codes; NaN where no
    training row has a level.
    """

    columns: np.ndarray
    cardinalities: np.ndarray
    known: np.ndarray
    drawn: np.ndarray

    @classmethod
    def fit(cls, rows: Table, task: Task, n_most: float) -> KnownLevels:
        """Learn from the training rows.

        Columns in which they have more than `n_most` levels are left alone.
        """
        signal = target_signals(rows, task)[:, 0]
        weight = np.ones(rows.n_rows) if rows.weight is None else rows.weight
        columns, known, drawn = [], [np.zeros(0, dtype=bool)], []
        for column, cardinality in enumerate(rows.cardinalities):
            there = ~np.isnan(rows.codes[:, column])
            codes = rows.codes[there, column].astype(np.int64)
            mass = np.bincount(codes, weight[there], cardinality)
            if np.count_nonzero(mass) <= n_most:
                columns.append(column)
                known.append(np.concatenate([mass > 0, [False, True]]))
                drawn.append(_drawn(mass, np.bincount(codes, weight[there] * signal[there], cardinality), column))
        cardinalities = np.array(rows.cardinalities, dtype=np.int64)[columns]
        levels = np.array(drawn, dtype=np.float32).reshape(-1, N_DRAWN)
        return cls(np.array(columns, dtype=np.int64), cardinalities, np.concatenate(known), levels.T)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        yield from layout_faults(self.columns, self.cardinalities)
        if self.known.dtype.kind != "b" or self.known.shape != (int(np.sum(self.cardinalities + N_OTHER)),):
            yield "it does not say of each level whether it is known"
        if not is_real(self.drawn, 2) or self.drawn.shape != (N_DRAWN, len(self.columns)):
            yield "it has no levels to draw for each column"
        elif not (np.isnan(self.drawn) | ((self.drawn >= 0) & (self.drawn < self.cardinalities))).all():
            yield "a level to draw is none of its column's"

    def unseen(self, table: Table) -> np.ndarray:
        """Find the values whose levels no training row has.

        It returns (n_rows, n_columns) bool.
        """
        return ~self.known[lay_out(table.codes, self.columns, self.cardinalities)]

    def filled(self, table: Table, unseen: np.ndarray) -> Table:
        """Return N_DRAWN copies of the rows, one after another.

        Each copy has other levels where `unseen`.
        """
        features = np.tile(table.features, (N_DRAWN, 1))
        for place, column in enumerate(table.n_numeric + self.columns):
            rows = np.flatnonzero(unseen[:, place])
            for copy in range(N_DRAWN):
                features[copy * table.n_rows + rows, column] = self.drawn[copy, place]
        return Table(features, table.names, table.cardinalities)


def _drawn(mass: np.ndarray, sums: np.ndarray, column: int) -> np.ndarray:
    """Return codes at even steps through the rows.

    They are (N_DRAWN,), from levels of low to those of high targets. Each column has an order of its own, so that of
    two columns not all low levels meet.

    mass: (cardinality,) the rows of each level; sums: (cardinality,) their targets.
    """
    levels = np.flatnonzero(mass)
    if len(levels) == 0:
        return np.full(N_DRAWN, np.nan)
    levels = levels[np.argsort(sums[levels] / mass[levels], kind="stable")]
    risen = np.cumsum(mass[levels])
    steps = (np.arange(N_DRAWN) + 0.5) / N_DRAWN * risen[-1]
    order = np.random.default_rng(derive_seed(0, "levels drawn", column)).permutation(N_DRAWN)
    return levels[np.searchsorted(risen, steps)][order]


class UnseenPredictor:
    """A model that is asked about known levels only.

    It is of any family, and never asked about a level that it does not know.
    """

    def __init__(self, model: Predictor, levels: KnownLevels):
        """Wrap a model; `levels` are of its training rows."""
        self._model = model
        self._levels = levels

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        return _predict(self._model, self._levels, table)

    def contributions(self, table: Table) -> np.ndarray | None:
        """Return contributions, as `Attributing` says.

        Of rows with a level never seen they are means over the levels that are asked about in its stead, as far as
        raw scores go: the model's prediction is a mean of predictions.
        """
        if not isinstance(self._model, Attributing):
            return None
        if not len(self._levels.columns):
            return self._model.contributions(table)
        unseen = self._levels.unseen(table)
        strange = np.flatnonzero(unseen.any(axis=1))
        found = self._model.contributions(table)
        if found is None or not len(strange):
            return found
        filled = self._model.contributions(self._levels.filled(table.take(strange), unseen[strange]))
        if filled is not None:
            found[strange] = filled.reshape(N_DRAWN, len(strange), *found.shape[1:]).mean(axis=0)
        return found

    def save(self, folder: Path) -> None:
        """Write the model and unseen.npz."""
        _save(self._model, self._levels, folder)


class UnseenLearner:
    """A learner that is asked about known levels only.

    It is of any family, and when it predicts, it is never asked about a level that it does not know. All other verbs
    are the learner's own. Validation rows are predicted as they are, since that is done at every look; for the rows
    that `has_unseen` names, only `predict` says what the model will.
    """

    def __init__(self, learner: Learner, job: Job, n_most: float):
        self._learner = learner
        self._job = job
        self._n_most = n_most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    @cached_property
    def _levels(self) -> KnownLevels:
        rows = _codes_of(self._job.table).take(self._job.rows)
        return KnownLevels.fit(rows, self._job.task, self._n_most)

    def has_unseen(self, rows: np.ndarray) -> np.ndarray:
        """Find rows with levels that no training row has.

        It returns (n,) bool for the `rows` of the job's table.
        """
        return np.any(self._levels.unseen(_codes_of(self._job.table).take(rows)), axis=1)

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_outputs) float64."""
        return _predict(self._learner, self._levels, table)

    def save(self, folder: Path) -> None:
        """Write the model and unseen.npz."""
        _save(self._learner, self._levels, folder)


def _codes_of(table: Table) -> Table:
    """Return the categorical columns alone."""
    return replace(table, features=table.codes, names=table.names[table.n_numeric :])


def _predict(model: Predictor, levels: KnownLevels, table: Table) -> np.ndarray:
    if not len(levels.columns):
        return model.predict(table)
    unseen = levels.unseen(table)
    strange = unseen.any(axis=1)
    if not strange.any():
        return model.predict(table)
    usual = model.predict(table.take(np.flatnonzero(~strange)))
    predicted = np.empty((table.n_rows, usual.shape[1]))
    predicted[~strange] = usual
    for rows in _blocks(np.flatnonzero(strange)):
        answers = model.predict(levels.filled(table.take(rows), unseen[rows]))
        predicted[rows] = answers.reshape(N_DRAWN, len(rows), -1).mean(axis=0)
    return predicted


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    n_at_once = ROWS_AT_ONCE // N_DRAWN
    return (rows[start : start + n_at_once] for start in range(0, len(rows), n_at_once))


def _save(model: Predictor, levels: KnownLevels, folder: Path) -> None:
    model.save(folder)
    write_parts(folder / UNSEEN_FILE, {"levels": levels})


def with_unseen(family: Family) -> Family:
    """Return the family with models that predict unseen levels.

    They predict levels never seen in training, in every column.
    """
    return replace(family, start=partial(_start, family), load=partial(_load, family))


def _start(family: Family, job: Job, config: Config) -> UnseenLearner:
    return UnseenLearner(family.start(job, config), job, family.knows_unseen_beyond(config))


def _load(family: Family, folder: Path) -> UnseenPredictor:
    levels = read_parts(folder / UNSEEN_FILE, {"levels": KnownLevels})["levels"]
    return UnseenPredictor(family.load(folder), levels)
