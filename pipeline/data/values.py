"""Reads a pandas column's content and values.

These are numbers, seconds or text, and the same whatever type carries them.
"""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

NUMERIC, TEXT, BOOLEAN, DATETIME, OTHER = "numeric", "text", "boolean", "datetime", "other"

_INFERRED = {
    "decimal": NUMERIC,
    "integer": NUMERIC,
    "floating": NUMERIC,
    "mixed-integer-float": NUMERIC,
    "time": NUMERIC,
    "timedelta": NUMERIC,
    "timedelta64": NUMERIC,
    "boolean": BOOLEAN,
    "date": DATETIME,
    "datetime": DATETIME,
    "datetime64": DATETIME,
}
TRUE_TEXTS, FALSE_TEXTS = frozenset({"true", "1", "yes", "t", "y"}), frozenset({"false", "0", "no", "f", "n"})
_EXACT_FLOAT = 2.0**53
# A time of day, or a duration as pandas or Python's str() write it.
_CLOCK = r"[+-]?\d{1,2}:\d{2}:\d{2}(?:\.\d+)?"
_DURATION = rf"{_CLOCK}|-?\d+ days?(?:,? {_CLOCK})?"
_PARTS_OF_A_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}
# Up to here a loop is faster than a hash table; a few rows may also carry thousands of categories along.
_MAX_ROWS_IN_A_LOOP = 64


def without_periods(series: pd.Series) -> pd.Series:
    """Return periods as the times they begin at.

    Any other series stays as it is. The periods are pandas'.
    """
    return series.dt.to_timestamp() if isinstance(series.dtype, pd.PeriodDtype) else series


def content_of(series: pd.Series) -> str:
    """Return what `series` holds.

    It is numeric, text, boolean, datetime, or other (lists, records, complex numbers).

    A dictionary of numbers counts as text: whoever wrote it as categories meant categories.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        content = content_of(pd.Series(dtype.categories))
        return TEXT if content == NUMERIC else content
    if pd.api.types.is_bool_dtype(dtype):
        return BOOLEAN
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return DATETIME
    if pd.api.types.is_complex_dtype(dtype) or _is_nested(dtype):
        return OTHER
    if pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "m":
        return NUMERIC
    if pd.api.types.is_object_dtype(dtype):
        return _content_of_objects(series)
    return TEXT


def _is_nested(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and dtype.type in (list, dict)


def _content_of_objects(series: pd.Series) -> str:
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred == "mixed" and any(isinstance(value, list | dict | set | tuple | np.ndarray) for value in series):
        return OTHER
    return OTHER if inferred == "complex" else _INFERRED.get(inferred, TEXT)


def text_of(value: Any) -> str:
    """Return a value's text.

    Whole numbers come without a fraction, so that 1, 1.0 and Decimal("1.00") are all "1".
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, decimal.Decimal) and value.is_finite():
        value = value.normalize()
        return format(abs(value) if value == 0 else value, "f")
    if isinstance(value, numbers.Real) and math.isfinite(value):
        whole = int(value)  # type: ignore[call-overload]  # NumPy's numbers are Real, and all can be turned into an int
        if value == whole and abs(whole) < _EXACT_FLOAT:
            return str(whole)
    return str(value)


def number_text_of(text: str) -> str:
    """Return the text of a text's number.

    It is what `text_of` makes of the number that it is read as; a text that is none stays as it is.
    """
    if re.fullmatch(r"[+-]?\d+", text):
        return str(int(text))
    return text_of(float(text)) if re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", text) else text


