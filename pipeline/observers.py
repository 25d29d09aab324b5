"""Observers of a run hear what happens in it.

The screen and MLflow are two; a program that starts a run may bring others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stacktune.search.decisions import DecisionRecord
from stacktune.search.events import Drawing, Event
from stacktune.trials.result import TrialResult
from stacktune.trials.trial import Trial

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FamilyCount:
    """The progress of one family.

    best: its best score as people read it, None before the first.
    """

    name: str
    n_running: int = 0
    n_completed: int = 0
    n_stopped: int = 0
    n_failed: int = 0
    best: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment.

    elapsed_s: since the command began. budget_s, max_trials: the limits, None where there is none.
    best: the best score so far as people read it; best_name: the trial that has it.
    """

    elapsed_s: float
    phase: str
    budget_s: float | None = None
    max_trials: int | None = None
    families: tuple[FamilyCount, ...] = ()
    best: float | None = None
    best_name: str | None = None
    metric_name: str = "score"

    @property
    def n_running(self) -> int:
        return sum(family.n_running for family in self.families)

    @property
    def n_completed(self) -> int:
        return sum(family.n_completed for family in self.families)

    @property
    def n_stopped(self) -> int:
        return sum(family.n_stopped for family in self.families)

    @property
    def n_failed(self) -> int:
        return sum(family.n_failed for family in self.families)

    @property
    def n_ended(self) -> int:
        return self.n_completed + self.n_stopped + self.n_failed


class Observer:
    """Hears what happens in a run.

    A subclass writes the methods that it needs: here, none does anything.
    They are called on several threads of the run, `trial_…` on the one that serves all trials: each must return at once
    and never raise. `stacktune.testing.observers` checks that.
    """

    def phase(self, name: str) -> None:
        """Hear that a phase begins, after its first snapshot.

        name: reading, searching, stacking, registering or testing.
        """

    def note(self, text: str) -> None:
        """Hear a sentence that the user should read."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Hear the newest state; while searching, each quarter second."""

    def trial_started(self, trial: Trial) -> None:
        """Hear that a trial begins, once a session."""

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        """Hear a trial's score at a rung.

        rung: the first is 1. score: higher is better.
        """

    def trial_finished(self, result: TrialResult) -> None:
        """Hear what became of a trial."""

    def event(self, event: Event) -> None:
        """Hear what a source of suggestions tells of itself.

        A run that goes on tells it again from the first event on.
        """

    def decided(self, decision: DecisionRecord) -> None:
        """Hear of a decision, as `events.jsonl` keeps it."""

    def drawing(self, of: str, drawing: Drawing) -> None:
        """Hear of a drawing.

        of: the id of a trial, or the name of the events that it shows.
        """


class Observers(Observer):
    """Tells several observers everything.

    began_s: phases in their order, each with the seconds since the command began.
    """

    def __init__(self, observers: Iterable[Observer] = ()):
        self._observers = list(observers)
        self._snapshot = Snapshot(0.0, "starting")
        self.began_s: dict[str, float] = {}

    def add(self, observer: Observer) -> None:
        """Tell one more from now on."""
        self._observers.append(observer)

    def begin(self, phase: str, elapsed_s: float) -> None:
        """Begin a phase; the rest of the snapshot stays."""
        self.snapshot(replace(self._snapshot, phase=phase, elapsed_s=elapsed_s))

    def snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        for one in self._observers:
            one.snapshot(snapshot)
        if snapshot.phase not in self.began_s:
            self.began_s[snapshot.phase] = round(snapshot.elapsed_s, 2)
            self.phase(snapshot.phase)

    def phase(self, name: str) -> None:
        _logger.info("%s", name)
        for one in self._observers:
            one.phase(name)

    def note(self, text: str) -> None:
        _logger.info("%s", text)
        for one in self._observers:
            one.note(text)

    def trial_started(self, trial: Trial) -> None:
        for one in self._observers:
            one.trial_started(trial)

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        for one in self._observers:
            one.trial_progress(trial, rung, score)

    def trial_finished(self, result: TrialResult) -> None:
        for one in self._observers:
            one.trial_finished(result)

    def event(self, event: Event) -> None:
        for one in self._observers:
            one.event(event)

    def decided(self, decision: DecisionRecord) -> None:
        for one in self._observers:
            one.decided(decision)

    def drawing(self, of: str, drawing: Drawing) -> None:
        for one in self._observers:
            one.drawing(of, drawing)
