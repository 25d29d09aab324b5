"""Categorical codes as features, for models without categories.

The problem: a column of levels, of which there may be as many as rows, becomes numbers. What a level tells of the
target is the best of them, and the most dangerous: the mean over a level's rows holds the row's own target, and a model
that sees it believes it. A level of one row is its target.

What does not work well is an indicator a level, where there are thousands. Smoothing alone leaves the row's own target
in. To leave only the row itself out tells the target by the difference to the mean that others of the level see.

The solution: training rows are dealt into N_ENCODING_FOLDS, a group that belongs together as one, and a row sees the
means of the other folds, smoothed to the column's mean, beside how often its level occurs. New rows see the means over
all. Levels never seen and missing values have places of their own. Models that want indicators have those of the levels
seen often (`OneHot`).

What is guaranteed: no training row's features hold its own target, nor that of another row of its group. A file of such
parts is checked before compiled code follows its numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from stacktune.data.table import BINARY, REGRESSION, Table, Task
from stacktune.families._checks import first_of, is_real, is_whole, is_within, refuse
from stacktune.families.losses import scaled, unit_of
from stacktune.seeds import derive_seed

N_ENCODING_FOLDS = 5
N_OTHER = 2  # levels that every column has beside its own: never seen, and missing
# Trees that see a level as the mean of its rows have met means of few rows, if there are more levels than so many, and
# know what those are worth. CatBoost gave a level never seen .41 and .39 in columns of 12 and 40 levels, where known
# levels had .27 and missing values .98; in one of 300, .26.
LEVELS_ENOUGH = 100
MAX_SIGNALS = 8  # columns that target encoding makes of one categorical column


def write_parts(path: Path, parts: dict[str, Any]) -> None:
    """Write frozen dataclasses of arrays into one .npz.

    Each field lies under NAME.FIELD.
    """
    arrays: dict[str, Any] = {}
    for name, part in parts.items():
        arrays |= {f"{name}.{field.name}": getattr(part, field.name) for field in fields(part)}
    np.savez(path, **arrays)


def read_parts(path: Path, kinds: dict[str, type]) -> dict[str, Any]:
    """Read what `write_parts` wrote, without unpickling.

    It returns one instance of each of `kinds`, by name.

    Raises DataError for a file that is none, and for the first of the `faults` that a part finds in itself.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = {
                name: kind(**{field.name: stored[f"{name}.{field.name}"] for field in fields(kind)})
                for name, kind in kinds.items()
            }
    except (BadZipFile, ValueError, KeyError, EOFError, NotImplementedError, zlib.error) as error:
        raise refuse(path, f"it cannot be read ({error})") from None
    for part in parts.values():
        first_of(path, part.faults())
    return parts


def lay_out(codes: np.ndarray, columns: np.ndarray, cardinalities: np.ndarray) -> np.ndarray:
    """Number each value's level, over all columns.

    It returns (n_rows, n_columns) int64: the levels of all columns are laid end to end.

    columns: (n_columns,) which columns of `codes` (n_rows, n_categorical); cardinalities: (n_columns,) theirs. After a
    column's own levels come two more: a value never seen, and a missing one.
    """
    chosen = codes[:, columns]
    levels = np.where(np.isnan(chosen), cardinalities.astype(np.float32) + 1, chosen).astype(np.int64)
    n_levels = cardinalities + N_OTHER
    return levels + np.cumsum(n_levels) - n_levels


def layout_faults(columns: np.ndarray, cardinalities: np.ndarray) -> Iterator[str]:
    """Yield why `lay_out` could not lay these out."""
    if not is_whole(columns) or not is_whole(cardinalities) or len(columns) != len(cardinalities):
        yield "its columns and their levels do not go together"
    elif (columns < 0).any() or (cardinalities < 0).any():
        yield "a column, or its number of levels, is negative"


