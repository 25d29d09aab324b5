"""The encoded table that every trial shares, read-only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stacktune.objectives import SQUARED

BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"


@dataclass(frozen=True)
class Task:
    """The task: what is predicted.

    classes: the text of each class in code order; empty for regression. Of two classes the second is the positive one.
    labels: the classes as the target itself holds them: truth values, numbers or text.
    loss: what models of values fit, see Metric.loss. Models of classes always fit the log loss.
    class_weights: what rows of each class weigh while models learn; predictions are of the classes as they are. Empty
        where they weigh the same.
    monotone: (feature, 1 or -1) of features that predictions are to rise or fall with.
    interactions: groups of features, of which only those of one group may act on one another; empty for any.
    """

    kind: str
    classes: tuple[str, ...] = ()
    labels: tuple[bool | int | float | str, ...] = ()
    loss: str = SQUARED
    class_weights: tuple[float, ...] = ()
    monotone: tuple[tuple[str, int], ...] = ()
    interactions: tuple[tuple[str, ...], ...] = ()

    @property
    def is_classification(self) -> bool:
        return self.kind != REGRESSION

    @property
    def n_outputs(self) -> int:
        """Return how many columns a prediction has.

        There is one probability a class, or one value.
        """
        return len(self.classes) if self.is_classification else 1

    @property
    def positive(self) -> str | None:
        """Return the positive class of two, else None.

        It is the one that F1, average precision and thresholds are about.
        """
        return self.classes[1] if self.kind == BINARY else None

    @property
    def prediction_name(self) -> str:
        """Return the name of a prediction's column.

        For values or decided classes it is "prediction", unless a class is called so.
        """
        name = "prediction"
        while name in self.classes:
            name += "_"
        return name


@dataclass(frozen=True)
class Table:
    """A table encoded once, each row an example.

    features: (n_rows, n_features) float32, C-contiguous. Numeric columns come first; NaN is a missing value. Then the
        categorical columns as whole codes 0 … cardinality-1; the cardinality itself is a level that the training table
        does not have, and NaN a missing value.
    names: the n_features column names, in the order of `features`.
    cardinalities: one count for each categorical column, so `len(cardinalities)` trailing columns are categorical.
    target: (n_rows,) int32 class codes or float64 values; None for a table to predict.
    weight: (n_rows,) float32 positive sample weights, or None.
    groups: (n_rows,) int64 numbers of groups whose rows belong together; None where each row is by itself.
    """

    features: np.ndarray
    names: tuple[str, ...]
    cardinalities: tuple[int, ...] = ()
    target: np.ndarray | None = None
    weight: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        return self.features.shape[0]

    @property
    def labels(self) -> np.ndarray:
        """Return the target of a labelled table."""
        if self.target is None:
            raise TypeError("a table to predict has no target")
        return self.target

    @property
    def n_features(self) -> int:
        return self.features.shape[1]

    @property
    def n_numeric(self) -> int:
        return self.n_features - len(self.cardinalities)

    @property
    def numeric(self) -> np.ndarray:
        """Return the numeric features, as a view.

        They are (n_rows, n_numeric) float32.
        """
        return self.features[:, : self.n_numeric]

    @property
    def codes(self) -> np.ndarray:
        """Return (n_rows, n_categorical) float32 codes, as a view.

        They are whole; the cardinality is never seen, NaN missing.
        """
        return self.features[:, self.n_numeric :]

    @cached_property
    def categorical_indices(self) -> list[int]:
        """Return the positions of categorical columns in `features`."""
        return list(range(self.n_numeric, self.n_features))

    def take(self, rows: np.ndarray) -> Table:
        """Return a copy of `rows` only.

        They are integer positions, in their order.
        """
        return replace(
            self,
            features=self.features[rows],
            target=None if self.target is None else self.target[rows],
            weight=None if self.weight is None else self.weight[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def without_features(self) -> Table:
        """Return a table of the targets and weights only.

        Its rows are the same, and it has no feature.
        """
        return replace(self, features=np.empty((self.n_rows, 0), np.float32), names=(), cardinalities=())

    def sealed(self) -> Table:
        """Return this table with read-only arrays.

        Ray hands them out so.
        """
        for array in (self.features, self.target, self.weight, self.groups):
            if array is not None:
                array.flags.writeable = False
        return self
