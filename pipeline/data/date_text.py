"""Dates written as text, in any format."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

import numpy as np
import pandas as pd

from stacktune.data.number_text import is_missing
from stacktune.data.values import coded_text, seconds_of

COMPACT = "%Y%m%d"
# Where the day and the month cannot be told apart, the format that comes first is taken: the month leads before a slash
# or a hyphen, as to pandas, and the day before a point, as wherever dates are written with points.
_FORMATS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m.%d.%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d", COMPACT),
)
_PARTS = {"%Y": "(?P<year>[0-9]{4})", "%m": "(?P<month>[0-9]{1,2})", "%d": "(?P<day>[0-9]{1,2})"}
_TIME = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:\.[0-9]+)?))? *(?P<half>[AaPp][Mm])?"
)
_DAY_S = 86_400
_FIRST_DAY = datetime.date(1970, 1, 1).toordinal()
_EXAMPLE = datetime.date(2020, 12, 31)
_MIN_SHARE = 0.95
_FIRST_TEXTS = 100
# Codes such as 12/05/4567 have years of any time, and codes of eight digits are no dates but by chance.
_LIKELY_YEARS = (1800, 2200)
_YEARS_OF_DIGITS, _MIN_ROWS_OF_DIGITS = (1900, 2100), 100


@dataclass(frozen=True)
class DateFormat:
    """The way a column writes its dates.

    text: as of `strftime`; a time of day may follow in any row. is_ambiguous: whether no value tells the day from the
    month.
    """

    text: str
    is_ambiguous: bool

    @property
    def example(self) -> str:
        """Return the last day of 2020 in this format."""
        return _EXAMPLE.strftime(self.text)

    @property
    def part_first(self) -> str:
        """Return which part comes first, "month" or "day"."""
        return "month" if self.text.startswith("%m") else "day"


def find_format(texts: Sequence[str], counts: np.ndarray) -> DateFormat | None:
    """Return the texts' date format, or None.

    95 % of the rows are dates in it, those without a value aside.

    counts: (n_texts,) how many rows hold each.
    """
    values = (text for text, count in zip(texts, counts, strict=True) if count and not is_missing(text))
    first = list(islice(values, _FIRST_TEXTS))
    # Most columns show in a few texts that they hold no dates.
    read = {text: _read(texts, text) for text in _FORMATS if np.isfinite(_read(first, text)).any()}
    if not read:
        return None
    counted = np.where([is_missing(text) for text in texts], 0, counts)
    n_read = {text: int(counted[np.isfinite(seconds)].sum()) for text, seconds in read.items()}
    best = max(n_read, key=n_read.__getitem__)
    if n_read[best] < _MIN_SHARE * counted.sum() or not _are_likely(read[best], counted, best):
        return None
    twin = best.translate(str.maketrans("dm", "md"))
    is_tied = twin != best and n_read.get(twin) == n_read[best]
    return DateFormat(best, is_tied and not np.array_equal(read[best], read[twin], equal_nan=True))


def _are_likely(seconds: np.ndarray, counted: np.ndarray, text: str) -> bool:
    is_date = np.isfinite(seconds) & (counted > 0)
    years = seconds[is_date].astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    if text == COMPACT:
        first, last = _YEARS_OF_DIGITS
        is_each = bool(is_date[counted > 0].all() and ((years >= first) & (years <= last)).all())
        return is_each and counted.sum() >= _MIN_ROWS_OF_DIGITS
    first, last = _LIKELY_YEARS
    return bool(np.mean((years >= first) & (years <= last)) >= 0.5)


def seconds_written(series: pd.Series, text: str) -> np.ndarray:
    """Return (n,) seconds of dates in a format.

    They are since 1970; NaN where a value is not written so. "" is no format.
    """
    if not text:
        return np.full(len(series), np.nan)
    rows, texts = coded_text(series)
    return np.append(_read(texts, text), np.nan)[rows]


def seconds_of_text(series: pd.Series, text: str) -> np.ndarray:
    """Return (n,) seconds of dates in any form.

    They are since 1970. The dates are in a format, in ISO text, or dates already.
    """
    if not text or pd.api.types.is_datetime64_any_dtype(series.dtype):
        return seconds_of(series)
    seconds = seconds_written(series, text)
    odd = np.isnan(seconds) & series.notna().to_numpy(dtype=bool)
    if odd.any():
        seconds[odd] = seconds_of(series[odd])
    return seconds


def _read(texts: Iterable[str], text: str) -> np.ndarray:
    """Return (n,) seconds of texts in this format.

    They are since 1970; NaN where a text is no date in it.
    """
    # Many moments share a day or a time of day, and each is read once.
    day, time = cache(partial(_seconds_to_day, _pattern(text))), cache(_seconds_of_day)
    halves = (one.strip().replace("T", " ", 1).partition(" ") for one in texts)
    return np.array([day(date) + time(rest) for date, _, rest in halves], dtype=np.float64)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    pattern = re.escape(text)
    for part, group in _PARTS.items():
        pattern = pattern.replace(re.escape(part), group)
    return re.compile(pattern.replace("{1,2}", "{2}") if text == COMPACT else pattern)


def _seconds_to_day(pattern: re.Pattern[str], text: str) -> float:
    match = pattern.fullmatch(text)
    if match is None:
        return np.nan
    try:
        day = datetime.date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return np.nan
    return float((day.toordinal() - _FIRST_DAY) * _DAY_S)


def _seconds_of_day(text: str) -> float:
    text = text.strip()
    match = _TIME.fullmatch(text)
    if match is None:
        return np.nan if text else 0.0
    hour, minute, second = int(match["hour"]), int(match["minute"]), float(match["second"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return np.nan
        hour = hour % 12 + 12 * (match["half"].lower() == "pm")
    return hour * 3600 + minute * 60 + second if hour < 24 and minute < 60 and second < 60 else np.nan
