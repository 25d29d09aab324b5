"""Makes a few background rows speak for many.

The problem: what a column gives to a prediction is its effect in place of the background rows' values. Most of the
chance in its mean is which rows these are, and each costs a chain of predictions.

What did not work: a small model of the coalitions (LightGBM on who had joined, corrected by what it left over, as
ProxySHAP of shapiq does) leaves that chance as it is, as it does not see the background rows: standard deviations were
.98 to 1.2 times those without. An additive model of the rows themselves brought .52 to .72 times, but its fit took
longer than as many more background rows.

The solution is the oldest regression adjustment of all, post-stratification: values of a column part the rows into
strata (levels, or sixths of its numbers), how often each occurs is known of all rows that there are, and each stratum's
mean effect is moved to that share. The mean for a row is of the other rows, so that no row corrects itself and the
mean stays unbiased; that of few rows is drawn towards that of all. At equal predictions standard deviations were .37 to
.67 times those without (tests/benchmarks/README.md), for next to no time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stacktune.data.table import Table
from stacktune.explain.columns import RawColumn

N_STRATA = 6
# A stratum's mean counts as if so many rows more had the mean of all.
SHRINKAGE = 1.0


def adjusted(values: np.ndarray, few: Table, crowd: Table, columns: Sequence[RawColumn]) -> np.ndarray:
    """Return values that average to those of the crowd.

    values: (n_few, n_columns) what columns give in place of each of `few` rows, which are of the crowd. What is
    returned has that shape; its spread is that of the adjusted mean.
    """
    if len(values) < 3:
        return values
    found = np.empty_like(values)
    for place, column in enumerate(columns):
        own, of_crowd = _strata(few, crowd, column.features[0])
        shares = np.bincount(of_crowd, minlength=int(max(own.max(), of_crowd.max())) + 1) / len(of_crowd)
        found[:, place] = _post_stratified(values[:, place], own, shares)
    return found


def _strata(few: Table, crowd: Table, feature: int) -> tuple[np.ndarray, np.ndarray]:
    both = np.concatenate([few.features[:, feature], crowd.features[:, feature]])
    is_missing = np.isnan(both)
    if feature < crowd.n_numeric and not is_missing.all():
        edges = np.unique(np.nanquantile(crowd.features[:, feature], np.arange(1, N_STRATA) / N_STRATA))
        both = np.searchsorted(edges, both, side="right").astype(np.float64)
    _, strata = np.unique(np.where(is_missing, -1.0, both), return_inverse=True)
    return strata[: few.n_rows], strata[few.n_rows :]


def _post_stratified(values: np.ndarray, strata: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return values moved to the strata's shares.

    Each is less its stratum's mean, plus that of all strata by their shares. Means are of the other rows alone.
    """
    n, rows = len(values), np.arange(len(values))
    sums = np.tile(np.bincount(strata, values, len(shares)), (n, 1))
    counts = np.tile(np.bincount(strata, minlength=len(shares)).astype(np.float64), (n, 1))
    sums[rows, strata] -= values
    counts[rows, strata] -= 1
    others = (values.sum() - values) / (n - 1)
    means = (sums + SHRINKAGE * others[:, None]) / (counts + SHRINKAGE)
    return values - means[rows, strata] + means @ shares
