"""An observer to check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stacktune.observers import Observer


@dataclass(frozen=True)
class ObserverSubject:
    """What makes an observer, as a program does before it hands it to a run of a metric named roc_auc."""

    name: str
    make: Callable[[], Observer]
