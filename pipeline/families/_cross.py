"""Pairs of categorical columns as columns of their own.

What a level tells often hangs on another column's level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import Table
from stacktune.families._checks import is_whole
from stacktune.families._encode import (
    LEVELS_ENOUGH,
    N_OTHER,
    TargetEncoding,
    encode_target,
    read_parts,
    target_signals,
    write_parts,
)
from stacktune.families.base import Job

MANY_LEVELS = 30  # pairs are worth it where one column has more; trees find those of few levels by themselves
MAX_PAIRS = 36  # all pairs of nine columns
CROSSED_FILE = "crossed.npz"
SMOOTH = 10.0


@dataclass(frozen=True)
class Crossing:
    """The pairs of levels in the training rows.

    pairs: (n_pairs, 2) int64 categorical columns; strides: (n_pairs,) int64 levels of each pair's second column, those
    never seen or missing included;
    keys: (n_keys,) int64 pairs of levels as first * stride + second, ascending within each pair of columns;
    sizes: (n_pairs,) int64 keys of each.
    """

    pairs: np.ndarray
    strides: np.ndarray
    keys: np.ndarray
    sizes: np.ndarray

    @classmethod
    def fit(cls, table: Table) -> Crossing:
        """Cross the columns of the training rows.

        Those of most levels come first.
        """
        count = np.array(table.cardinalities, dtype=np.int64)
        ranked = sorted(combinations(range(len(count)), 2), key=lambda pair: -max(count[list(pair)]))
        chosen = [pair for pair in ranked if max(count[list(pair)]) > MANY_LEVELS][:MAX_PAIRS]
        pairs = np.array(chosen, dtype=np.int64).reshape(-1, 2)
        strides = count[pairs[:, 1]] + N_OTHER
        keys = [np.unique(key) for key in _keys(table.codes, count, pairs, strides)]
        sizes = np.array([len(key) for key in keys], dtype=np.int64)
        return cls(pairs, strides, np.concatenate([np.zeros(0, np.int64), *keys]), sizes)

    @classmethod
    def none(cls) -> Crossing:
        """Return the crossing that leaves tables as they are."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing.reshape(0, 2), nothing, nothing, nothing)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        wholes = is_whole(self.pairs, 2) and all(map(is_whole, (self.strides, self.keys, self.sizes)))
        if not wholes or self.pairs.shape[1:] != (2,) or not len(self.pairs) == len(self.strides) == len(self.sizes):
            yield "its pairs of columns do not go together"
        elif (self.pairs < 0).any() or (self.sizes < 0).any() or self.sizes.sum() != len(self.keys):
            yield "its pairs of levels do not add up"

    def apply(self, table: Table) -> Table:
        """Return `table` plus a categorical column for each pair."""
        if len(self.pairs) == 0:
            return table
        ends = np.cumsum(self.sizes)
        count = np.array(table.cardinalities, dtype=np.int64)
        crossed = np.empty((table.n_rows, len(self.pairs)), dtype=np.float32)
        for index, key in enumerate(_keys(table.codes, count, self.pairs, self.strides)):
            crossed[:, index] = _positions(self.keys[ends[index] - self.sizes[index] : ends[index]], key)
        return replace(
            table,
            features=np.hstack([table.features, crossed]),
            names=(*table.names, *(f"pair {index}" for index in range(len(self.pairs)))),
            cardinalities=(*table.cardinalities, *map(int, self.sizes)),
        )


def _keys(codes: np.ndarray, count: np.ndarray, pairs: np.ndarray, strides: np.ndarray) -> list[np.ndarray]:
    levels = np.where(np.isnan(codes), count.astype(np.float32) + 1, codes).astype(np.int64)
    return [
        levels[:, first] * stride + levels[:, second] for (first, second), stride in zip(pairs, strides, strict=True)
    ]


