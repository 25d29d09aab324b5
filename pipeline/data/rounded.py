"""Counts whole numbers in CSV that lose digits.

A column of whole numbers of which one is beyond 64 bits is read as numbers with about 16 digits. That changes nothing
for amounts, which a model knows to fewer digits still; of numbers that are names, two may become one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from stacktune.data.notes import listed

# The least whole number that a double does not hold has so many digits: 9,007,199,254,740,993.
_LONG = r"^\s*[+-]?\d{16,}\s*$"
_MAX_SHOWN = 24


@dataclass
class Rounded:
    """The whole numbers that were rounded, by column."""

    _n_of: dict[str, int] = field(default_factory=dict)
    _first: tuple[str, float] | None = None

    def see(self, name: str, texts: pa.ChunkedArray, typed: pa.ChunkedArray, has_commas: bool = False) -> None:
        """Count those of some texts of a column.

        typed: the same, as they were read. has_commas: whether points in them part thousands.
        """
        if not pa.types.is_floating(typed.type):
            return
        plain = pc.replace_substring(texts, ".", "") if has_commas else texts
        is_long = pc.fill_null(pc.match_substring_regex(plain, _LONG), False)
        if not pc.any(is_long).as_py():
            return
        pairs = zip(plain.filter(is_long).to_pylist(), typed.filter(is_long).to_pylist(), strict=True)
        lost = [(text.strip(), value) for text, value in pairs if Decimal(text.strip()) != value]
        if lost:
            self._n_of[name] = self._n_of.get(name, 0) + len(lost)
            self._first = self._first or lost[0]

    def notes(self) -> list[str]:
        """Return a sentence on them, or none."""
        if self._first is None:
            return []
        n, (text, value) = sum(self._n_of.values()), self._first
        shown = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
        many = f"{n:,} whole numbers" if n > 1 else "a whole number"
        return [
            f"rounded {many} of {listed(list(self._n_of))} to 16 digits, as 64 bits do not hold that column: "
            f"{shown} is {value:.16g} now; give names that are made of digits a letter, and they stay text"
        ]


def rounding_notes(
    texts: dict[str, pa.ChunkedArray], typed: dict[str, pa.ChunkedArray], commas: Collection[str]
) -> list[str]:
    """Return a sentence on whole columns, or none."""
    rounded = Rounded()
    for name, column in typed.items():
        rounded.see(name, texts[name], column, name in commas)
    return rounded.notes()
