"""Formats figures briefly, as people read them."""

from __future__ import annotations

import shlex
from pathlib import Path

from stacktune.streams import visible

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def clock(seconds: float) -> str:
    """Return "0:07", "12:30" or "1:02:03"."""
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def number(value: float | None, like: float | None = None) -> str:
    """Return a score in about five digits.

    It has the decimals that `like` would have, and is a dot for what is missing.
    """
    if value is None or value != value:
        return "·"
    size = abs(value if like is None else like)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.2e}"
    decimals = 4 if size < 10 else 3 if size < 100 else 2 if size < 1000 else 0
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def brief(value: float) -> str:
    """Return a duration's figure.

    It has one decimal below ten, else none.
    """
    return "·" if value != value else f"{value:,.1f}" if value < 9.95 else f"{value:,.0f}"


def size(n_bytes: float) -> str:
    """Return "512 B", "104 kB" or "1.25 GB".

    A kilobyte is 1,000 bytes.
    """
    return _short(n_bytes, " ") + "B"


def amount(n: float, unit: str) -> str:
    """Return about so many of a unit: "1.5M rows"."""
    return f"{_short(n)} {unit}"


def _short(n: float, before: str = "") -> str:
    """Return three digits and a metric prefix.

    before: what stands between the two.
    """
    for least, letter in _PREFIXES:
        if n >= least:
            return f"{_three(n / least)}{before}{letter}"
    return _three(n) + before


def _three(n: float) -> str:
    return f"{n:,.0f}" if n >= 100 else f"{n:.3g}"


def count(n: int, noun: str) -> str:
    """Return "1 trial" or "1,234 trials"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def as_typed(folder: Path) -> Path:
    """Return `folder` relative to here, if inside."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def in_a_shell(path: str) -> str:
    """Return a path as it is typed.

    It is quoted where need be, with control characters as bash and zsh write them.
    """
    if visible(path) == path:
        return shlex.quote(path)
    return "$'" + visible(path.replace("\\", "\\\\").replace("'", "\\'")) + "'"
