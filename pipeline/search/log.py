"""The driver's record of every trial of a run.

Tune's event loop writes it; everybody else reads it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from stacktune.search import decisions
from stacktune.search.decisions import DecisionRecord
from stacktune.search.events import Event
from stacktune.search.journal import Journal
from stacktune.search.trial_log import log_again, log_broken, log_end, log_rung, log_start
from stacktune.trials.provenance import NO_RUN, Provenance
from stacktune.trials.result import STOPPED, TrialResult
from stacktune.trials.trial import Progress, Trial

# In the folder of trials: what members of a population were at each interval.
STATES = ".states"


class SearchListener(Protocol):
    """Hears of every trial, on Tune's event loop.

    Methods must return at once and never raise.
    """

    def trial_started(self, trial: Trial) -> None: ...

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None: ...

    def trial_finished(self, result: TrialResult) -> None: ...

    def trial_retried_after_oom(self, trial: Trial) -> None: ...

    def family_set_aside(self, family: str, reason: str) -> None: ...

    def search_has_enough(self, reason: str) -> None: ...

    def tune_broke_off(self, reason: str, told: str, *, goes_on: bool) -> None: ...

    def scratch_not_removed(self, n_nodes: int) -> None: ...

    def event(self, event: Event) -> None: ...

    def decided(self, decision: DecisionRecord) -> None: ...


@dataclass
class Entry:
    """One trial as far as it has come.

    actor: the handle of the Ray actor that it runs or last ran in.
    n_losses, n_deaths: how often it was cut off, and how often because its process died and not its node.
    is_told: whether the listener has heard of its start in this session.
    ran_out: whether there was no memory for it once, so that it has begun again.
    n_discarded: the number of rungs in `progress` from before it last gave up its state.
    discarded_fit_s, discarded_cpu_s: the cost of states that it gave up, and of work cut off between rungs.
    is_lost: whether it had completed, but its folder is no longer as it was written.
    heard_at: when its process began or last reported, on `time.monotonic()`'s scale; None while none works on it.
    """

    index: int
    trial: Trial
    progress: list[Progress] = field(default_factory=list)
    result: TrialResult | None = None
    is_running: bool = False
    actor: Any = None
    is_told: bool = False
    n_losses: int = 0
    n_deaths: int = 0
    ran_out: bool = False
    n_discarded: int = 0
    discarded_fit_s: float = 0.0
    discarded_cpu_s: float = 0.0
    is_lost: bool = False
    heard_at: float | None = None

    @property
    def has_discarded_state(self) -> bool:
        """Return whether the last rung's state is given up."""
        return self.n_discarded == len(self.progress)

    def discard_state(self) -> None:
        """Give up the state, and remember what it cost."""
        if not self.has_discarded_state:
            self.n_discarded = len(self.progress)
            self.discarded_fit_s += self.progress[-1].fit_s
            self.discarded_cpu_s += self.progress[-1].cpu_s

    def cut_off(self) -> None:
        """Count the time since the last report as discarded."""
        if self.heard_at is not None:
            unreported_s = time.monotonic() - self.heard_at
            self.discarded_fit_s += unreported_s
            self.discarded_cpu_s += unreported_s
            self.heard_at = None

    def with_all_costs(self, result: TrialResult) -> TrialResult:
        """Return the result with all discarded costs added."""
        return replace(result, fit_s=result.fit_s + self.discarded_fit_s, cpu_s=result.cpu_s + self.discarded_cpu_s)

    def reached(self, progress: Progress) -> None:
        """Add a rung, and drop any that it repeats."""
        self.progress = [*(one for one in self.progress if one.rung < progress.rung), progress]
        self.n_discarded = min(self.n_discarded, len(self.progress) - 1)

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
            rows_share=self.trial.rows_share,
            error=reason,
        )


