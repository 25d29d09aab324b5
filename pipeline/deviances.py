"""Measures errors of quantiles, counts and amounts.

They are scikit-learn's `mean_pinball_loss` and `mean_tweedie_deviance`, in plain numpy.
"""

from __future__ import annotations

import numpy as np

# A prediction of zero for a target above it is infinitely wrong; what is below this counts as if it were this.
_TINY = 1e-12


def pinball(
    level: float, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float
) -> float:
    """Return the mean pinball loss at a quantile.

    It is least at that quantile of the targets (Koenker and Bassett 1978).
    """
    gap = target - prediction[:, 0]
    return float(np.average(np.maximum(level * gap, (level - 1) * gap), weights=weight))


def tweedie_deviance(
    power: float, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float
) -> float:
    """Return the mean deviance of a Tweedie distribution.

    Its variance goes with the mean to the power: 1 is Poisson's, up to 2 are amounts of which many are zero (Jorgensen
    1987). Predictions count as above zero, and it is NaN where a target is below.
    """
    if (target < 0).any():
        return float("nan")
    mean = np.maximum(prediction[:, 0], _TINY)
    if power == 1:
        ratio = np.where(target > 0, target, mean) / mean
        deviance = 2 * (target * np.log(ratio) - target + mean)
    else:
        left, right = 1 - power, 2 - power
        deviance = 2 * (target**right / (left * right) - target * mean**left / left + mean**right / right)
    return float(np.average(deviance, weights=weight))