def target_signals(table: Table, task: Task) -> np.ndarray:
    """Return signals of the target, to average by level.

    They are (n_rows, n_signals) float64, and their means by level say what a level tells of the target. For binary
    tasks they say whether a row has class 1; for multiclass ones there is one column for each of the most frequent
    classes; for regression they are the target, standardised, on the scale of the loss.
    """
    target = table.labels
    if task.kind == REGRESSION:
        target = scaled(target, task.loss, unit_of(target, task.loss))
        spread = target.std()
        return ((target - target.mean()) / (spread if spread > 0 else 1.0)).reshape(-1, 1)
    if task.kind == BINARY:
        return (target == 1).astype(np.float64).reshape(-1, 1)
    frequent = np.argsort(-np.bincount(target, minlength=task.n_outputs), kind="stable")[:MAX_SIGNALS]
    return (target[:, None] == np.sort(frequent)).astype(np.float64)


@dataclass(frozen=True)
class TargetEncoding:
    """Means of the target by level, and levels' counts.

    The means are smoothed (Micci-Barreca 2001, section 3), and a count is how often a level occurred.

    columns, cardinalities: as for `lay_out`; means: (n_levels_in_all, n_signals); counts: (n_levels_in_all,).
    """

    columns: np.ndarray
    cardinalities: np.ndarray
    means: np.ndarray
    counts: np.ndarray

    @property
    def n_features(self) -> int:
        """Return the number of columns that `transform` makes."""
        return len(self.columns) * (self.means.shape[1] + 1)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        yield from layout_faults(self.columns, self.cardinalities)
        n_levels = int(np.sum(self.cardinalities + N_OTHER))
        if (
            not is_real(self.means, 2)
            or not is_real(self.counts, 1)
            or {len(self.means), len(self.counts)} != {n_levels}
        ):
            yield f"it has no mean and count for each of {n_levels} levels"

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """Return the means, then the log counts.

        They are (n_rows, n_columns * n_signals + n_columns) float32.
        """
        places = lay_out(codes, self.columns, self.cardinalities)
        return _features(self.means[places], self.counts[places])


def encode_target(
    table: Table, columns: np.ndarray, signals: np.ndarray, smooth: float
) -> tuple[TargetEncoding, np.ndarray]:
    """Fit an encoding, and encode its own rows.

    The encoding of the categorical `columns` is returned with the features of these rows.

    The means of a training row come from the other folds' rows, or they would tell its own target. `smooth` is the
    weight, in rows, of the overall mean in that of a level.
    """
    cardinalities = np.array(table.cardinalities, dtype=np.int64)[columns]
    places = lay_out(table.codes, columns, cardinalities)
    weight = np.ones(table.n_rows) if table.weight is None else table.weight / table.weight.mean()
    fold = _encoding_folds(table)
    counts, sums = _sums_by_fold(places, fold, signals, weight, int(np.sum(cardinalities + N_OTHER)))
    prior = smooth * np.average(signals, axis=0, weights=weight)
    counted, total = counts.sum(axis=0), sums.sum(axis=0)
    means = (total + prior) / (counted + smooth)[:, None]
    elsewhere = (total - sums + prior) / (counted - counts + smooth)[:, :, None]
    features = _features(elsewhere[fold[:, None], places], counted[places])
    return _with_unseen(TargetEncoding(columns, cardinalities, means, counted), total, prior, smooth), features


def _encoding_folds(table: Table) -> np.ndarray:
    """Return (n_rows,) int64 folds, with groups in one.

    Rows of a group tell each other's targets, as a row tells its own.
    """
    random = np.random.default_rng(derive_seed(0, "target encoding"))
    if table.groups is not None:
        distinct, group = np.unique(table.groups, return_inverse=True)
        if len(distinct) > 1:
            return (random.permutation(len(distinct)) % N_ENCODING_FOLDS)[group]
    return random.integers(N_ENCODING_FOLDS, size=table.n_rows)


