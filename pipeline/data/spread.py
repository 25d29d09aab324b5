"""Picks some of many rows, evenly spread."""

from __future__ import annotations

import numpy as np


def evenly_spread(n_rows: int, n_wanted: int) -> np.ndarray:
    """Return ascending int64 positions, evenly spread.

    They are among `n_rows`: so many as wanted, or all where there are fewer.
    """
    return np.linspace(0, n_rows - 1, min(n_wanted, n_rows)).astype(np.int64)
