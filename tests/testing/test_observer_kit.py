"""The contract of observers as a kit: a program's own keeps it, and broken ones are refused by the clause."""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from stacktune.errors import ConfigError
from stacktune.observers import Observer
from stacktune.search.events import Drawing, Event
from stacktune.testing import CheckError
from stacktune.testing.observers import ObserverSubject, check_observer, observer_checks
from stacktune.trials.result import TrialResult
from stacktune.trials.trial import Trial


class Counting(Observer):
    """Keeps what it needs, under a lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.n_finished = 0

    def trial_finished(self, result: TrialResult) -> None:
        with self._lock:
            self.n_finished += 1


class Expectant(Counting):
    def phase(self, name: str) -> None:
        raise LookupError("no chart of reading")


class Strict(Counting):
    def event(self, event: Event) -> None:
        {"wind": "speed"}[event.name]


class Orderly(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.at_work: set[str] = set()

    def trial_started(self, trial: Trial) -> None:
        self.at_work.add(trial.trial_id)

    def trial_finished(self, result: TrialResult) -> None:
        self.at_work.remove(result.trial_id)


class Finite(Counting):
    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        math.floor(score)


class Possessive(Counting):
    """Serves the thread that came first."""

    def __init__(self) -> None:
        super().__init__()
        self.owner: int | None = None

    def note(self, text: str) -> None:
        self.owner = self.owner or threading.get_ident()
        if self.owner != threading.get_ident():
            raise RuntimeError("made on another thread")


class Sleepy(Counting):
    def note(self, text: str) -> None:
        time.sleep(0.001)


class Calling(Counting):
    def note(self, text: str) -> None:
        with suppress(OSError):
            socket.create_connection(("localhost", 9), timeout=0.1)


class Meddling(Counting):
    def trial_finished(self, result: TrialResult) -> None:
        result.config["seen"] = True


class Answering(Counting):
    def drawing(self, of: str, drawing: Drawing) -> Any:
        return len(drawing.svg)


BROKEN = {
    Expectant: "it_hears_a_whole_run: an observer never raises, but phase.* raises LookupError: no chart of reading",
    Strict: "it_never_raises-unknown_events: .* event.* raises KeyError: 'dreams'",
    Orderly: "it_never_raises-out_of_order: .* trial_finished.* raises KeyError",
    Finite: "it_never_raises-odd_scores: .* trial_progress.* cannot convert float NaN to integer",
    Possessive: "it_is_told_on_several_threads: .* made on another thread",
    Sleepy: r"it_returns_at_once: an observer returns at once, but calls time\.sleep",
    Calling: "it_returns_at_once: an observer returns at once, but calls a network",
    Meddling: "it_changes_nothing_of_what_it_hears: what is told is the run's, but trial_finished changes it",
    Answering: "it_leaves_its_caller_alone: an observer answers nothing, but drawing 4",
}


def test_an_observer_of_a_program_keeps_the_contract() -> None:
    check_observer(ObserverSubject("counting", Counting))


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_observer_is_refused_by_the_name_of_the_check(broken: type[Observer]) -> None:
    with pytest.raises(CheckError, match=f"(?s)^mine fails the check {BROKEN[broken]}"):
        check_observer(ObserverSubject("mine", broken))


def test_each_clause_refuses_an_observer() -> None:
    clauses = {check.name.partition("-")[0] for check in observer_checks(ObserverSubject("counting", Counting))}
    assert clauses <= {said.partition(":")[0].partition("-")[0] for said in BROKEN.values()}


def test_what_is_no_observer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a subclass of stacktune\.observers\.Observer, but dict is not"):
        check_observer(ObserverSubject("a dict", dict))  # type: ignore[arg-type]
