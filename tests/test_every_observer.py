"""The contract of observers, see pipeline/testing/observers, over the screen, MLflow's and those that hand on."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.console import Console

from stacktune.metrics import get_metric
from stacktune.observers import Observer, Observers, Snapshot
from stacktune.report.event_file import EventFile
from stacktune.report.screen import Screen
from stacktune.testing import Check, parametrize_with_checks
from stacktune.testing.observers import ObserverSubject, observer_checks
from stacktune.tracking.tracker import Tracker


def plain_screen() -> Screen:
    return Screen(Console(file=io.StringIO(), width=80), live=False)


class DrawnScreen(Screen):
    """A live one that is drawn at each snapshot, and not by a thread now and then."""

    def snapshot(self, snapshot: Snapshot) -> None:
        super().snapshot(snapshot)
        self._console.print(self._view())


def live_screen() -> Screen:
    return DrawnScreen(Console(file=io.StringIO(), width=80, force_terminal=True), live=True)


def tracker() -> Tracker:
    """One whose thread has not begun: what it is told waits to be written."""
    made = Tracker("sqlite:///nowhere.db", "experiment")
    made.log_task("binary", get_metric("roc_auc", "binary"))
    return made


def event_file() -> EventFile:
    """One whose file is gone with its folder, but open."""
    with TemporaryDirectory() as folder:
        return EventFile(Path(folder) / "events.jsonl", lambda: 1.0, get_metric("roc_auc", "binary"), pytest.fail)


SUBJECTS = (
    ObserverSubject("observer", Observer),
    ObserverSubject("observers", lambda: Observers([Observer(), plain_screen(), tracker()])),
    ObserverSubject("plain_screen", plain_screen),
    ObserverSubject("live_screen", live_screen),
    ObserverSubject("tracker", tracker),
    ObserverSubject("event_file", event_file),
)


@parametrize_with_checks(SUBJECTS, observer_checks)
def test_the_contract(check: Check) -> None:
    check()
