"""Reads a column of times as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stacktune.data.date_text import seconds_of_text
from stacktune.data.infer import UNREADABLE, UnusableError, infer_column
from stacktune.errors import DataError


def moments_of(series: pd.Series) -> tuple[np.ndarray, bool]:
    """Return (n,) float64 moments, and whether they are dates.

    Dates are in seconds since 1970; numbers are as they are. NaN is a missing one.

    Raises:
        DataError: the column holds neither, or the same in every row.
    """
    name = str(series.name)
    try:
        column = infer_column(name, series, keep=True).column
    except UnusableError as reason:
        raise DataError(
            f"the time column {name!r} is a column {reason}, which orders no rows. Name a column of dates or numbers."
        ) from None
    except UNREADABLE as error:
        raise DataError(f"the time column {name!r} cannot be read ({error}). Make plain dates of it.") from None
    if column.is_coded:
        raise DataError(
            f"the time column {name!r} holds neither dates nor numbers, but text such as {column.categories[0]!r}. "
            "Write dates as 2024-02-29, or name another column."
        )
    is_date = column.kind == "datetime"
    moments = seconds_of_text(series, column.date_format) if is_date else column.numbers(series)
    known = moments[np.isfinite(moments)]
    if not len(known) or known.min() == known.max():
        raise DataError(f"the time column {name!r} is the same in each row that has one, which orders no rows.")
    return moments, is_date
