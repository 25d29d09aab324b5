"""Compares two tables, column by column.

A model that is judged on rows unlike those that it learnt from is judged on something else than it was made for. Of
numbers and dates the largest gap between the two distribution functions is told (Kolmogorov and Smirnov), of levels
half the sum of the gaps between their shares (the total variation); 0 is the same, and 1 nothing in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stacktune.data.schema import Schema
from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table

# A column has drifted from such a distance on, where chance explains it once in a thousand tables.
MIN_DISTANCE, MAX_P = 0.1, 0.001
MAX_ROWS = 20_000


@dataclass(frozen=True)
class Drift:
    """How far a column's values lie apart.

    distance: from 0 to 1. p_value: of the two being alike, of this column alone.
    """

    column: str
    distance: float
    p_value: float


def drifts(one: Table, other: Table, schema: Schema) -> list[Drift]:
    """Return each column's drift, the largest first.

    schema: by which both are encoded. A missing value is a value of its own.
    """
    one, other = _some(one), _some(other)
    found = []
    for column in schema.ordered:
        values = [table.features[:, schema.places[column.name][0]] for table in (one, other)]
        of_column = _levels(values, len(column.categories)) if column.is_coded else _numbers(values)
        found.append(Drift(column.name, *of_column))
    return sorted(found, key=lambda drift: -drift.distance)


def drifted(found: Sequence[Drift]) -> list[Drift]:
    """Return those that are far, and not by chance."""
    limit = MAX_P / max(1, len(found))
    return [drift for drift in found if drift.distance >= MIN_DISTANCE and drift.p_value < limit]


def _some(table: Table) -> Table:
    return table if table.n_rows <= MAX_ROWS else table.take(evenly_spread(table.n_rows, MAX_ROWS))


def _numbers(values: Sequence[np.ndarray]) -> tuple[float, float]:
    from scipy.stats import ks_2samp

    both = [np.where(np.isfinite(one), one, np.float32(np.finfo(np.float32).max)) for one in values]
    result = ks_2samp(*both, method="asymp")
    return float(result.statistic), float(result.pvalue)


def _levels(values: Sequence[np.ndarray], n_levels: int) -> tuple[float, float]:
    from scipy.stats import chi2_contingency

    # The level after the last is one that training did not have, and the one after that a missing value.
    codes = [np.where(np.isfinite(one), one, n_levels + 1).astype(np.int64) for one in values]
    counts = np.array([np.bincount(one, minlength=n_levels + 2) for one in codes])
    counts = counts[:, counts.sum(axis=0) > 0]
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if counts.shape[1] < 2:
        return distance, 1.0
    return distance, float(chi2_contingency(counts).pvalue)