def coded_text(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return (codes, texts).

    Codes are an integer for each row into `texts`, -1 where null. Texts may repeat.
    """
    if len(series) <= _MAX_ROWS_IN_A_LOOP:
        values = _few_values(series)
        places = [-1 if _is_null(value) else place for place, value in enumerate(values)]
        return np.array(places, dtype=np.int64), [text_of(value) for value in values]
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy(), [text_of(value) for value in series.cat.categories]
    if pd.api.types.is_object_dtype(series.dtype) and pd.api.types.infer_dtype(series, skipna=True) != "string":
        # 1, 1.0 and True are one key to a hash table, and lists are none at all.
        series = pd.Series([None if _is_null(value) else text_of(value) for value in series], dtype=object)
    codes, distinct = pd.factorize(series, use_na_sentinel=True)
    return codes, [text_of(value) for value in distinct]


def _few_values(series: pd.Series) -> list[Any]:
    """Return the values of a short column.

    Of categories, only those that are there are looked at.
    """
    if not isinstance(series.dtype, pd.CategoricalDtype):
        return list(series)
    categories = series.dtype.categories
    return [None if code < 0 else categories[code] for code in series.array.codes]


def _is_null(value: Any) -> bool:
    return value is None or (np.isscalar(value) and pd.isna(value)) or value is pd.NaT or value is pd.NA


def numbers_of(series: pd.Series) -> np.ndarray:
    """Return (n,) float64 of a column.

    They are NaN where a value is null, infinite or no number. Durations and times are in seconds.
    """
    values = _raw_numbers(series)
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def _raw_numbers(series: pd.Series) -> np.ndarray:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _spread(_raw_numbers(pd.Series(dtype.categories)), series.cat.codes.to_numpy())
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return series.to_numpy().astype(np.float64, copy=False)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return seconds_of(series)
    if dtype.kind == "m":  # also of Arrow
        return series.dt.total_seconds().to_numpy(dtype=np.float64)
    if pd.api.types.is_numeric_dtype(dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    return _parsed_numbers(series)


def _parsed_numbers(series: pd.Series) -> np.ndarray:
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred == "time":
        series = series.map(_seconds_of_day, na_action="ignore")
    elif inferred in ("timedelta", "timedelta64"):
        return pd.to_timedelta(series).dt.total_seconds().to_numpy(dtype=np.float64)
    values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    odd = np.isnan(values) & series.notna().to_numpy()
    return _with_durations(values, odd, series) if odd.any() else values


def are_durations(texts: Iterable[str]) -> bool:
    """Return whether all texts are durations.

    They may be times of day, too, as pandas or Python's str() write these.
    """
    return all(re.fullmatch(_DURATION, text) for text in texts)


def _with_durations(values: np.ndarray, odd: np.ndarray, series: pd.Series) -> np.ndarray:
    """Return the values with durations in seconds.

    They are those that are `odd`, where they are text of a duration.
    """
    texts = [value if isinstance(value, str) and are_durations([value]) else None for value in series[odd]]
    # Of -1 day, 23:00:00 Python means that the hours are added.
    spelled = pd.Series(texts, dtype="str").str.replace(", ", " +")
    values = values.copy()
    values[odd] = pd.to_timedelta(spelled, errors="coerce").dt.total_seconds().to_numpy()
    return values


def _seconds_of_day(time: datetime.time) -> float:
    return time.hour * 3600 + time.minute * 60 + time.second + time.microsecond / 1e6


def _spread(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.append(values, np.nan)[codes]


def seconds_of(series: pd.Series) -> np.ndarray:
    """Return (n,) float64 seconds of a column.

    They are since 1970 in UTC; NaN where null or no date. Without a zone a time counts as UTC.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _spread(seconds_of(pd.Series(dtype.categories)), series.cat.codes.to_numpy())
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return numbers_of(series)
    if not pd.api.types.is_datetime64_any_dtype(dtype):
        return _parsed_seconds(series)
    return _stamped_seconds(series)


def _parsed_seconds(series: pd.Series) -> np.ndarray:
    seconds = _stamped_seconds(pd.to_datetime(series, errors="coerce", utc=True, format="ISO8601"))
    # One value with nanoseconds makes pandas count all in them, and then dates beyond 2262 are none.
    odd = np.isnan(seconds) & series.notna().to_numpy()
    if odd.any() and not odd.all():
        seconds[odd] = _stamped_seconds(pd.to_datetime(series[odd], errors="coerce", utc=True, format="ISO8601"))
    return seconds


def _stamped_seconds(series: pd.Series) -> np.ndarray:
    if series.dt.tz is not None:  # also of Arrow's stamps, whose type has no tz
        series = series.dt.tz_convert(None)
    stamps = series.to_numpy()
    # Microseconds end in the year 294,247, where whole seconds go on; nanoseconds are more than float64 holds.
    if np.datetime_data(stamps.dtype)[0] not in _PARTS_OF_A_SECOND:
        stamps = stamps.astype("datetime64[us]")
    per_second = _PARTS_OF_A_SECOND[np.datetime_data(stamps.dtype)[0]]
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / per_second)


def truth_of(text: str) -> str:
    """Return "True", "False" or the text itself.

    The first two stand for the usual spellings of a truth value.
    """
    folded = text.strip().lower()
    if folded in TRUE_TEXTS:
        return "True"
    return "False" if folded in FALSE_TEXTS else text
