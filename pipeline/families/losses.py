"""Losses for regression: their scales and row weights.

The module has the scale that each loss of values is fitted on, and the weights of rows under it.

Squared errors of log(1 + value) are squared errors on that scale. A share of the target, |prediction - target| /
|target|, is nearly a difference of logarithms. It is fitted by squares of those under weights 1 / |target|: where the
noise is lognormal with a variance of v, shares are least at exp(mean of logs - v), and so are the weighted squares. By
measurement this is nearer to the mark than weighted absolute errors of the values themselves, under which boosted trees
hardly ever split large ones.
"""

from __future__ import annotations

import numpy as np

from stacktune.objectives import (
    ABSOLUTE,
    HUBER,
    HUBER_DELTA,
    PERCENTAGE,
    POISSON,
    QUANTILE,
    SQUARED,
    SQUARED_LOG,
    TWEEDIE,
    kind_of,
    level_of,
)

# A target of zero would outweigh all others by far: what is below this share of the median size counts as if it were.
MIN_SHARE = 0.01
# What learners fit that know of squares only, by the scale of their labels and the weights of rows.
USUAL_LOSSES = frozenset({SQUARED, PERCENTAGE, SQUARED_LOG})
ALL_LOSSES = USUAL_LOSSES | {ABSOLUTE, QUANTILE, HUBER, POISSON, TWEEDIE}
# Losses that are least at the mean, as squares are, so that learners of squares may fit those in their place.
OF_MEANS = frozenset({POISSON, TWEEDIE})
# Losses whose learners give absolute values, or their like, by squares under other weights of rows.
REWEIGHTED = frozenset({ABSOLUTE, QUANTILE, HUBER})
LOGARITHMIC = frozenset({SQUARED_LOG, PERCENTAGE})

# The least float above -1.
BELOW_ALL = np.nextafter(-1.0, 0.0)


def unit_of(target: np.ndarray, loss: str) -> float:
    """Return the least size that a target counts as.

    Shares of a smaller target are taken as if it were that large. For other losses than shares the size is 1.
    """
    sizes = np.abs(target[target != 0])
    return MIN_SHARE * float(np.median(sizes)) if loss == PERCENTAGE and len(sizes) else 1.0


def scaled(values: np.ndarray, loss: str, unit: float) -> np.ndarray:
    """Return values on the scale where `loss` is fitted."""
    if loss == SQUARED_LOG:
        return np.log1p(np.maximum(values, BELOW_ALL))
    if loss == PERCENTAGE:
        return np.sign(values) * np.log1p(np.abs(values) / unit)
    return values


def unscaled(values: np.ndarray, loss: str, unit: float) -> np.ndarray:
    """Return the values that `scaled` was given."""
    if loss == SQUARED_LOG:
        return np.maximum(np.expm1(values), BELOW_ALL)
    if loss == PERCENTAGE:
        return np.sign(values) * np.expm1(np.abs(values)) * unit
    return values


def relative_weight(target: np.ndarray, unit: float) -> np.ndarray:
    """Return (n_rows,) weights that turn errors into shares.

    Under them, errors are shares of the target.
    """
    return 1 / np.maximum(np.abs(target), unit)


def inverse_size(gap: np.ndarray, least: float) -> np.ndarray:
    """Return weights that turn squares into absolute values.

    Under them, squares of `gap` are as large as its absolute values; gaps below `least` weigh no heavier. Fitting
    squares under them again and again fits absolute errors (iteratively reweighted least squares, Schlossmacher 1973).
    """
    return 1 / np.maximum(np.abs(gap), least)


def nearness(gap: np.ndarray, loss: str, least: float, spread: float = 1.0) -> np.ndarray:
    """Return weights that turn squares into a loss.

    Under them, squares of `gap` go with its absolute value, its pinball loss or Huber's, see `inverse_size`.

    gap: of targets less predictions. spread: in whose units Huber's loss has its width.
    """
    if kind_of(loss) == HUBER:
        return np.minimum(1.0, HUBER_DELTA * spread / np.maximum(np.abs(gap), least))
    weights = inverse_size(gap, least)
    if kind_of(loss) == QUANTILE:
        level = level_of(loss)
        weights = weights * np.where(gap > 0, level, 1 - level)
    return weights


def weighted_median(values: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the weighted median of (n,) values."""
    return float(np.median(values)) if weight is None else weighted_quantile(values, weight, 0.5)


def weighted_quantile(values: np.ndarray, weight: np.ndarray | None, level: float) -> float:
    """Return the least value below which a share lies.

    values: (n,). weight: (n,) or None.
    """
    order = np.argsort(values, kind="stable")
    total = np.cumsum(np.ones(len(values)) if weight is None else weight[order], dtype=np.float64)
    place = np.searchsorted(total, level * total[-1] * (1 - 1e-12))
    return float(values[order[min(place, len(values) - 1)]])
