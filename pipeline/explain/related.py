"""Finds columns that say the same.

Of two that do, a model may use either: where one is shuffled, the other still tells, and neither seems to matter. So
they are also shuffled together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from stacktune.data.table import Table
from stacktune.explain.columns import RawColumn

# From so strong an association on, see `association`.
MIN_ASSOCIATION = 0.8
MAX_ROWS_LOOKED_AT, MAX_COLUMNS = 5_000, 200
# Of more levels a table of counts says more about chance than about the columns.
MAX_LEVELS = 50
# Of fewer rows that have both, two columns have nothing in common.
MIN_PAIRS = 10


def groups_of(table: Table, columns: Sequence[RawColumn], deadline: float = math.inf) -> list[list[RawColumn]]:
    """Return groups of columns that say the same.

    Complete linkage: a chain of neighbours whose ends have nothing in common is no group. Columns of no group are left
    out, and none are looked for among more than MAX_COLUMNS. deadline: on `time.monotonic()`'s scale; pairs that are
    not looked at by then have nothing in common.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if not 2 <= len(columns) <= MAX_COLUMNS:
        return []
    step = max(1, table.n_rows // MAX_ROWS_LOOKED_AT)
    features = table.features[::step]
    firsts = [one.features[0] for one in columns]
    strength = np.eye(len(columns))
    numbers = [place for place, first in enumerate(firsts) if first < table.n_numeric]
    strength[np.ix_(numbers, numbers)] = _rank_correlations(features[:, [firsts[place] for place in numbers]])
    for place, other in combinations(range(len(columns)), 2):
        if time.monotonic() >= deadline:
            break
        if max(firsts[place], firsts[other]) >= table.n_numeric:
            found = association(table, features, firsts[place], firsts[other])
            strength[place, other] = strength[other, place] = found
    tree = linkage(squareform(1 - strength, checks=False), method="complete")
    labels = fcluster(tree, 1 - MIN_ASSOCIATION, criterion="distance")
    found_groups = [
        [one for one, own in zip(columns, labels, strict=True) if own == label] for label in np.unique(labels)
    ]
    return [group for group in found_groups if len(group) > 1]


def _rank_correlations(features: np.ndarray) -> np.ndarray:
    """Return (n_columns, n_columns) absolute correlations of ranks.

    Each is over the rows that have both; ranks are those among all rows of a column.
    """
    known = np.isfinite(features)
    ranks = np.zeros(features.shape)
    for place in range(features.shape[1]):
        own = _ranks(features[known[:, place], place])
        ranks[known[:, place], place] = own - (own.mean() if len(own) else 0.0)
    weight = known.astype(np.float64)
    count = np.maximum(weight.T @ weight, 1.0)
    sums, squares = ranks.T @ weight, np.square(ranks).T @ weight
    spread = np.maximum(squares - np.square(sums) / count, 0.0)
    scale = np.sqrt(spread * spread.T)
    shared = ranks.T @ ranks - sums * sums.T / count
    found = np.abs(np.divide(shared, scale, out=np.zeros_like(shared), where=(scale > 0) & (count >= MIN_PAIRS)))
    np.fill_diagonal(found, 1.0)
    return np.minimum(found, 1.0)


def association(table: Table, features: np.ndarray, one: int, other: int) -> float:
    """Return how much two features tell, 0 to 1.

    Of numbers it is Spearman's correlation, of levels Cramér's V with Bergsma's correction (2013), and of both the
    correlation ratio of ranks. Rows that miss either are left out.
    """
    is_level = [place >= table.n_numeric for place in (one, other)]
    pair = features[:, [one, other]].astype(np.float64)
    pair = pair[np.isfinite(pair).all(axis=1)]
    if len(pair) < MIN_PAIRS or (pair == pair[0]).all(axis=0).any():
        return 0.0
    if not any(is_level):
        return abs(_spearman(pair[:, 0], pair[:, 1]))
    if all(is_level):
        return _cramer(pair[:, 0], pair[:, 1])
    levels, numbers = (pair[:, 0], pair[:, 1]) if is_level[0] else (pair[:, 1], pair[:, 0])
    return _ratio(levels, _ranks(numbers))


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(values)
    return ranks


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _cramer(one: np.ndarray, other: np.ndarray) -> float:
    (rows, row), (columns, column) = (np.unique(values, return_inverse=True) for values in (one, other))
    k, m, n = len(rows), len(columns), len(one)
    if max(k, m) > MAX_LEVELS or min(k, m) < 2:
        return 0.0
    counts = np.bincount(row * m + column, minlength=k * m).reshape(k, m)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / n
    phi2 = ((counts - expected) ** 2 / expected).sum() / n
    phi2 = max(0.0, phi2 - (k - 1) * (m - 1) / (n - 1))
    k_corrected, m_corrected = (size - (size - 1) ** 2 / (n - 1) for size in (k, m))
    return float(np.sqrt(min(1.0, phi2 / max(1e-12, min(k_corrected, m_corrected) - 1))))


def _ratio(levels: np.ndarray, values: np.ndarray) -> float:
    """Return the correlation ratio, less what chance gives it."""
    _, level = np.unique(levels, return_inverse=True)
    k, n = int(level.max()) + 1, len(values)
    if k > MAX_LEVELS or n <= k:
        return 0.0
    sizes = np.bincount(level)
    means = np.bincount(level, values) / sizes
    between = (sizes * (means - values.mean()) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    return float(np.sqrt(max(0.0, 1 - (1 - between) * (n - 1) / (n - k))))
