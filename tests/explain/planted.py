"""Tables whose drivers are known, and functions in the place of models."""

from __future__ import annotations

import numpy as np

from stacktune.data.table import BINARY, REGRESSION, Table, Task
from stacktune.explain.columns import RawColumn

VALUES, CLASSES = Task(REGRESSION), Task(BINARY, ("no", "yes"), ("no", "yes"))


def columns_of(table: Table) -> list[RawColumn]:
    return [RawColumn(name, (place,)) for place, name in enumerate(table.names)]


def planted(n_rows: int = 800, seed: int = 0) -> Table:
    """Return y = 3a + b (level) + noise, with a's twin, and four columns of noise; b has five levels."""
    random = np.random.default_rng(seed)
    a, noise = random.normal(size=n_rows), random.normal(size=(n_rows, 4))
    b = random.integers(5, size=n_rows)
    twin = a + 0.05 * random.normal(size=n_rows)
    features = np.column_stack([a, twin, noise, b]).astype(np.float32)
    target = 3 * a + b + random.normal(size=n_rows)
    return Table(features, ("a", "twin", "n1", "n2", "n3", "n4", "b"), (5,), target)


def true_mean(table: Table) -> np.ndarray:
    """Predict what the target is without noise."""
    return (3 * table.features[:, 0] + table.features[:, 6]).astype(np.float64).reshape(-1, 1)
