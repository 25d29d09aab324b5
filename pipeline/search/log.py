"""What the driver knows of the trials of a run, told by Tune's event loop and read by everybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pipeline.trials.climb import Progress, Trial
from pipeline.trials.result import STOPPED, TrialResult


class SearchListener(Protocol):
    """Hears of every trial; called on Tune's event loop, so it must return at once and never raise."""

    def trial_started(self, trial: Trial) -> None: ...

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None: ...

    def trial_finished(self, result: TrialResult) -> None: ...


@dataclass
class Entry:
    """One trial as far as it has come.

    actor: the handle of the Ray actor that it runs or last ran in.
    left_fit_s, left_cpu_s: what it spent on states that it gave up for another member's.
    """

    index: int
    trial: Trial
    progress: list[Progress] = field(default_factory=list)
    result: TrialResult | None = None
    is_running: bool = False
    actor: Any = None
    left_fit_s: float = 0.0
    left_cpu_s: float = 0.0

    def leave_state(self) -> None:
        """Remember what was spent, before the trial begins anew from another member's state."""
        self.left_fit_s += self.progress[-1].fit_s
        self.left_cpu_s += self.progress[-1].cpu_s

    def with_all_costs(self, result: TrialResult) -> TrialResult:
        """Return the result with the cost of states that were given up."""
        return replace(result, fit_s=result.fit_s + self.left_fit_s, cpu_s=result.cpu_s + self.left_cpu_s)

    def cut_short(self, reason: str | None) -> TrialResult:
        """Return the result of a trial that ends here."""
        last = self.progress[-1] if self.progress else None
        return TrialResult(
            trial_id=self.trial.trial_id,
            family=self.trial.family,
            config=dict(self.trial.config),
            scheduler=self.trial.scheduler,
            status=STOPPED,
            rungs_reached=last.rung if last else 0,
            n_rungs=last.n_rungs if last else 0,
            curve=tuple(progress.score for progress in self.progress),
            fit_s=last.fit_s if last else 0.0,
            cpu_s=last.cpu_s if last else 0.0,
            error=reason,
        )


class SearchLog:
    """Every trial of the run, in the order in which they were asked for."""

    def __init__(self, listener: SearchListener):
        self._listener = listener
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self.is_exhausted = threading.Event()
        self.is_idle = threading.Event()
        self.is_closed = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher and scheduler to be able to restore them; the log stays with the driver."""
        return {}

    def add(self, trial: Trial) -> Entry:
        with self._lock:
            entry = Entry(len(self._entries), trial)
            self._entries[trial.trial_id] = entry
        return entry

    def entry(self, trial_id: str) -> Entry:
        return self._entries[trial_id]

    def entries(self) -> tuple[Entry, ...]:
        with self._lock:
            return tuple(self._entries.values())

    def results(self) -> list[TrialResult]:
        """Return the results of all trials that have ended, in the order in which they were asked for."""
        return [entry.result for entry in self.entries() if entry.result is not None]

    def started(self, trial_id: str, actor: Any) -> None:
        entry = self._entries[trial_id]
        entry.actor = actor
        if not entry.is_running and entry.result is None:
            entry.is_running = True
            if not entry.progress:
                self._listener.trial_started(entry.trial)

    def progressed(self, trial_id: str, progress: Progress) -> None:
        entry = self._entries[trial_id]
        entry.progress.append(progress)
        self._listener.trial_progress(entry.trial, progress.rung, progress.score)

    def ended(self, result: TrialResult) -> None:
        entry = self._entries[result.trial_id]
        if entry.result is None:
            entry.result = entry.with_all_costs(result)
            entry.is_running = False
            self._listener.trial_finished(entry.result)
        self._look_whether_idle()

    def exhausted(self) -> None:
        """Say that no further trial will be asked for."""
        self.is_exhausted.set()
        self._look_whether_idle()

    def forget_actors(self) -> None:
        """Let go of Ray's handles: one that is freed while Ray ends takes the process with it."""
        for entry in self.entries():
            entry.actor = None

    def _look_whether_idle(self) -> None:
        if self.is_exhausted.is_set() and not any(self._open()):
            self.is_idle.set()

    def _open(self) -> Iterator[Entry]:
        return (entry for entry in self.entries() if entry.result is None)
