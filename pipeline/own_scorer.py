"""Asks a scikit-learn scorer about predictions.

A scorer takes an estimator; one that says what it is told stands in for the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def scored(
    scorer: Callable[..., Any],
    prediction: np.ndarray,
    decided: np.ndarray | None,
    classes: np.ndarray | None,
    truth: np.ndarray,
    more: Mapping[str, Any],
) -> Any:
    """Return what a scorer says of predictions.

    prediction: (n, n_outputs), of the sorted `classes`. decided: (n,) classes; both None for values.
    """
    return scorer(_stand_in(decided, classes), prediction, truth, **more)


def asked_of(scorer: Callable[..., Any], prediction: np.ndarray, classes: np.ndarray | None, truth: np.ndarray) -> str:
    """Return the last method that a scorer calls."""
    estimator = _stand_in(truth, classes)
    scorer(estimator, prediction, truth)
    return str(estimator.asked)


def _stand_in(decided: np.ndarray | None, classes: np.ndarray | None) -> Any:
    """Return an estimator whose rows are predictions already."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Regressor(RegressorMixin, BaseEstimator):
        def predict(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, 0]

    class Classifier(ClassifierMixin, BaseEstimator):
        asked = ""
        classes_ = classes

        def predict(self, rows: np.ndarray) -> np.ndarray | None:
            self.asked = "predict"
            return decided

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            self.asked = "predict_proba"
            return rows

    return Regressor() if classes is None else Classifier()
