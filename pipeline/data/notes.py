"""Sentences about columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAMES_SHOWN = 8


def counted(template: str, names: Sequence[str]) -> str:
    """Return a sentence on columns.

    `{}` is how many there are, and a few of their names follow.
    """
    return template.format(f"{len(names)} column{'s' if len(names) > 1 else ''}") + f": {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many follow.

    Commas stand between them.
    """
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if names[MAX_NAMES_SHOWN:] else ""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + more


def shortened(names: Sequence[str]) -> str:
    """Return the first few names, then dots."""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + (" …" if len(names) > MAX_NAMES_SHOWN else "")


def missing_note(name: str, examples: Sequence[str], n_missing: int) -> tuple[str, ...]:
    """Return a sentence on texts that mean missing.

    They stand for no value in a column; it is empty if there are none.
    """
    if not n_missing:
        return ()
    shown = ", ".join(f"{text[:20]!r}" for text in examples)
    return (f"took {n_missing:,} value{'s' if n_missing > 1 else ''} of {name} for missing, such as {shown}",)
