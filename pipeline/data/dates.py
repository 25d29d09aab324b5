"""Reads moments as seconds since 1970.

It does so whatever carries them, and knows which of them a column of dates can hold.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from stacktune.data.date_text import COMPACT, seconds_of_text, seconds_written
from stacktune.data.number_text import is_missing
from stacktune.data.scale import core_of
from stacktune.data.values import numbers_of, seconds_of

PARTS = ("month", "weekday", "hour")
_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S
# A column of dates holds what lies so many times its own span before its first date, or after its last.
_SPANS_HELD, _MIN_HELD_S = 10, 100 * _YEAR_S
# Counts of seconds, or of parts of one, that lie further off are no dates of this column.
_MIN_NEAR_S = 10 * _YEAR_S
_UNITS_A_SECOND = (1.0, 1e3, 1e6, 1e9)
# Days since 1970, years, and dates as digits (20240229) are within a year of 1970 if they are taken for seconds. Of the
# years of a column's dates these fill next to nothing: so small a share of them is no chance.
_DOUBTFUL_S, _NEXT_TO_NOTHING, _NEARLY_ALL = _YEAR_S, 1e-3, 0.95
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_800  # the years 1 to 9999
_NUMBERS = frozenset({"integer", "floating", "decimal", "mixed-integer-float", "boolean"})
_ISO_DATE = r"\s*\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?\s*"
_MIN_SHARE_OF_DATES = 0.95
_COUNT = r"\s*[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?\s*"


def iso_dates(texts: Sequence[str], counts: np.ndarray) -> np.ndarray | None:
    """Return which distinct texts are ISO dates.

    They are (n_texts,) bool; None is returned if few are.

    counts: (n_texts,) how many rows hold each. At least 95 % of the rows must be dates, those without a value aside.
    """
    spelled = pd.Series(texts, dtype=object)
    if not spelled[counts > 0].head(100).str.fullmatch(_ISO_DATE).any():
        return None
    counted = np.where([is_missing(text) for text in texts], 0, counts)
    is_date = spelled.str.fullmatch(_ISO_DATE).to_numpy(dtype=bool, copy=True)
    is_date[is_date] = np.isfinite(seconds_of(spelled[is_date]))
    enough = is_date.any() and counted[is_date].sum() >= _MIN_SHARE_OF_DATES * counted.sum()
    return is_date if enough else None


def date_part(seconds: np.ndarray, part: str) -> np.ndarray:
    """Return the month, weekday or hour of dates.

    They are month 1 to 12, Monday 0, and hour in UTC, of (n,) seconds since 1970.
    """
    if part == "hour":
        return np.floor(seconds / 3600) % 24
    if part == "weekday":
        return (np.floor(seconds / _DAY_S) + 3) % 7
    known = np.isfinite(seconds)
    days = np.where(known, np.floor(seconds / _DAY_S), 0).astype(np.int64).astype("datetime64[D]")
    return np.where(known, days.astype("datetime64[M]").astype(np.int64) % 12 + 1, np.nan)


def range_of_dates(seconds: np.ndarray) -> tuple[float, float]:
    """Return the first and last of usual dates.

    Dates that lie far from nearly all others are left aside.

    Years such as 9999, 1 or 1900 among the dates of a decade stand for "never" or "not known".
    """
    known = seconds[np.isfinite(seconds)]
    core = core_of(known)
    held = held_range(float(core[0]), float(core[-1]))
    near = known[(known >= held[0]) & (known <= held[1])]
    return float(near.min()), float(near.max())


def held_range(low: float, high: float) -> tuple[float, float]:
    """Return the range of dates that a column holds.

    Its own dates are from `low` to `high`.
    """
    margin = max(_SPANS_HELD * (high - low), _MIN_HELD_S)
    return low - margin, high + margin


@dataclass(frozen=True)
class Known:
    """A column's known dates, in seconds since 1970.

    low, high: between which nearly all are. far: of those far from these, the first and the last before and after.
    is_daily: whether all are at the same time of day. format: how text writes them, if not as ISO.
    """

    low: float
    high: float
    far: tuple[tuple[float, float], ...] = ()
    is_daily: bool = False
    format: str = ""

    @cached_property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        return (self.low, self.high), *((first - _DAY_S, last + _DAY_S) for first, last in self.far)


def far_ranges(seconds: np.ndarray, low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Return the ranges of dates not held.

    They are the first and the last on either side that a column from `low` to `high` does not hold.
    """
    first, last = held_range(low, high)
    sides = (seconds[seconds < first], seconds[seconds > last])
    return tuple((float(side.min()), float(side.max())) for side in sides if side.size)


