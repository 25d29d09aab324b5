"""One column of the raw table, and the features that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.data.values import coded_text, numbers_of, seconds_of, truth_of

PARTS = ("month", "weekday", "hour")
_DAY_S = 86_400


@dataclass(frozen=True)
class Column:
    """One column of the raw table.

    kind: "numeric", "categorical", "datetime" or "boolean".
    categories: the texts of a categorical or boolean column, sorted as text; a text's position is its code.
    parts: what a datetime column gives beside its seconds since 1970: some of month, weekday, hour (in UTC).
    offset: taken off numbers and seconds in float64 before they become float32, whose 24 bits would blur them.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    offset: float = 0.0

    @property
    def is_coded(self) -> bool:
        return self.kind in ("categorical", "boolean")

    @cached_property
    def code_of(self) -> dict[str, int]:
        return {text: code for code, text in enumerate(self.categories)}

    def encode(self, series: pd.Series) -> list[np.ndarray]:
        """Return one (n_rows,) array for each feature of this column."""
        if self.is_coded:
            return [self._codes(series)]
        if self.kind == "datetime":
            seconds = seconds_of(series)
            return [seconds - self.offset, *(date_part(seconds, part) for part in self.parts)]
        values = numbers_of(series)
        return [values - self.offset if self.offset else values]

    def _codes(self, series: pd.Series) -> np.ndarray:
        rows, texts = coded_text(series)
        if self.kind == "boolean":
            texts = [truth_of(text) for text in texts]
        codes = [self.code_of.get(text, np.nan) for text in texts]
        return np.array([*codes, np.nan], dtype=np.float32)[rows]


def date_part(seconds: np.ndarray, part: str) -> np.ndarray:
    """Return the month (1 to 12), weekday (Monday is 0) or hour (0 to 23) in UTC of (n,) seconds since 1970."""
    if part == "hour":
        return np.floor(seconds / 3600) % 24
    if part == "weekday":
        return (np.floor(seconds / _DAY_S) + 3) % 7
    known = np.isfinite(seconds)
    days = np.where(known, np.floor(seconds / _DAY_S), 0).astype(np.int64).astype("datetime64[D]")
    return np.where(known, days.astype("datetime64[M]").astype(np.int64) % 12 + 1, np.nan)
