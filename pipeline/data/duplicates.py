"""Rows that are there twice."""

from __future__ import annotations

import numpy as np

from pipeline.data.table import Table

_SEED = 20_201


def first_rows(table: Table) -> np.ndarray:
    """Return (n_rows,) int64: for each row the first one with the same features and target, itself where there is none.

    Rows are compared by a 64-bit sum of their bits with random factors, which lets two rows in 10^18 pass for one.
    """
    factors = np.random.default_rng(_SEED).integers(1, 2**63, table.n_features + 1, dtype=np.uint64) * 2 + 1
    keys = np.asarray(table.target, dtype=np.float64).view(np.uint64) * factors[-1]
    bits = table.features.view(np.uint32)
    for place in range(table.n_features):
        keys += bits[:, place].astype(np.uint64) * factors[place]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return first[group]
