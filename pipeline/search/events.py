"""Defines what sources tell of themselves.

Sources suggest configurations, and may be of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """News of what a source has learnt or seen.

    name: what the event is of, e.g. "controller"; events of one name are points of one series.
    values: numbers by their names. step: place in the series; a search that goes on tells the same steps once more.
    """

    name: str
    values: Mapping[str, float]
    step: int


@dataclass(frozen=True)
class Drawing:
    """A picture to show.

    name: of its file, e.g. "architecture.svg". svg: its text.
    """

    name: str
    svg: str