def _positions(known: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return the positions of `key` in the ascending `known`.

    They are (n_rows,) float32. Where a key is not there, it was never seen, and its position is the length of `known`.
    """
    if len(known) == 0:
        return np.zeros(len(key), dtype=np.float32)
    places = np.minimum(np.searchsorted(known, key), len(known) - 1)
    return np.where(known[places] == key, places, len(known)).astype(np.float32)


@dataclass(frozen=True)
class CrossedMeans:
    """Columns of many levels and their pairs, as means.

    The pairs are those with other columns, and the means those of the target by level.
    """

    crossing: Crossing
    encoding: TargetEncoding

    def apply(self, table: Table) -> Table:
        """Return `table` with means for columns of many levels.

        The means are among its numeric columns.
        """
        return self.assemble(table, self.encoding.transform(self.crossing.apply(table).codes))

    def assemble(self, table: Table, means: np.ndarray) -> Table:
        """Return `table` with the means that are given.

        They are (n_rows, n_encoded_columns), in place of its columns of many levels.
        """
        few = np.flatnonzero(np.array(table.cardinalities) <= MANY_LEVELS)
        names = (
            *table.names[: table.n_numeric],
            *(f"mean {index}" for index in range(means.shape[1])),
            *(table.names[table.n_numeric + index] for index in few),
        )
        features = np.ascontiguousarray(np.hstack([table.numeric, means, table.codes[:, few]]), dtype=np.float32)
        cardinalities = tuple(table.cardinalities[index] for index in few)
        return replace(table, features=features, names=names, cardinalities=cardinalities)

    def shared_out(self, contributions: np.ndarray, table: Table) -> np.ndarray:
        """Return contributions of a table's own features.

        A mean's is that of its column; what a pair of columns gives is halved between them.

        contributions: (n_rows, n_features + 1, n_scores), of what `apply` makes of `table`.
        """
        n_own, n_codes = table.n_numeric, len(table.cardinalities)
        few = np.flatnonzero(np.array(table.cardinalities) <= MANY_LEVELS)
        n_means = self.encoding.n_features
        n_signals = n_means // max(1, len(self.encoding.columns)) - 1
        # As `TargetEncoding.transform` lays them out: the means, signals side by side, then a count for each column.
        of_means = np.concatenate([np.repeat(self.encoding.columns, n_signals), self.encoding.columns])
        found = np.zeros((len(contributions), table.n_features + 1, contributions.shape[2]))
        found[:, :n_own], found[:, -1] = contributions[:, :n_own], contributions[:, -1]
        found[:, n_own + few] = contributions[:, n_own + n_means : -1]
        for place, column in enumerate(of_means):
            owners = [column] if column < n_codes else self.crossing.pairs[column - n_codes]
            for owner in owners:
                found[:, n_own + owner] += contributions[:, n_own + place] / len(owners)
        return found

    def save(self, folder: Path) -> None:
        """Write crossed.npz."""
        write_parts(folder / CROSSED_FILE, {"crossing": self.crossing, "encoding": self.encoding})


@dataclass(frozen=True)
class Tables:
    """A model's training and validation rows.

    crossed: how they came about where the job's table was changed.
    """

    rows: Table
    valid: Table
    crossed: CrossedMeans | None = None


def tables_of(job: Job, cross: bool) -> Tables:
    """Return the job's training and validation rows.

    They are crossed if that is asked for and a column has many levels.
    """
    # A pair of columns would let them act on one another, whatever group they are of.
    if cross and not job.task.interactions and any(count > MANY_LEVELS for count in job.table.cardinalities):
        return job.cache.get(("crossed", job.part), lambda: _cross(job))
    return Tables(job.table.take(job.rows), job.table.take(job.valid))


def knows_unseen_beyond(config: Mapping[str, Any]) -> float:
    """Return `Family.knows_unseen_beyond` where columns may be crossed."""
    return LEVELS_ENOUGH if config["cross_levels"] else math.inf


def _cross(job: Job) -> Tables:
    rows = job.table.take(job.rows)
    crossing = Crossing.fit(rows)
    both = crossing.apply(rows)
    many = np.flatnonzero(np.array(both.cardinalities) > MANY_LEVELS)
    encoding, means = encode_target(both, many, target_signals(rows, job.task), SMOOTH)
    crossed = CrossedMeans(crossing, encoding)
    return Tables(crossed.assemble(rows, means), crossed.apply(job.table.take(job.valid)), crossed)


def load_crossed(folder: Path) -> CrossedMeans | None:
    """Read what `save` wrote.

    It returns None where nothing was crossed.
    """
    if not (folder / CROSSED_FILE).exists():
        return None
    return CrossedMeans(**read_parts(folder / CROSSED_FILE, {"crossing": Crossing, "encoding": TargetEncoding}))
