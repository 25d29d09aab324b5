"""Measures of decisions, from counts.

The confusion counts are (…, k, k), true classes before decided ones, so that all thresholds are tried in one call.
"""

from __future__ import annotations

import numpy as np


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Return the share of right decisions."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """Return mean recall over the classes that occur."""
    support = counts.sum(axis=-1)
    recall = np.diagonal(counts, axis1=-2, axis2=-1) / np.where(support > 0, support, 1)
    return recall.sum(axis=-1) / (support > 0).sum(axis=-1)


def f1(counts: np.ndarray) -> np.ndarray:
    """Return F1 of the second of two classes.

    With more, it is the mean over classes that occur or are decided (zero without a hit).
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    named = counts.sum(axis=-1) + counts.sum(axis=-2)
    of_each = 2 * hits / np.where(named > 0, named, 1)
    return of_each[..., 1] if counts.shape[-1] == 2 else of_each.sum(axis=-1) / (named > 0).sum(axis=-1)


def mcc(counts: np.ndarray) -> np.ndarray:
    """Return Matthews correlation (Gorodkin 2004, R_K).

    It is zero where target or decisions are constant.
    """
    true, decided, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))
    covariance = np.trace(counts, axis1=-2, axis2=-1) * total - (true * decided).sum(axis=-1)
    spread = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (decided**2).sum(axis=-1))
    return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


DECISIONS = {"f1": f1, "accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "mcc": mcc}
