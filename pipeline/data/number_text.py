"""Numbers written as text, in any convention."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from stacktune.data.values import coded_text, numbers_of

# What spreadsheets, statistics programs, databases and people write where there is no value.
MISSING = frozenset(
    {
        *("", "?", ".", "*", "-", "--", "---", "–", "—", "…", "na", "n/a", "n.a.", "n.a", "<na>", "(na)", "nat", "nil"),
        *("nan", "-nan", "+nan", "inf", "-inf", "+inf", "infinity", "-infinity", "null", "(null)", "none"),
        *("missing", "unknown", "unk", "undefined", "not available", "not_available", "not applicable", "no data"),
        *("#n/a", "#n/a n/a", "#null!", "#div/0!", "#value!", "#ref!", "#num!", "#name?"),
    }
)
_MIN_SHARE = 0.95
# A unit that fewer of the values carry is a slip rather than the column's.
_MIN_SHARE_OF_A_UNIT = 0.05
_MAX_SAMPLED_TEXTS = 1_000
_N_EXAMPLES = 3
# Up to here a loop is faster than what pandas does in bulk.
_MAX_TEXTS_IN_A_LOOP = 64

_TYPOGRAPHY = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "’": "'", "−": "-"})
_SYMBOLS = "$¢£¤¥฿\u20a0-\u20c0"
_CODES = "USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|TRY|RUB|KRW|SGD|HKD|kr|zł|Kč"
_UNIT = rf"%|‰|(?:US|AU|CA|NZ|HK|A|C|R|S)?[{_SYMBOLS}]|{_CODES}"
_WRITTEN = re.compile(
    rf"(?P<sign>[+-]?) *(?P<before>{_UNIT})? *(?P<sign_inside>[+-]?)(?P<digits>[0-9.,](?:[0-9.,' ]*[0-9.,])?"
    rf"(?:[eE][+-]?[0-9]+)?) *(?P<after>{_UNIT})?(?P<minus>-?)"
)
# Where two conventions read the same texts, the one that comes first is taken.
_CONVENTIONS = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))


def is_missing(text: str) -> bool:
    """Return whether a text stands for no value."""
    return text.strip().casefold() in MISSING


def looks_like_number(text: str) -> bool:
    """Return whether a text looks like a number.

    It has the signs, marks and units of one, in whichever convention.
    """
    return _parts(text) is not None


@dataclass(frozen=True)
class Spelling:
    """The way a column writes its numbers.

    decimal: the mark before fractions. group: the mark between thousands, or none. unit: a currency or a per cent sign;
    a currency may be left out, and in a table to predict any unit may.
    """

    decimal: str = "."
    group: str = ""
    unit: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        decimal, group = re.escape(self.decimal), re.escape(self.group)
        whole = rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}})" if group else "[0-9]+"
        return re.compile(rf"(?:{whole}(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?")

    def reads(self, digits: str) -> bool:
        """Return whether digits and marks follow this convention."""
        return self._pattern.fullmatch(digits) is not None

    def number(self, text: str, strict: bool = False) -> float:
        """Return the number that a text spells, or NaN.

        What is not in this convention may be in the plain one.

        strict: only in this convention.
        """
        parts = _parts(text)
        if parts is None:
            return np.nan
        sign, digits, unit = parts
        if unit != self.unit and (unit or (strict and self.unit in ("%", "‰"))):
            return np.nan
        if self.reads(digits):
            value = sign * float(digits.replace(self.group, "").replace(self.decimal, "."))
        else:
            value = sign * float(digits) if not strict and PLAIN.reads(digits) else np.nan
        return value if math.isfinite(value) else np.nan

    def numbers(self, texts: Sequence[str], strict: bool = False) -> np.ndarray:
        """Return (n,) float64, NaN where no number."""
        if self.decimal != "." or len(texts) <= _MAX_TEXTS_IN_A_LOOP:
            return np.array([self.number(text, strict) for text in texts], dtype=np.float64)
        # What is written plainly is read alike in every convention with a decimal point, and in bulk much faster.
        values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64, copy=True)
        if strict and self.unit in ("%", "‰"):
            values[:] = np.nan
        for place in np.flatnonzero(np.isnan(values)).tolist():
            values[place] = self.number(texts[place], strict)
        values[np.isinf(values)] = np.nan
        return values

    @property
    def description(self) -> str:
        """Return how a number looks, unless as in Python.

        An example is " (1.234,5 is 1234.5)".
        """
        if self == PLAIN:
            return ""
        plain = "1234.5" if self.group or self.decimal == "," else "3.5"
        shown = plain.replace(".", self.decimal)
        shown = f"1{self.group}{shown[1:]}" if self.group else shown
        shown += {"%": " %", "": ""}.get(self.unit, f" {self.unit}")
        return f" ({shown} is {plain})"


PLAIN, DECIMAL_COMMA = Spelling(), Spelling(",", ".")


def spelled_numbers(series: pd.Series, spelling: Spelling) -> np.ndarray:
    """Return (n,) float64 of a column in this convention.

    Its text is in this convention; numbers in it are what they are.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        return np.append(spelled_numbers(pd.Series(series.dtype.categories), spelling), np.nan)[series.cat.codes]
    if pd.api.types.is_object_dtype(series.dtype):
        is_text = np.array([isinstance(value, str | bytes) for value in series], dtype=bool)
        values = np.full(len(series), np.nan)
        values[~is_text] = numbers_of(series[~is_text])
        values[is_text] = _text_as_numbers(series[is_text], spelling)
        return values
    return _text_as_numbers(series, spelling) if pd.api.types.is_string_dtype(series.dtype) else numbers_of(series)


