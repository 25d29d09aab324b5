"""Makes tables that families are checked on.

They are small and mixed, and it is known what they tell.
"""

from __future__ import annotations

import numpy as np

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Table, Task

N_ROWS, N_TRAINED = 360, 280
N_GAPPED = 1000
TASKS = {
    BINARY: Task(BINARY, ("no", "yes")),
    MULTICLASS: Task(MULTICLASS, ("ash", "beech", "oak")),
    REGRESSION: Task(REGRESSION),
}


def make_table(kind: str, seed: int = 0) -> Table:
    """Return a mixed table, all of which tells.

    It has 4 numeric columns, one with gaps, and 3 categorical ones of 2, 6 and 40 levels.
    """
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(N_ROWS, 4))
    cardinalities = (2, 6, 40)
    codes = np.column_stack([rng.integers(count, size=N_ROWS) for count in cardinalities])
    signal = 1.5 * numeric[:, 0] - np.abs(numeric[:, 1]) + codes[:, 0] + np.sin(codes[:, 1]) + (codes[:, 2] % 5) / 2
    target = _target(kind, signal + 0.3 * rng.normal(size=N_ROWS))
    numeric[rng.random(N_ROWS) < 0.1, 2] = np.nan
    features = np.hstack([numeric, codes]).astype(np.float32)
    features[rng.random(N_ROWS) < 0.05, 6] = np.nan
    return Table(features, tuple("abcdefg"), cardinalities, target).sealed()


def make_telling_gaps(kind: str, seed: int = 0) -> Table:
    """Return a table whose missing values say all.

    It has 2 numeric columns and 4 categorical ones of 2, 6, 40 and 120 levels. Where a value is missing, the target is
    the last class, or a high value. The last of the 6 and of the 40 levels is in no row.
    """
    rng = np.random.default_rng(seed)
    cardinalities = (2, 6, 40, 120)
    numeric = rng.normal(size=(N_GAPPED, 2))
    codes = np.column_stack([rng.integers(count, size=N_GAPPED) for count in cardinalities]).astype(np.float32)
    codes[:, 1:3] %= [5, 39]
    gaps = rng.random((N_GAPPED, len(cardinalities))) < [0.06, 0.06, 0.08, 0.14]
    signal = numeric[:, 0] + 0.5 * codes[:, 0] + 0.5 * np.sin(codes[:, 1]) + (codes[:, 2] % 3 + codes[:, 3] % 3) / 4
    signal[gaps.any(axis=1)] = np.quantile(signal, 0.98)
    codes[gaps] = np.nan
    features = np.hstack([numeric, codes]).astype(np.float32)
    return Table(features, tuple("abcdef"), cardinalities, _target(kind, signal)).sealed()


def _target(kind: str, signal: np.ndarray) -> np.ndarray:
    if kind == REGRESSION:
        return 100.0 + 20.0 * signal
    n_classes = len(TASKS[kind].classes)
    edges = np.quantile(signal, np.linspace(0, 1, n_classes + 1)[1:-1])
    return np.searchsorted(edges, signal).astype(np.int32)


def target_of(table: Table) -> np.ndarray:
    """Return the target of a table that has one."""
    if table.target is None:
        raise ValueError("the table has no target")
    return table.target


def unlabelled(table: Table, rows: np.ndarray | slice = slice(None)) -> Table:
    """Return a copy of some rows, without their target."""
    return Table(table.features[rows].copy(), table.names, table.cardinalities)
