"""Moments as seconds since 1970, whatever carries them, and which of them a column of dates can hold."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from pipeline.data.scale import core_of
from pipeline.data.values import numbers_of, seconds_of

PARTS = ("month", "weekday", "hour")
_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S
# A column of dates holds what lies so many times its own span before its first date, or after its last.
_SPANS_HELD, _LEAST_HELD_S = 10, 100 * _YEAR_S
# Counts of seconds, or of parts of one, that lie further off are no dates of this column.
_LEAST_NEAR_S = 10 * _YEAR_S
_UNITS_A_SECOND = (1.0, 1e3, 1e6, 1e9)
_NUMBERS = frozenset({"integer", "floating", "decimal", "mixed-integer-float", "boolean"})
_COUNT = r"\s*[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?\s*"


def date_part(seconds: np.ndarray, part: str) -> np.ndarray:
    """Return the month (1 to 12), weekday (Monday is 0) or hour (0 to 23) in UTC of (n,) seconds since 1970."""
    if part == "hour":
        return np.floor(seconds / 3600) % 24
    if part == "weekday":
        return (np.floor(seconds / _DAY_S) + 3) % 7
    known = np.isfinite(seconds)
    days = np.where(known, np.floor(seconds / _DAY_S), 0).astype(np.int64).astype("datetime64[D]")
    return np.where(known, days.astype("datetime64[M]").astype(np.int64) % 12 + 1, np.nan)


def range_of_dates(seconds: np.ndarray) -> tuple[float, float]:
    """Return the first and the last of the dates, those aside that lie far from nearly all.

    Years such as 9999, 1 or 1900 among the dates of a decade stand for "never" or "not known".
    """
    known = seconds[np.isfinite(seconds)]
    core = core_of(known)
    held = held_range(float(core[0]), float(core[-1]))
    near = known[(known >= held[0]) & (known <= held[1])]
    return float(near.min()), float(near.max())


def held_range(low: float, high: float) -> tuple[float, float]:
    """Return between which seconds a column holds dates, if its own are from `low` to `high`."""
    margin = max(_SPANS_HELD * (high - low), _LEAST_HELD_S)
    return low - margin, high + margin


def seconds_near(series: pd.Series, low: float, high: float) -> np.ndarray | None:
    """Return (n,) seconds since 1970 of dates, or of counts since then in whichever unit brings them near the range.

    low, high: seconds between which dates of this column were. None where most are counts that no unit brings near.
    """
    if _holds_numbers(series):
        return _in_units_near(numbers_of(series), low, high)
    seconds = seconds_of(series)
    odd = np.isnan(seconds)
    if not odd.any() or pd.api.types.is_datetime64_any_dtype(series.dtype):
        return seconds
    counts = _counts_in_text(series[odd])
    if np.isnan(counts).all():
        return seconds
    near = _in_units_near(counts, low, high)
    if near is None:
        is_most = np.isfinite(counts).sum() > series.notna().sum() / 2
        return None if is_most else seconds
    seconds[odd] = near
    return seconds


def _holds_numbers(series: pd.Series) -> bool:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    if pd.api.types.is_object_dtype(dtype):
        return pd.api.types.infer_dtype(series, skipna=True) in _NUMBERS
    return pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)


def _counts_in_text(series: pd.Series) -> np.ndarray:
    spelled = series.astype(object)
    is_count = spelled.map(lambda value: isinstance(value, str)) & spelled.astype(str).str.fullmatch(_COUNT)
    return pd.to_numeric(spelled.where(is_count.astype(bool)), errors="coerce").to_numpy(dtype=np.float64)


def _in_units_near(counts: np.ndarray, low: float, high: float) -> np.ndarray | None:
    """Return the seconds that the counts are, in the unit that brings most of them nearest to the range."""
    known = counts[np.isfinite(counts)]
    if not known.size:
        return counts
    distances = [float(np.median(_distance(known / units, low, high))) for units in _UNITS_A_SECOND]
    best = int(np.argmin(distances))
    return counts / _UNITS_A_SECOND[best] if distances[best] <= max(high - low, _LEAST_NEAR_S) else None


def _distance(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.maximum(0, np.maximum(low - values, values - high))


def counts_near(seconds: np.ndarray, low: float, high: float) -> np.ndarray | None:
    """Return moments in the unit of a column that was learnt as counts from `low` to `high`; None if no unit fits."""
    known = seconds[np.isfinite(seconds)]
    if not known.size:
        return seconds
    distances = []
    for units in _UNITS_A_SECOND:
        distances.append(float(np.median(_distance(known, low / units, high / units))))
        if distances[-1] <= max((high - low) / units, _LEAST_NEAR_S) and _are_moments(low / units, high / units):
            return seconds * units
    return None


def _are_moments(low: float, high: float) -> bool:
    """Whether counts in this range look like moments of our times rather than like any other numbers."""
    return high > low and high > _YEAR_S


def day_of(seconds: float) -> str:
    """Return a moment's day, e.g. "2024-02-29", or its year where the calendar of the library ends."""
    try:
        return str((datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).date())
    except OverflowError:
        return f"the year {1970 + seconds / _YEAR_S:.0f}"