def _text_as_numbers(series: pd.Series, spelling: Spelling) -> np.ndarray:
    if spelling.decimal == "." and len(series) > _MAX_TEXTS_IN_A_LOOP:
        # As in `numbers`; and what most rows spell plainly need not be made distinct first.
        values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
        values[np.isinf(values)] = np.nan
        odd = np.isnan(values) & series.notna().to_numpy()
        values[odd] = _distinct_as_numbers(series[odd], spelling)
        return values
    return _distinct_as_numbers(series, spelling)


def _distinct_as_numbers(series: pd.Series, spelling: Spelling) -> np.ndarray:
    rows, texts = coded_text(series)
    return np.append(_numbers_of_column(texts, spelling), np.nan)[rows]


def _numbers_of_column(texts: Sequence[str], spelling: Spelling) -> np.ndarray:
    """Return (n,) float64 of one column's texts.

    They are all in its own convention or all in the plain one.

    Text by text, 1.234 would be a thousand beside 12.75: where a table is written anew, its decimal commas become
    points. So where some texts are numbers in the plain convention only, and none in the column's own only, it is that.
    """
    numbers = spelling.numbers(texts)
    if spelling.decimal == ".":
        return numbers
    plain = PLAIN.numbers(texts)
    is_own, is_plain = np.isfinite(spelling.numbers(texts, strict=True)), np.isfinite(plain)
    is_rewritten = (is_plain & ~is_own).any() and not (is_own & ~is_plain).any()
    return np.where(is_plain, plain, numbers) if is_rewritten else numbers


def _parts(text: str) -> tuple[int, str, str] | None:
    """Return a number's sign, digits and unit.

    They are of what looks like one; the digits come with their marks.
    """
    text = text.translate(_TYPOGRAPHY).strip()
    in_brackets = len(text) > 2 and text[0] == "(" and text[-1] == ")"
    match = _WRITTEN.fullmatch(text[1:-1].strip() if in_brackets else text)
    if match is None:
        return None
    signs = match["sign"] + match["sign_inside"] + match["minus"]
    if len(signs) + in_brackets > 1 or (match["before"] and match["after"]):
        return None
    return -1 if in_brackets or signs == "-" else 1, match["digits"], match["before"] or match["after"] or ""


