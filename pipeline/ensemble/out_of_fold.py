"""Predictions of a leaderboard's row by models that had not seen.

They judge what is made of the row afterwards: intervals, and temperatures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stacktune.data.folds import Folds
from stacktune.ensemble.rows import LeaderboardRow


def honest_predictions(row: LeaderboardRow, oof: Mapping[str, np.ndarray], folds: Folds) -> np.ndarray:
    """Return (n_rows, n_outputs) predictions of a completed row.

    Those of an ensemble are, block by block, of the blend that was learnt without the block. They are NaN for rows that
    nobody held out.

    oof: out-of-fold predictions by trial, at least of `trials_behind` the row.
    """
    parts = [oof[name] for name in trials_behind(row)]
    honest = np.full_like(parts[0], np.nan, dtype=np.float64)
    for block in range(folds.n_blocks):
        rows = folds.block_rows(block)
        of_members = [part[rows] for part in parts]
        honest[rows] = row.nested[block].combine(of_members) if row.nested else of_members[0]
    return honest


def trials_behind(row: LeaderboardRow) -> tuple[str, ...]:
    """Return the trials whose predictions the row rests on."""
    return row.candidates or row.members
