"""Filled, scaled, outlier-proof numeric columns for linear models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stacktune.families._checks import is_real, is_whole, is_within

SQUASHED_BEYOND = 3.0  # the smooth clip of RealMLP (arXiv 2407.04491, appendix A): x / sqrt(1 + (x / 3)^2)
N_KNOTS, MIN_KNOTS = 17, 3
MAX_PIECES = 400  # columns that all numeric columns together may become


@dataclass(frozen=True)
class Scaling:
    """The filling and scaling of numeric columns.

    Columns are filled with their medians, then turned into one or more bounded columns each.

    knots: (n_knots, n_numeric) ascending quantiles of each column. With "squash" they only give the centre and the
    spread; with "piecewise" each gap between knots is a column that rises from 0 to 1 within it (piecewise-linear
    encoding, arXiv 2203.05556, section 3.2), so that a linear model fits any continuous curve with bends at the knots.
    gaps: (n_columns,) int64 which gap, of all columns' gaps laid end to end, each output column is.
    gappy: (n_missing,) int64 columns that have missing values in training, each of which also gets an indicator.
    """

    how: np.ndarray
    knots: np.ndarray
    gaps: np.ndarray
    gappy: np.ndarray

    @classmethod
    def fit(cls, numeric: np.ndarray, how: str) -> Scaling:
        """Learn from `numeric` (n_rows, n_numeric), where NaN is missing.

        `how` is "squash" or "piecewise".
        """
        n_numeric = numeric.shape[1]
        n_knots = int(np.clip(MAX_PIECES // max(n_numeric, 1), 2, N_KNOTS - 1)) + 1 if how == "piecewise" else 5
        missing = np.isnan(numeric)
        knots = np.zeros((n_knots, n_numeric))
        for index in range(n_numeric):
            present = numeric[~missing[:, index], index]
            if len(present):
                knots[:, index] = _spread_knots(present, n_knots)
        wide = np.diff(knots, axis=0).ravel() > 0
        return cls(np.array(how), knots, np.flatnonzero(wide), np.flatnonzero(missing.any(axis=0)))

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the arrays."""
        if str(self.how) not in ("squash", "piecewise") or not is_real(self.knots, 2) or len(self.knots) < MIN_KNOTS:
            yield "its numeric columns have no scale"
            return
        n_knots, n_numeric = self.knots.shape
        if not is_whole(self.gaps) or not is_within(self.gaps, 0, (n_knots - 1) * n_numeric):
            yield "a gap lies between no two knots"
        if not is_whole(self.gappy) or not is_within(self.gappy, 0, n_numeric):
            yield "an indicator of missing values is of no column"

    def transform(self, numeric: np.ndarray) -> np.ndarray:
        """Return the scaled columns, (n_rows, n_columns) float32."""
        missing = np.isnan(numeric)
        middle = self.knots[len(self.knots) // 2]
        filled = np.where(missing, middle, numeric)
        shaped = self._pieces(filled) if self.how == "piecewise" else self._squashed(filled)
        return np.hstack([shaped, missing[:, self.gappy]]).astype(np.float32)

    def _squashed(self, filled: np.ndarray) -> np.ndarray:
        low, middle, high = self.knots[1], self.knots[2], self.knots[3]
        quartiles, ends = high - low, self.knots[4] - self.knots[0]
        spread = np.where(quartiles > 0, quartiles / 1.349, np.where(ends > 0, ends / 4, 1.0))
        scaled = (filled - middle) / spread
        return scaled / np.sqrt(1 + np.square(scaled / SQUASHED_BEYOND))

    def _pieces(self, filled: np.ndarray) -> np.ndarray:
        n_numeric = self.knots.shape[1]
        pieces = np.empty((len(filled), len(self.gaps)), dtype=np.float32)
        for place, gap in enumerate(self.gaps):
            index, column = divmod(int(gap), n_numeric)
            low, high = self.knots[index, column], self.knots[index + 1, column]
            pieces[:, place] = np.clip((filled[:, column] - low) / (high - low), 0, 1)
        return pieces


def _spread_knots(present: np.ndarray, n_knots: int) -> np.ndarray:
    """Return knots between which about as many rows lie.

    They are (n_knots,) ascending values. A value weighs no more than one gap's share of the rows, or a column that is
    mostly zeros would have all its knots there. Repeated knots make gaps of no width, which become no column.
    """
    distinct, counts = np.unique(present, return_counts=True)
    capped = np.minimum(counts, max(1, len(present) // (n_knots - 1)))
    shares = (np.cumsum(capped) - capped[0]) / max(1, capped.sum() - capped[0])
    return np.interp(np.linspace(0, 1, n_knots), shares, distinct.astype(np.float64))
