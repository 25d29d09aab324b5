"""A panel is one part of the report.

It says in words what there is to see, shows it, and has the same numbers for programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacktune.report.page.chart import Chart


@dataclass(frozen=True)
class Grid:
    """A table of a panel.

    caption: what it holds. numeric: the positions of columns of numbers, which stand to the right.
    strong: the position of a row to point out. n_shown: rows that are seen at once, the others behind a fold.
    is_wide: whether it takes the page's width; else a chart may stand beside it.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    strong: int | None = None
    n_shown: int = 15
    is_wide: bool = True


@dataclass(frozen=True)
class Commands:
    """Lines to type, each with what it is for."""

    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Slider:
    """A threshold to move, with what follows from it.

    places: of thresholds, ascending, each with its counts (true positives, false positives, false negatives, true
    negatives). chosen: the position of the leader's own.
    """

    positive: str
    negative: str
    thresholds: Sequence[float]
    counts: Sequence[Sequence[float]]
    chosen: int


Part = Chart | Grid | Commands | Slider


@dataclass(frozen=True)
class Panel:
    """A part of the report.

    name: in links and in report.json. lead: sentences. parts: in their order. numbers: for report.json.
    """

    name: str
    title: str
    lead: Sequence[str] = ()
    parts: Sequence[Part] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
