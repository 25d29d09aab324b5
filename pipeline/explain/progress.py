"""How explaining tells of its progress."""

from __future__ import annotations

from collections.abc import Callable

# What is done, how much of it is done by now, and of how much.
Tell = Callable[[str, int, int], None]


def silent(what: str, n_done: int, n_in_all: int) -> None:
    """Tell nobody."""
