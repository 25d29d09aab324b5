"""Cases from public bug reports, a module each or for a few of a kind; `tests/benchmarks/field.py` runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One case.

    name: of the fault, in a few words. before: what it gave before it was mended. right: what it should give.
    measure: returns what it gives now, and whether that is right; it may write into the folder.
    """

    name: str
    before: str
    right: str
    measure: Callable[[Path], tuple[str, bool]]
