"""Shows how predictions change with one column.

Partial dependence (Friedman 2001) is the mean prediction of rows that all have one value of a column; individual
conditional expectations (Goldstein et al. 2015, arXiv 1309.6392) are the rows' own lines. The values are those of rows
that occur, so that a date's parts agree; where rows are few is told by `share`, which a plot draws as a rug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.table import Table, Task
from stacktune.explain.columns import RawColumn
from stacktune.seeds import derive_seed

N_POINTS, MAX_LEVELS, MAX_ROWS = 20, 12, 300
N_LINES = 30
# Of a wide table, values that are asked about in one go.
MAX_CELLS = 8_000_000
# Digits of float32, in which numbers come back; of those far from zero an offset was kept in float64.
_N_DIGITS, _N_DIGITS_WITH_OFFSET, _MAX_WHOLE = 7, 15, 1e15


@dataclass(frozen=True)
class Curves:
    """Predictions of rows at values of a column.

    values: (n_points,) of its first feature. lines: (n_points, n_rows) predictions. shares: (n_points,) of all rows,
    those that lie nearest. rows: (n_rows,) positions in the table; weight: (n_rows,) theirs, or None.
    """

    values: np.ndarray
    lines: np.ndarray
    shares: np.ndarray
    rows: np.ndarray
    weight: np.ndarray | None = None

    def dependence(self) -> pd.DataFrame:
        """Return a row a value.

        It has its feature as `value`, the mean `prediction`, its 10th and 90th percentile over rows as `low` and
        `high`, and the `share` of rows.
        """
        if not len(self.values):
            return pd.DataFrame([], columns=["value", "prediction", "low", "high", "share"])
        low, high = np.quantile(self.lines, [0.1, 0.9], axis=1)
        mean = np.average(self.lines, axis=1, weights=self.weight)
        return pd.DataFrame(
            {"value": self.values, "prediction": mean, "low": low, "high": high, "share": self.shares}
        ).astype(np.float64)

    def ice(self, n_lines: int = N_LINES) -> pd.DataFrame:
        """Return the lines of the first so many rows.

        They are a row a value of each: position as `row`, `value` and `prediction`.
        """
        lines = self.lines[:, :n_lines].T
        n_rows, n_points = lines.shape
        return pd.DataFrame(
            {
                "row": np.repeat(self.rows[:n_rows], n_points),
                "value": np.tile(self.values, n_rows),
                "prediction": lines.ravel(),
            }
        )


def curves(
    predict: Callable[[Table], np.ndarray],
    table: Table,
    task: Task,
    column: RawColumn,
    code: int,
    seed: int,
    n_rows: int = MAX_ROWS,
) -> Curves:
    """Return predictions at values of a column.

    code: of the class whose probability is looked at; 0 for values. n_rows: that are drawn.
    """
    random = np.random.default_rng(derive_seed(seed, "dependence", column.name))
    points, share = _points(table, column)
    n_within = MAX_CELLS // max(1, len(points) * table.n_features)
    rows = random.permutation(table.n_rows)[: min(n_rows, max(N_LINES, n_within))]
    features = list(column.features)
    weight = None if table.weight is None else table.weight[rows]
    if not len(points):
        return Curves(np.empty(0), np.empty((0, len(rows))), np.empty(0), rows, weight)
    asked = table.take(np.tile(rows, len(points)))
    asked.features[:, features] = np.repeat(table.features[np.ix_(points, features)], len(rows), axis=0)
    said = predict(asked)[:, code if task.is_classification else 0].reshape(len(points), len(rows))
    return Curves(table.features[points, features[0]], said, np.array(share), rows, weight)


def dependence(
    predict: Callable[[Table], np.ndarray], table: Table, task: Task, column: RawColumn, code: int, seed: int
) -> pd.DataFrame:
    """Return the partial dependence alone; see `Curves`."""
    return curves(predict, table, task, column, code, seed).dependence()


def in_words(frame: pd.DataFrame, column: Column) -> pd.DataFrame:
    """Return a frame whose values are the column's own.

    `value` is text then: a level, a date or a number; `number` is NaN for levels, and seconds since 1970 for dates.
    """
    encoded = frame["value"].to_numpy(dtype=np.float64)
    texts, numbers = _shown(column, encoded)
    shown = frame.assign(column=column.name, kind=column.kind, value=texts, number=numbers)
    first = ["column", "kind", "value", "number"]
    return shown[[*(["row"] if "row" in frame else []), *first, *(c for c in frame if c not in ("row", *first))]]


def _shown(column: Column, encoded: np.ndarray) -> tuple[list[str], np.ndarray]:
    if column.is_coded:
        texts = [column.categories[int(code)] if code < len(column.categories) else "(unseen)" for code in encoded]
        return texts, np.full(len(encoded), np.nan)
    numbers = column.scale.undo(encoded)
    if column.kind == "datetime":
        seconds = np.round(numbers)
        return [_date_text(one) for one in seconds], seconds
    n_digits = _N_DIGITS_WITH_OFFSET if column.scale.offset else _N_DIGITS
    numbers = np.array([float(f"{number:.{n_digits}g}") for number in numbers])
    return [_number_text(number) for number in numbers.tolist()], numbers


def _number_text(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < _MAX_WHOLE else repr(number)


def _date_text(seconds: float) -> str:
    moment = pd.Timestamp("1970-01-01").as_unit("s") + pd.Timedelta(int(seconds), "s")
    return moment.strftime("%Y-%m-%d") if moment == moment.normalize() else moment.isoformat(sep=" ")


def _points(table: Table, column: RawColumn) -> tuple[Sequence[int], Sequence[float]]:
    """Return rows that stand for values, and their shares."""
    first = table.features[:, column.features[0]]
    known = np.flatnonzero(np.isfinite(first))
    if not len(known):
        return [], []
    values, at, counts = np.unique(first[known], return_index=True, return_counts=True)
    if column.features[0] >= table.n_numeric:
        order = np.sort(np.argsort(-counts, kind="stable")[: min(MAX_LEVELS, len(values))])
        return known[at[order]].tolist(), (counts[order] / len(first)).tolist()
    places = _grid(counts)
    middles = (values[places[1:]] + values[places[:-1]]) / 2
    nearest = np.bincount(np.searchsorted(middles, first[known]), minlength=len(places))
    return known[at[places]].tolist(), (nearest / len(first)).tolist()


def _grid(counts: np.ndarray) -> np.ndarray:
    """Return places among sorted, distinct values.

    They are quantiles of the rows. In a column that is mostly zero these collapse onto few values, between which a
    straight line would be drawn over any step: quantiles of the other values make up for it.

    counts: rows of each value.
    """
    ranks = np.round(np.linspace(0, counts.sum() - 1, N_POINTS))
    of_rows = np.unique(np.searchsorted(counts.cumsum(), ranks, side="right"))
    others = np.setdiff1d(np.arange(len(counts)), of_rows)
    n_more = min(N_POINTS - len(of_rows), len(others))
    more = ((np.arange(n_more) + 0.5) * len(others) / max(1, n_more)).astype(np.int64)
    return np.sort(np.concatenate([of_rows, others[more]]))