def seconds_near(series: pd.Series, known: Known) -> np.ndarray | None:
    """Return (n,) seconds of dates or counts.

    They are since 1970, in whichever unit brings counts near the known dates. None is returned where most are counts
    that no unit brings near, or that may be of one unit or another.
    """
    if _holds_numbers(series):
        counts = numbers_of(series)
        seconds = seconds_written(series, known.format if known.format == COMPACT else "")
        are_written = np.isfinite(seconds).sum() > np.isfinite(counts).sum() / 2
        return seconds if are_written else _in_units_near(counts, known)
    seconds = seconds_of_text(series, known.format)
    odd = np.isnan(seconds)
    if not odd.any() or pd.api.types.is_datetime64_any_dtype(series.dtype):
        return seconds
    counts = _counts_in_text(series[odd])
    if np.isnan(counts).all():
        return seconds
    near = _in_units_near(counts, known)
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


def _in_units_near(counts: np.ndarray, known: Known) -> np.ndarray | None:
    """Return counts as seconds, in the nearest unit.

    The unit brings most of them nearest to the known dates.
    """
    finite = counts[np.isfinite(counts)]
    if not finite.size:
        return counts
    judged = finite[~_may_be_far(finite, known)]
    if not judged.size:
        return None
    fits = [_fit(judged / units, known) for units in _UNITS_A_SECOND]
    units = _UNITS_A_SECOND[fits.index(min(fits))]
    is_near = min(fits)[0] <= max(known.high - known.low, _MIN_NEAR_S)
    return counts / units if is_near and not _are_other_counts(finite, units, known) else None


def _may_be_far(counts: np.ndarray, known: Known) -> np.ndarray:
    """Return which counts may be far dates.

    They are no known date in any unit, but in one of them a date as far as some known ones were.
    """
    if not known.far:
        return np.zeros(len(counts), dtype=bool)
    moments = counts / np.array(_UNITS_A_SECOND)[:, None]
    first, last = held_range(known.low, known.high)
    is_far = ((moments < first) | (moments > last)) & (moments >= _FIRST_S) & (moments < _LAST_S)
    return (_distances(moments, known).min(axis=0) > 0) & is_far.any(axis=0)


def _fit(seconds: np.ndarray, known: Known) -> tuple[float, float]:
    """Return how well seconds fit known dates.

    It is a pair: how far most are from them, and of how long ranges, on average, they would be. The second tells a date
    that stands for "never" from one among years of dates, if another unit makes it such a one.
    """
    distance = float(np.median(_distances(seconds, known)))
    if not known.far:
        return distance, 0.0
    lengths = np.full(len(seconds), known.high - known.low)
    for first, last in known.ranges[1:]:
        is_in = (seconds >= first) & (seconds <= last)
        lengths[is_in] = np.minimum(lengths[is_in], last - first)
    return distance, float(lengths.mean())


def _are_other_counts(counts: np.ndarray, units: float, known: Known) -> bool:
    """Return whether the counts are of another kind.

    They are days since 1970, years, or digits such as 20240229, which units bring into 1970.
    """
    moved = counts[counts != 0]
    seconds = moved / units
    if not moved.size or np.count_nonzero(np.abs(seconds) < _DOUBTFUL_S) < _NEARLY_ALL * moved.size:
        return False
    if known.is_daily:
        off = np.abs((seconds - known.low + _DAY_S / 2) % _DAY_S - _DAY_S / 2)
        return bool(np.mean(off < 1) < 0.5)
    span = 2 * np.quantile(np.abs(seconds), _NEARLY_ALL)
    if span < _NEXT_TO_NOTHING * (known.high - known.low):
        return True
    are_dates = np.isfinite(seconds_written(pd.Series(moved), COMPACT))
    return bool(are_dates.mean() >= _NEARLY_ALL)


def _distances(values: np.ndarray, known: Known) -> np.ndarray:
    """Return distances to the nearest known range."""
    return np.min([_distance(values, low, high) for low, high in known.ranges], axis=0)


def _distance(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.maximum(0, np.maximum(low - values, values - high))


def counts_near(seconds: np.ndarray, low: float, high: float) -> np.ndarray | None:
    """Return moments in a column's unit, or None.

    The column was learnt as counts from `low` to `high`; None if no unit fits.
    """
    known = seconds[np.isfinite(seconds)]
    if not known.size:
        return seconds
    distances = []
    for units in _UNITS_A_SECOND:
        distances.append(float(np.median(_distance(known, low / units, high / units))))
        if distances[-1] <= max((high - low) / units, _MIN_NEAR_S) and _are_moments(low / units, high / units):
            return seconds * units
    return None


def _are_moments(low: float, high: float) -> bool:
    """Return whether counts look like moments of our times.

    They do so rather than like any other numbers.
    """
    return high > low and high > _YEAR_S


def day_of(seconds: float) -> str:
    """Return a moment's day, e.g. "2024-02-29".

    It is only its year where the calendar of the library ends.
    """
    try:
        return str((datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).date())
    except OverflowError:
        return f"the year {1970 + seconds / _YEAR_S:.0f}"
