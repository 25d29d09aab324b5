"""One raw column, and the features it gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from stacktune.data.dates import PARTS, Known, counts_near, date_part, day_of, held_range, seconds_near
from stacktune.data.number_text import Spelling, is_missing, spelled_numbers
from stacktune.data.scale import Scale
from stacktune.data.values import (
    BOOLEAN,
    DATETIME,
    NUMERIC,
    coded_text,
    content_of,
    number_text_of,
    numbers_of,
    seconds_of,
    truth_of,
)
from stacktune.errors import DataError

__all__ = ["PARTS", "Column"]


@dataclass(frozen=True)
class Column:
    """One column of the raw table.

    kind: "numeric", "categorical", "datetime" or "boolean".
    categories: the texts of a categorical or boolean column, sorted as text; a text's position is its code.
    parts: what a datetime column gives beside its seconds since 1970: some of month, weekday, hour (in UTC).
    scale: what is done to numbers and seconds in float64 before they become float32.
    low, high: between which the numbers or seconds were in training; dates far from all others aside.
    far: of dates so far from the others that they are held nearer than they are, the first and the last on either side.
    date_format: how text writes the dates, e.g. "%d.%m.%Y"; "" for ISO text, and where dates came as such.
    spelling: how the numbers of a column of text are written; None where numbers came as such.
    is_optional: whether values were missing in training, so that a table to predict may leave the whole column out.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    scale: Scale = field(default_factory=Scale)
    low: float = 0.0
    high: float = 0.0
    far: tuple[tuple[float, float], ...] = ()
    date_format: str = ""
    spelling: Spelling | None = None
    is_optional: bool = False

    @property
    def is_coded(self) -> bool:
        return self.kind in ("categorical", "boolean")

    @property
    def has_far(self) -> bool:
        return bool(self.far)

    @cached_property
    def code_of(self) -> dict[str, int]:
        return {text: code for code, text in enumerate(self.categories)}

    @cached_property
    def _codes_of_values(self) -> dict[str, dict[str, int]]:
        """Return the category codes by their values.

        The value is the number or truth value that a text was read as; its text stands for it.

        A CSV file of codes such as 007 holds numbers to whoever guesses types, and one of true and false truth values.
        What stands for several categories stands for none.
        """
        return {
            NUMERIC: codes_of_values(self.categories, number_text_of),
            BOOLEAN: codes_of_values(self.categories, truth_of),
        }

    @cached_property
    def held(self) -> tuple[float, float]:
        """Return the seconds between which dates are held.

        One beyond is taken for the nearer of them.
        """
        return held_range(self.low, self.high)

    @cached_property
    def _known_dates(self) -> Known:
        is_daily = "hour" not in self.parts and (self.high - self.low) % 86_400 == 0
        return Known(self.low, self.high, self.far, is_daily, self.date_format)

    def encode(self, series: pd.Series) -> list[np.ndarray]:
        """Return this column's features, (n_rows,) each.

        Raises DataError where dates came for numbers or numbers for dates, in no unit that fits those of training.
        """
        if self.is_coded:
            return [self._codes(series)]
        if self.kind == "datetime":
            seconds = self.seconds(series)
            first, last = self.held
            held = np.minimum(np.maximum(seconds, first), last)  # on a row alone much faster than np.clip
            return [self.scale.apply(held), *(date_part(seconds, part) for part in self.parts)]
        return [self.scale.apply(self.numbers(series))]

    def _codes(self, series: pd.Series) -> np.ndarray:
        rows, texts = coded_text(series)
        if self.kind == "boolean":
            texts = [truth_of(text) for text in texts]
        code_of = self.code_of
        if not code_of.keys() >= set(texts):
            code_of = self._codes_of_values.get(content_of(series), {}) | code_of
        codes = [code_of[text] if text in code_of else self._code_of_unknown(text) for text in texts]
        return np.array([*codes, np.nan], dtype=np.float32)[rows]

    def _code_of_unknown(self, text: str) -> float:
        """Return the code of an unseen level.

        It may be that of no value: "" and "N/A" are what a null may be written as.
        """
        return np.nan if is_missing(text) else len(self.categories)

    def numbers(self, series: pd.Series) -> np.ndarray:
        """Return (n_rows,) float64 of a numeric column.

        They are as they came, and NaN for what is no number.
        """
        values = numbers_of(series) if self.spelling is None else spelled_numbers(series, self.spelling)
        kind = series.dtype.kind
        if kind != "M" and (kind != "O" or content_of(series) != DATETIME):
            return values
        counts = counts_near(seconds_of(series), self.low, self.high)
        if counts is None:
            raise DataError(
                f"the column {self.name!r} held numbers from {self.low:g} to {self.high:g} in training and holds dates "
                "now, which fit those in no unit. Give numbers of the same kind."
            )
        return counts

    def seconds(self, series: pd.Series) -> np.ndarray:
        """Return (n_rows,) float64 seconds of a date column.

        They are since 1970, and NaN for what is no date.
        """
        seconds = seconds_near(series, self._known_dates)
        if seconds is None:
            example = series.dropna().iloc[0]
            raise DataError(
                f"the column {self.name!r} held dates from {day_of(self.low)} to {day_of(self.high)} in training and "
                f"holds numbers such as {example} now, which are no such dates as seconds, milliseconds, microseconds "
                "or nanoseconds since 1970. Give dates, or ISO text such as 2024-02-29."
            )
        return seconds


def codes_of_values(categories: Sequence[str], text_of_value: Callable[[str], str]) -> dict[str, int]:
    """Return each category's code by its value's text.

    A category is left out where another one has that value.
    """
    values = [text_of_value(text) for text in categories]
    n_times = Counter(values)
    return {value: code for code, value in enumerate(values) if n_times[value] == 1}
