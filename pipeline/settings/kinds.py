"""Defines kinds of settings, as rules.

A kind has words and code. The words and the check are made from the same bounds, so that they cannot differ. Both are
plain functions, not a library's: the help of a command needs the words, and pydantic takes half as long to import as
the whole help.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from stacktune.errors import ConfigError

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_DURATION = re.compile(rf"(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s?)?")


class MisfitError(ValueError):
    """A value breaks its setting's rule.

    value: the part of it that does.
    """

    def __init__(self, value: object):
        super().__init__(value)
        self.value = value


@dataclass(frozen=True)
class Kind:
    """A rule for a setting's values.

    rule: the words behind "must be". read: returns the value that was meant, or raises MisfitError.
    flag_type: what the command line hands on: a number is refused there already. values: all that there are, where
    these are few.
    """

    rule: str
    read: Callable[[Any], Any]
    flag_type: type = str
    values: tuple[str, ...] = ()


def parse_duration(text: str | float) -> float:
    """Return the seconds that "10m" or "1h30m" spell.

    "90", "90s" and "2h" are durations, too. Raises ConfigError unless they are more than zero.
    """
    spelled = re.sub(r"\s+", "", str(text)).lower()
    match = _DURATION.fullmatch(spelled)
    seconds = sum(float(match[unit]) * _UNITS_S[unit] for unit in _UNITS_S if match[unit]) if match else math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(
            f"a time budget must be a duration above zero, not {text!r}. Give e.g. 90, 90s, 10m, 2h or 1h30m."
        )
    return seconds


def whole(least: int, most: int | None = None) -> Kind:
    """Return the kind of whole numbers within bounds.

    The bounds belong to it.
    """
    words = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    return Kind(words, lambda value: _whole(value, least, most), int)


def auto_or(kind: Kind) -> Kind:
    """Return the kind that "auto" leaves to the run.

    It is "auto", which is None, or a value of `kind`.
    """
    return Kind(f"auto or {kind.rule}", lambda value: None if value == AUTO else kind.read(value))


def above_zero(unit: str) -> Kind:
    """Return the kind of finite numbers above zero.

    unit: of what, as in "microseconds".
    """
    return Kind(f"a number of {unit} above 0", lambda value: _between(value, 0.0, math.inf), float)


def counts(*names: str) -> Kind:
    """Return the kind of several counts.

    names: of the whole numbers of at least 1, which have commas between them.
    """
    words = f"{_SPELLED[len(names)]} whole numbers of at least 1 with commas between them ({', '.join(names)})"
    return Kind(words, lambda value: _counts(value, len(names)))


def one_of(*values: str) -> Kind:
    """Return the kind of a few words."""
    words = f"{', '.join(values[:-1])} or {values[-1]}"
    return Kind(words, lambda value: _member(value, values), values=values)


def _text(value: object) -> str:
    """Return a text, number or path as text.

    A column may be called 2024. No name and no path holds the character of code 0.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if "\0" in str(value):
        raise MisfitError(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise MisfitError(value)
    return str(value)


def _class_text(value: object) -> str:
    """Return a class's text, also of YAML's booleans.

    YAML makes booleans of `true` and `yes`.
    """
    return str(value) if isinstance(value, bool) else _text(value)


def _names(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise MisfitError(value)
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise MisfitError(value)
    return value


def _member(value: object, values: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in values:
        raise MisfitError(value)
    return value


def _counts(value: object, n_counts: int) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != n_counts:
        raise MisfitError(value)
    if any(isinstance(part, bool | float) for part in parts):
        raise MisfitError(value)
    return tuple(_whole(part, 1) for part in parts)


def _whole(value: object, least: int, most: int | None = None) -> int:
    number = number_in(value)
    # Of an infinite number, as of no number, the rest is NaN, which counts as one.
    if number % 1 or number < least or (most is not None and number > most):
        raise MisfitError(value)
    return int(number)


def _between(value: object, low: float, high: float) -> float:
    """Return a number between two bounds.

    These do not belong to it.
    """
    number = number_in(value)
    if not low < number < high or number > sys.float_info.max:
        raise MisfitError(value)
    return float(number)


def _at_least_zero(value: object) -> float:
    number = number_in(value)
    if not 0 <= number <= sys.float_info.max:
        raise MisfitError(value)
    return float(number)


def number_in(value: object) -> int | float:
    """Return the number that a value is or spells.

    A truth value is none, though Python counts it among them.
    """
    if isinstance(value, bool) or not isinstance(value, Real | str):
        raise MisfitError(value)
    if isinstance(value, Real):  # a program's may be NumPy's
        return int(value) if isinstance(value, Integral) else float(value)
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    raise MisfitError(value)


def _size(value: object) -> float:
    """Return the bytes that a size spells.

    Units are of a thousand, as memory is told everywhere here. A plain number is of bytes, as a settings file keeps
    it, and none that anybody types: what is below a megabyte was meant otherwise.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(re.sub(r"\s+", "", value).upper())
        if match is None:
            raise MisfitError(value)
        return _between(match["size"], 0.0, math.inf) * _BYTES[match["unit"]]
    return _between(value, MIN_BYTES, math.inf)


def parse_gap(text: object) -> tuple[float, str]:
    """Return the size and unit that a gap spells.

    The unit is "rows", or "s" for seconds, as of "12h", "7d" and "2w".
    """
    match = _GAP.fullmatch(re.sub(r"\s+", "", str(text)).lower())
    if match is None or isinstance(text, bool):
        raise MisfitError(text)
    if not match["unit"]:
        return _whole(match["size"], 0), "rows"
    return _between(match["size"], 0.0, math.inf) * _GAP_UNITS_S[match["unit"]], "s"


def _gap(value: object) -> str:
    parse_gap(value)
    return str(value)


_GAP_UNITS_S = {**_UNITS_S, "d": 86_400.0, "w": 604_800.0}
_GAP = re.compile(rf"(?P<size>{_NUMBER})(?P<unit>[smhdw]?)")
AUTO = "auto"
_BYTES = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
MIN_BYTES = 999_999.0
_SIZE = re.compile(rf"(?P<size>{_NUMBER})(?P<unit>[KMGT])I?B?")
_SPELLED = {2: "two", 3: "three", 4: "four"}

TEXT = Kind("text that is not empty (in a file, put it in quotes)", _text)
CLASS = Kind(TEXT.rule, _class_text)
TABLE = Kind("a path or a URI", _text)
NAMES = Kind("names with commas between them, or a list of names", _names)
TRUTH = Kind("true or false", _truth, bool)
GAP = Kind("a number of rows, or a duration, e.g. 100, 90s, 30m, 12h, 7d or 2w", _gap)
SHARE = Kind("a share above 0 and below 1", lambda value: _between(value, 0.0, 1.0), float)
SIZE = Kind("a size with its unit, e.g. 500MB, 4GB or 1.5G", _size)
NOT_NEGATIVE = Kind("a number of at least 0", _at_least_zero, float)
DURATION = Kind("a duration, e.g. 90, 90s, 10m, 2h or 1h30m", parse_duration)
