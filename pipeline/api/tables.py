"""Makes one table of features, a target and weights.

Estimators are handed these apart, and a run takes them as columns of one frame. Frames keep their types. Arrays have no
names, so their columns are called x0, x1, … in training and in prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.validation import _check_sample_weight, check_array, check_consistent_length, column_or_1d

from stacktune.data.added import with_columns
from stacktune.data.arrow_types import to_frame
from stacktune.data.in_memory import as_rows
from stacktune.data.names import name_of

TARGET, WEIGHT = "target", "weight"


@dataclass(frozen=True)
class Joined:
    """A table with its target's and weight's names."""

    frame: pd.DataFrame
    target: str
    weight: str | None


def as_frame(table: Any, estimator: str) -> pd.DataFrame:
    """Return features as a frame.

    table: a frame, what exports Arrow (Polars, pyarrow), or an array of (n_rows, n_columns).

    Raises:
        TypeError: it is sparse. ValueError: it is no array of two dimensions, or has no rows or columns.
    """
    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "__arrow_c_stream__"):
        return to_frame(as_rows(table))
    if issparse(table):
        raise TypeError(f"{estimator} does not take sparse data; toarray() makes a dense array of it.")
    array = check_array(table, dtype=None, ensure_all_finite="allow-nan", estimator=estimator)
    frame = pd.DataFrame(array, columns=[f"x{place}" for place in range(array.shape[1])], copy=False)
    return frame.infer_objects() if array.dtype == object else frame


def joined(features: pd.DataFrame, y: Any, sample_weight: Any) -> Joined:
    """Return features, target and weights as one table.

    The target's column has the name of the series, or "target", and none that a feature has.
    """
    target = y if isinstance(y, pd.Series) else column_or_1d(y, warn=True)
    check_consistent_length(features, target)
    taken = {name_of(label) for label in features.columns}
    name = _free(name_of(y.name) if isinstance(y, pd.Series) and y.name is not None else TARGET, taken)
    added: dict[str, Any] = {name: target}
    weight = None
    if sample_weight is not None:
        weight = _free(WEIGHT, taken | {name})
        added[weight] = _check_sample_weight(sample_weight, features, dtype=np.float64, ensure_non_negative=True)
    named = features.set_axis(list(map(name_of, features.columns)), axis=1)
    return Joined(with_columns(named, added), name, weight)


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no column has."""
    while name in taken:
        name += "_"
    return name