def _with_unseen(encoding: TargetEncoding, total: np.ndarray, prior: np.ndarray, smooth: float) -> TargetEncoding:
    """Give levels never seen the mean of their column.

    The mean is that of the column's rows that miss no value. Such levels count one row less than the rarest level. With
    none they would be sorted with the missing values where these are rarer than any level.

    total: (n_levels_in_all, n_signals) sums.
    """
    means, counts = encoding.means.copy(), encoding.counts.copy()
    end = 0
    for cardinality in encoding.cardinalities:
        levels, end = slice(end, end + cardinality), end + cardinality + N_OTHER
        seen = counts[levels][counts[levels] > 0]
        means[levels.stop] = (total[levels].sum(axis=0) + prior) / (seen.sum() + smooth)
        counts[levels.stop] = max(seen.min(initial=np.inf) - 1, 0.0) if len(seen) else 0.0
    return replace(encoding, means=means, counts=counts)


def _features(means: np.ndarray, counts: np.ndarray) -> np.ndarray:
    width = means.shape[1] * means.shape[2]
    return np.hstack([means.reshape(len(means), width), np.log1p(counts)]).astype(np.float32)


def _sums_by_fold(
    places: np.ndarray, fold: np.ndarray, signals: np.ndarray, weight: np.ndarray, n_levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return total weights and weighted sums, by fold.

    The weights are (n_folds, n_levels), the sums are (n_folds, n_levels, n_signals).
    """
    shape = (N_ENCODING_FOLDS, n_levels)
    counts, sums = np.zeros(shape), np.zeros((*shape, signals.shape[1]))
    for column in places.T:
        spots = fold * n_levels + column
        counts += np.bincount(spots, weight, counts.size).reshape(shape)
        for index, signal in enumerate(signals.T):
            sums[:, :, index] += np.bincount(spots, weight * signal, counts.size).reshape(shape)
    return counts, sums


@dataclass(frozen=True)
class OneHot:
    """Indicators, one for each level seen often enough.

    A column's rarer levels share one.

    columns, cardinalities: as for `lay_out`; indicators: (n_levels_in_all,) int64 the indicator of each level.
    """

    columns: np.ndarray
    cardinalities: np.ndarray
    indicators: np.ndarray

    @classmethod
    def fit(cls, table: Table, columns: np.ndarray, min_frequency: int) -> OneHot:
        """Give an indicator to each frequent level.

        A level of the categorical `columns` is frequent where it is in at least `min_frequency` rows.
        """
        cardinalities = np.array(table.cardinalities, dtype=np.int64)[columns]
        n_levels = cardinalities + N_OTHER
        counts = np.bincount(lay_out(table.codes, columns, cardinalities).ravel(), minlength=n_levels.sum())
        frequent = counts >= min_frequency
        owner = np.repeat(np.arange(len(columns)), n_levels)
        # The shared indicators come first, one a column.
        return cls(columns, cardinalities, np.where(frequent, len(columns) - 1 + np.cumsum(frequent), owner))

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        yield from layout_faults(self.columns, self.cardinalities)
        n_levels = int(np.sum(self.cardinalities + N_OTHER))
        # A sparse matrix is multiplied by compiled code that takes them as they are.
        if not is_whole(self.indicators) or not is_within(self.indicators, 0, max(1, n_levels + len(self.columns))):
            yield "an indicator is none of a column's"
        if len(self.indicators) != n_levels:
            yield f"it has {len(self.indicators)} indicators for {n_levels} levels"

    @property
    def n_indicators(self) -> int:
        """Return the number of columns that `transform` makes."""
        return int(self.indicators.max(initial=-1)) + 1

    def transform(self, codes: np.ndarray) -> Any:
        """Return the indicators as a float32 `scipy.sparse.csr_array`.

        It is (n_rows, n_indicators), and a row has a single 1 for each categorical column.
        """
        from scipy.sparse import csr_array

        ones = self.indicators[lay_out(codes, self.columns, self.cardinalities)]
        ends = np.arange(len(codes) + 1) * len(self.columns)
        return csr_array((np.ones(ones.size, np.float32), ones.ravel(), ends), (len(codes), self.n_indicators))