@dataclass(frozen=True)
class Reading:
    """A column's texts read as numbers.

    values: (n_texts,) one a text, NaN where it is none. are_codes: whole numbers that are more likely codes (of places,
    of products) than amounts. has_leading_zeros: some begin with a zero that is not all of it, so they are codes.
    missing: a few of the texts that are taken for missing, the most frequent first. n_missing: the rows that hold any.
    """

    spelling: Spelling
    values: np.ndarray
    are_codes: bool
    has_leading_zeros: bool
    missing: tuple[str, ...]
    n_missing: int


def read_numbers(texts: Sequence[str], counts: np.ndarray) -> Reading | None:
    """Return distinct texts read as numbers, or None.

    It is None if fewer than 95 % of the rows are, those without a value aside.

    counts: (n_texts,) how many rows hold each.
    """
    counted = np.where([is_missing(text) for text in texts], 0, counts)
    often = [place for place in np.argsort(-counted, kind="stable")[:_MAX_SAMPLED_TEXTS] if counted[place]]
    spelling = _find_spelling([texts[place] for place in often], counted[often])
    if spelling is None:
        return None
    values = spelling.numbers(texts, strict=True)
    is_number = np.isfinite(values)
    if counted[is_number].sum() < _MIN_SHARE * counted.sum() or len(np.unique(values[is_number])) < 2:
        return None
    lost = [place for place in np.argsort(-counts, kind="stable") if counts[place] and not is_number[place]]
    spelled = pd.Series([texts[place].strip() for place in np.flatnonzero(is_number).tolist()], dtype=object)
    is_whole = spelling == PLAIN and bool(spelled.str.fullmatch("[+-]?[0-9]+").all())
    has_leading_zeros = is_whole and bool(spelled.str.fullmatch("0[0-9]+").any())
    return Reading(
        spelling,
        np.where(is_number, values, np.nan),
        are_codes=is_whole and (has_leading_zeros or not lost or _is_one_length(spelled)),
        has_leading_zeros=has_leading_zeros,
        missing=tuple(texts[place] for place in lost[:_N_EXAMPLES]),
        n_missing=int(counts[lost].sum()),
    )


def _is_one_length(spelled: pd.Series) -> bool:
    """Return whether all have the same five-plus digits.

    Postal codes have, and hardly any amounts.
    """
    lengths = spelled.str.len()
    return bool(lengths.min() == lengths.max() >= 5)


def _find_spelling(texts: Sequence[str], counts: np.ndarray) -> Spelling | None:
    """Return the convention of most rows, or None.

    Nearly all rows are numbers in it.
    """
    read = [(parts, count) for text, count in zip(texts, counts, strict=True) if (parts := _parts(text))]
    total = sum(count for _, count in read)
    if total == 0 or total < _MIN_SHARE * counts.sum():
        return None
    units: Counter[str] = Counter()
    for (_, _, unit), count in read:
        units[unit] += count if unit else 0
    unit, n_with = units.most_common(1)[0]
    unit = unit if n_with >= _MIN_SHARE_OF_A_UNIT * total else ""
    choices = [Spelling(decimal, group, unit) for decimal, group in _CONVENTIONS]
    return max(choices, key=lambda spelling: _evidence(spelling, read))


def _evidence(spelling: Spelling, read: list[tuple[tuple[int, str, str], int]]) -> tuple[int, int]:
    """Return rows for a convention, and undisputed ones.

    The first are those that it reads, and the second those of them that no four digits without a mark speak against.

    The second tells 1,234 beside 999 (thousands) from 1,234 beside 1234 (a fraction).
    """
    known = [(digits, count) for (_, digits, _), count in read if spelling.reads(digits)]
    against = re.compile("[0-9]{4,}.*") if spelling.group else None
    n_against = sum(count for digits, count in known if against and against.fullmatch(digits))
    n_read = sum(count for _, count in known)
    return n_read, n_read - n_against
