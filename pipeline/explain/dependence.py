"""Shows how predictions change with one column.

Partial dependence (Friedman 2001) is the mean prediction of rows that all have one value of a column; individual
conditional expectations (Goldstein et al. 2015, arXiv 1309.6392) are the rows' own lines. The values are those of rows
that occur, so that a date's parts agree; where rows are few is told by `share`, which a plot draws as a rug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from stacktune.data.table import Table, Task
from stacktune.explain.columns import RawColumn, with_values_of
from stacktune.seeds import derive_seed

N_POINTS, MAX_LEVELS, MAX_ROWS = 20, 12, 300


def dependence(
    predict: Callable[[Table], np.ndarray], table: Table, task: Task, column: RawColumn, code: int, seed: int
) -> pd.DataFrame:
    """Return predictions at values of a column.

    code: of the class whose probability is looked at; 0 for values. Returns a row a value: its feature as `value`, the
    mean `prediction`, its 10th and 90th percentile over rows as `low` and `high`, and the `share` of rows that lie
    nearest to it.
    """
    random = np.random.default_rng(derive_seed(seed, "dependence", column.name))
    rows = np.sort(random.permutation(table.n_rows)[:MAX_ROWS])
    sample = table.take(rows)
    points, share = _points(table, column)
    found = []
    for point, part in zip(points, share, strict=True):
        values = table.features[point, list(column.features)]
        said = predict(with_values_of(sample, column.features, np.tile(values, (sample.n_rows, 1))))
        of_rows = said[:, code if task.is_classification else 0]
        low, high = np.quantile(of_rows, [0.1, 0.9])
        found.append((float(values[0]), float(of_rows.mean()), float(low), float(high), part))
    return pd.DataFrame(found, columns=["value", "prediction", "low", "high", "share"])


def _points(table: Table, column: RawColumn) -> tuple[Sequence[int], Sequence[float]]:
    """Return rows that stand for values, and their shares."""
    first = table.features[:, column.features[0]]
    known = np.flatnonzero(np.isfinite(first))
    if not len(known):
        return [], []
    if column.features[0] >= table.n_numeric:
        levels, at, counts = np.unique(first[known], return_index=True, return_counts=True)
        order = np.sort(np.argsort(-counts, kind="stable")[: min(MAX_LEVELS, len(levels))])
        return known[at[order]].tolist(), (counts[order] / len(first)).tolist()
    order = known[np.argsort(first[known], kind="stable")]
    places = np.unique(np.round(np.linspace(0, len(order) - 1, N_POINTS)).astype(np.int64))
    values, at = np.unique(first[order[places]], return_index=True)
    middles = (values[1:] + values[:-1]) / 2
    nearest = np.bincount(np.searchsorted(middles, first[known]), minlength=len(values))
    return order[places[at]].tolist(), (nearest / len(first)).tolist()
