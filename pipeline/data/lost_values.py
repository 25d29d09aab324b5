"""Finds columns whose values the model cannot read.

They are of a table to predict.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.notes import listed
from stacktune.data.number_text import is_missing
from stacktune.data.values import NUMERIC, coded_text, content_of, numbers_of

# Levels never seen may be new by chance, unless nearly all of many are. What is no number, or no date, never is; but a
# few such values were let pass in training, too.
_MIN_UNSEEN_SHARE, _MIN_VALUES = 0.9, 20
_MAX_UNREAD_SHARE = 0.05


def lost_share(column: Column, series: pd.Series, encoded: np.ndarray) -> float:
    """Return the share of unusable values worth a note.

    The model cannot use these values of `series`; it is 0 where that need not be said.

    encoded: (n_rows,) its first feature, in float64 for numbers and dates. Nulls, infinities and texts that stand for
    no value are none of its values.
    """
    lost = np.isnan(encoded)
    if not column.is_coded and (share := _share_of_known(column, series, lost)) > _MAX_UNREAD_SHARE:
        return share
    if len(encoded) < _MIN_VALUES:
        return 0.0
    if column.is_coded:
        lost |= encoded >= len(column.categories)
    elif column.kind == "datetime" and not column.has_far:
        first, last = column.scale.apply(np.array(column.held))
        lost |= (encoded <= first) | (encoded >= last)
    # Nulls are NaN too, so that most columns are done with here.
    if np.count_nonzero(lost) < _MIN_UNSEEN_SHARE * len(lost):
        return 0.0
    share = _share_of_known(column, series, lost, _MIN_VALUES)
    return share if share >= _MIN_UNSEEN_SHARE else 0.0


def _share_of_known(column: Column, series: pd.Series, lost: np.ndarray, n_least: int = 1) -> float:
    """Return the share of values that are `lost`.

    lost: (n_rows,) bool. It is 0 where there are fewer values than `n_least`.
    """
    if not lost.any():
        return 0.0
    known = _known(column, series)
    n_known = np.count_nonzero(known)
    return np.count_nonzero(lost & known) / n_known if n_known >= n_least else 0.0


def _known(column: Column, series: pd.Series) -> np.ndarray:
    """Return (n_rows,) bool: where there is a value."""
    if content_of(series) == NUMERIC:
        return np.isfinite(numbers_of(series))
    codes, texts = coded_text(series)
    is_value = [text in column.code_of or not is_missing(text) for text in texts]
    return np.array([*is_value, False])[codes]


def losses_message(columns: Sequence[Column], shares: Sequence[float], n_rows: int) -> str:
    """Return a sentence on columns that lose values.

    It names them, and is "" if there are none.
    """
    lossy = [(column, share) for column, share in zip(columns, shares, strict=True) if share]
    if not lossy:
        return ""
    shown = listed([f"{column.name} ({_share(share)} {_fault(column)})" for column, share in lossy])
    return (
        f"the model cannot use values of {len(lossy)} column{'s' if len(lossy) > 1 else ''} in these {n_rows:,} "
        f"row{'s' if n_rows > 1 else ''}, and predicts as if they were not known: {shown}. Were these "
        "columns written in another way for training?"
    )


def _share(share: float) -> str:
    return f"{100 * np.floor(1000 * share) / 1000:.3g} %"


def _fault(column: Column) -> str:
    return {"numeric": "are no numbers", "datetime": "are no dates near those of training"}.get(
        column.kind, "were never seen in training"
    )