class SearchLog:
    """All trials of the run `made_by`, as asked."""

    def __init__(self, listener: SearchListener, journal: Journal | None = None, made_by: Provenance = NO_RUN) -> None:
        self.made_by = made_by
        self._listener = listener
        self._journal = journal
        self._entries: dict[str, Entry] = {}
        self._to_run_again: deque[Entry] = deque()
        self._set_aside: set[str] = set()
        self._lock = threading.Lock()
        self.deadline = math.inf  # as in the plan, but it may come nearer while the search lasts
        self.is_exhausted = threading.Event()
        self.is_idle = threading.Event()
        self.is_closed = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: the log stays with the driver.

        Tune pickles its searcher and scheduler to be able to restore them.
        """
        return {}

    def restore(self, entries: Sequence[Entry]) -> None:
        """Load an earlier session's trials; queue the unfinished ones."""
        self._entries = {entry.trial.trial_id: entry for entry in entries}
        self._to_run_again.extend(entries)

    def run_again(self, entry: Entry) -> None:
        """Queue a trial that was cut off."""
        self._to_run_again.append(entry)

    def broke_off(self, reason: str, told: str, *, goes_on: bool) -> None:
        """Report that Tune broke off.

        Unfinished trials are queued if the search goes on.
        """
        log_broken(told)
        self._listener.tune_broke_off(reason, told, goes_on=goes_on)
        if goes_on:
            self.is_exhausted.clear()
            self._to_run_again = deque(self._open())

    def scratch_not_removed(self, n_nodes: int) -> None:
        """Report how many nodes' scratch folders were not removed."""
        self._listener.scratch_not_removed(n_nodes)

    def next_to_run_again(self) -> Entry | None:
        """Return the queue's next unfinished trial, or None."""
        while self._to_run_again:
            entry = self._to_run_again.popleft()
            if entry.result is None:
                return entry
        return None

    def add(self, trial: Trial) -> Entry:
        with self._lock:
            entry = Entry(len(self._entries), trial)
            self._entries[trial.trial_id] = entry
        if self._journal:
            self._journal.asked(trial)
        self._listener.decided(decisions.asked(trial))
        return entry

    def entry(self, trial_id: str) -> Entry:
        return self._entries[trial_id]

    def entries(self) -> tuple[Entry, ...]:
        with self._lock:
            return tuple(self._entries.values())

    def results(self) -> list[TrialResult]:
        """Return the results of ended trials, as asked."""
        return [entry.result for entry in self.entries() if entry.result is not None]

    def started(self, trial_id: str, actor: Any) -> None:
        entry = self._entries[trial_id]
        entry.actor = actor
        if entry.result is None:
            entry.is_running = True
            entry.heard_at = time.monotonic()
            if not entry.is_told:
                entry.is_told = True
                log_start(entry.trial)
                self._listener.trial_started(entry.trial)

    def progressed(self, trial_id: str, progress: Progress) -> None:
        """Take in a rung that a trial has reached.

        Of one that was interrupted by then only the journal hears, for a run that goes on with it.
        """
        entry = self._entries[trial_id]
        if self._journal:
            self._journal.progressed(trial_id, progress)
        if entry.result is not None:
            return
        entry.heard_at = time.monotonic()
        entry.reached(progress)
        log_rung(entry.trial, progress)
        self._listener.decided(decisions.rung(trial_id, progress))
        self._listener.trial_progress(entry.trial, progress.rung, progress.score)

    def retried_after_oom(self, entry: Entry, trial: Trial) -> None:
        """Restart as `trial` one that ran out of memory."""
        entry.trial = trial
        if self._journal:
            self._journal.took_up(trial)
        self._listener.decided(decisions.taken_up(trial))
        log_again(trial, f"ran out of memory, begins again on {trial.rows_share:.3g} of its rows")
        self._listener.trial_retried_after_oom(trial)

    def took_up(self, trial_id: str, trial: Trial) -> None:
        """Continue a trial as `trial`, from another member's state."""
        entry = self._entries[trial_id]
        entry.discard_state()
        entry.heard_at = None
        entry.trial = trial
        log_again(trial, "goes on from another member's state")
        if self._journal:
            self._journal.took_up(trial)
        self._listener.decided(decisions.taken_up(trial))

    def ended(self, result: TrialResult, why: str | None = None) -> None:
        """Take in a trial's result.

        why: in words, where its scheduler stopped it.
        """
        entry = self._entries[result.trial_id]
        if entry.result is None:
            whole = self._end(entry, result)
            if self._journal:
                self._journal.ended(whole)
            self._listener.decided(decisions.ended(whole, why))
        self._look_whether_idle()

    def mark_interrupted(self, entry: Entry, reason: str) -> None:
        """Stop an unfinished trial; a resumed run continues it."""
        if entry.result is None:
            entry.cut_off()
            self._listener.decided(decisions.interrupted(self._end(entry, entry.cut_short(reason))))
        self._look_whether_idle()

    def _end(self, entry: Entry, result: TrialResult) -> TrialResult:
        """Set the trial's result, with all costs.

        Returns it.
        """
        entry.result = whole = entry.with_all_costs(result)
        entry.is_running, entry.heard_at = False, None
        log_end(whole)
        self._listener.trial_finished(whole)
        return whole

    def exhausted(self) -> None:
        """Say that no further trial will be asked for."""
        self.is_exhausted.set()
        self._look_whether_idle()

    def set_aside(self, family: str, reason: str) -> None:
        """Report, once, that a family is set aside."""
        if family not in self._set_aside:
            self._set_aside.add(family)
            self._listener.decided(decisions.set_aside(family, reason))
            self._listener.family_set_aside(family, reason)

    def has_enough(self, reason: str) -> None:
        """Report why no more trials are asked for."""
        self._listener.search_has_enough(reason)

    def event(self, event: Event) -> None:
        """Pass on what a source tells."""
        self._listener.event(event)

    def forget_actors(self) -> None:
        """Drop all actor handles.

        One that is freed while Ray ends would end this process.
        """
        for entry in self.entries():
            entry.actor = None

    def core_seconds(self, families: Collection[str]) -> Iterator[tuple[float, float]]:
        """Yield (CPU seconds, seconds) of this session's trials."""
        for entry in self.entries():
            spent = entry.result or (entry.progress[-1] if entry.progress else None)
            if spent is not None and entry.actor is not None and entry.trial.family in families:
                yield spent.cpu_s, spent.fit_s

    def _look_whether_idle(self) -> None:
        if self.is_exhausted.is_set() and not self.has_open_trials():
            self.is_idle.set()

    def has_open_trials(self) -> bool:
        """Return whether any trial has not ended."""
        return any(self._open())

    def _open(self) -> Iterator[Entry]:
        return (entry for entry in self.entries() if entry.result is None)
