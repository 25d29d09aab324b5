"""Formats numbers briefly, as people read them."""

from __future__ import annotations

from pathlib import Path


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


def count(n: int, noun: str) -> str:
    """Return "1 trial" or "1,234 trials"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def as_typed(folder: Path) -> Path:
    """Return `folder` relative to here, if inside."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
