"""An observer to check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stacktune.observers import Observer


@dataclass(frozen=True)
class ObserverSubject:
    """Makes an observer for a run.

    It does what a program does before it hands one to a run of a metric named roc_auc.
    """

    name: str
    make: Callable[[], Observer]
