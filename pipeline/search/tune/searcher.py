"""The experiment's searcher: chooses families and their configurations."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.pool import AsyncResult, ThreadPool
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from stacktune.families.base import Family
from stacktune.families.registry import get_family
from stacktune.search.allocator import Allocator
from stacktune.search.log import Entry, SearchLog
from stacktune.search.plan.plan import SearchPlan
from stacktune.search.source_kinds import kind_of
from stacktune.search.sources import Source, SourceRequest
from stacktune.seeds import derive_seed
from stacktune.storage.run_folder import LOG
from stacktune.trials.result import COMPLETED, FAILED, TrialResult
from stacktune.trials.trial import Trial

# The keys of a Tune configuration that hold our Trial and, in a budgeted run, when it must end: on the scale of
# `time.monotonic()` of the driver's machine.
TRIAL, DEADLINE = "trial", "deadline"
MAX_FAILURES_BEFORE_SET_ASIDE = 3
# A trial is begun only if this share of what the family's cheapest one took is left; with less it could not complete.
MIN_TRIAL_SHARE = 0.7
# How long Tune's event loop waits for a source's answer while it has trials to look after.
PATIENCE_S = 0.2


@dataclass(frozen=True)
class _Asking:
    """A question to a source, on its own thread."""

    trial_id: str
    family: str
    bank: tuple[str, ...]
    answer: AsyncResult


class FamilySearcher(Searcher):
    """Asks the allocator for families, their sources for configurations.

    In a reproducible run a trial is asked for only when every trial at least `plan.lag` before it has ended, and what
    is decided about it rests on those alone: so neither timing nor the number of cores can change it.

    folder: that of the trials, where a source keeps what its own processes need.
    """

    def __init__(self, plan: SearchPlan, log: SearchLog, folder: Path | None = None):
        super().__init__(metric="score", mode="max")
        self._plan = plan
        self._log = log
        self._sources = {name: self._source(get_family(name), folder) for name in plan.families}
        self._allocator = Allocator(plan.families, plan.lag is None, plan.agenda)
        self._n_asked = 0
        self._told: set[str] = set()
        self._asking: _Asking | None = None
        self._is_enough = False
        for entry in log.entries():
            self._remember(entry.trial)

    @property
    def _deadline(self) -> float:
        return min(self._plan.deadline, self._log.deadline)

    def _source(self, family: Family, folder: Path | None) -> Source:
        seed, space = (
            derive_seed(self._plan.seed, "source", family.name),
            self._plan.spaces.load(family.name, self._plan.is_large),
        )
        return kind_of(family.name).make(SourceRequest(family, space, seed, self._plan, self._log.event, folder))

    def _remember(self, trial: Trial) -> None:
        """Count a trial of an earlier session as asked."""
        # Numbers go on from the highest: a journal may have lost a trial in between.
        number = trial.trial_id.rpartition("-")[2]
        self._n_asked = max(self._n_asked, int(number) if number.isdecimal() else 0) + 1
        if not trial.is_preliminary:
            self._allocator.was_asked(trial.family)
            self._sources[trial.family].was_asked(trial.trial_id, trial.config)

    # Ray's own annotation knows of no FINISHED.
    def suggest(self, trial_id: str) -> Any:
        """Return a trial, None for "later", or FINISHED.

        Tune calls this whenever it has room.
        """
        again = self._again()
        if again is not None:
            return self._config(again)
        open_families = self._open_families()
        if not open_families:
            return None if self._may_run_again() else self._finished()
        asking = self._asking
        if asking is None:
            if self._must_wait():
                return None
            self._learn(self._known())
            asking = self._asking = self._ask(self._allocator.choose(open_families))
        if not self._is_answered(asking.answer):
            return None
        self._asking = None
        return self._config(self._asked(asking))

    def _config(self, trial: Trial) -> dict[str, Any]:
        """Return a trial as Tune is given it."""
        return {TRIAL: asdict(trial)} | ({DEADLINE: self._deadline} if math.isfinite(self._deadline) else {})

    def _finished(self) -> str:
        if self._asking is None:
            self._learn(self._log.entries())  # the last teach no later one, but what they earned is logged
        self._log.exhausted()
        return Searcher.FINISHED

    def _ask(self, family: str) -> _Asking:
        """Ask a family's source on a daemon thread.

        It is a daemon, as the run may end before a slow source answers.
        """
        source, own_id = self._sources[family], f"{family}-{self._n_asked:04d}"
        bank, pool = source.bank(), ThreadPool(1)
        asking = _Asking(own_id, family, bank, pool.apply_async(source.ask, (own_id,)))
        pool.close()
        return asking

    def _is_answered(self, answer: AsyncResult) -> bool:
        """Return whether the source answers; wait if idle.

        If something else can be done, it waits only a moment.
        """
        answer.wait(PATIENCE_S)
        while not answer.ready() and not self._is_over() and not self._log.has_open_trials():
            answer.wait(PATIENCE_S)
        return answer.ready()

    def _asked(self, asking: _Asking) -> Trial:
        """Return the trial with the source's configuration."""
        family, config = asking.family, asking.answer.get()
        scheduler, share = self._plan.scheduler_of(family), self._rows_share(family, config)
        trial = Trial(asking.trial_id, family, config, scheduler, self._is_first(), bank=asking.bank, rows_share=share)
        self._n_asked += 1
        self._log.add(trial)
        return trial

    def _rows_share(self, family: str, config: dict[str, Any]) -> float:
        return self._plan.memory.rows_share(family, config) if self._plan.memory else 1.0

    def _again(self) -> Trial | None:
        """Return a trial that was cut off, if any.

        Where there is no time for it, all such trials are over.
        """
        while (entry := self._log.next_to_run_again()) is not None:
            if not self._is_over():
                return entry.trial
            self._log.mark_interrupted(entry, "the time was up")
        return None

    def _is_over(self) -> bool:
        """Return whether no trial may begin any more.

        However late it is, one trial must give the run its leader.
        """
        is_late = time.monotonic() >= self._deadline
        has_model = any(result.status == COMPLETED for result in self._log.results())
        return self._log.is_closed.is_set() or (is_late and has_model)

    def _may_run_again(self) -> bool:
        """Return whether a running trial might run again.

        Its process may die, and there is time left.
        """
        return not self._is_over() and self._log.has_open_trials()

    def _open_families(self) -> list[str]:
        if self._plan.max_trials is not None and self._n_asked >= self._plan.max_trials:
            return []
        remaining_s = self._deadline - time.monotonic()
        # However late it is, one trial must give the run its leader.
        if (remaining_s <= 0 and self._n_asked) or self._log.is_closed.is_set():
            return []
        if self._has_enough():
            return []
        working = [name for name in self._plan.families if self._works(name)]
        return [name for name in working if self._allocator.cheapest_s(name) * MIN_TRIAL_SHARE <= remaining_s]

    def _has_enough(self) -> bool:
        """Return whether trials bring no gain any more.

        Where a trial waits for those before it, these have to end first. What was enough stays so, though a trial that
        is under way may yet bring a gain.
        """
        if self._is_enough:
            return True
        known = [entry for entry in self._known() if not entry.trial.is_preliminary]
        if self._plan.lag is not None and any(entry.result is None for entry in known):
            return False
        why = self._plan.limits.why_enough(entry.result for entry in known)
        if why is not None:
            self._is_enough = True
            self._log.has_enough(why)
        return self._is_enough

    def _works(self, family: str) -> bool:
        """Return whether a family is worth asking.

        It is set aside when it is spent, or when its first trials have all failed.
        """
        if self._sources[family].is_spent:
            self._log.set_aside(family, kind_of(family).spent)
            return False
        results = [entry.result for entry in self._known() if entry.result and entry.trial.family == family]
        if len(results) < MAX_FAILURES_BEFORE_SET_ASIDE or any(result.status != FAILED for result in results):
            return True
        reason = (results[-1].error or "").strip().splitlines()
        self._log.set_aside(
            family, f"all its trials failed ({LOG} tells where): {reason[0] if reason else 'no reason given'}"
        )
        return False

    def _must_wait(self) -> bool:
        if self._plan.lag is None:
            return False
        return any(entry.result is None for entry in self._known())

    def _learn(self, entries: Sequence[Entry]) -> None:
        """Pass on results, in the order of trials."""
        for entry in entries:
            if entry.result is not None and entry.trial.trial_id not in self._told:
                self._tell(entry.trial, entry.result)

    def _known(self) -> tuple[Entry, ...]:
        """Return the trials that the next one rests on."""
        entries = self._log.entries()
        return entries if self._plan.lag is None else entries[: max(0, self._n_asked - self._plan.lag + 1)]

    def _tell(self, trial: Trial, result: TrialResult) -> None:
        self._told.add(trial.trial_id)
        if trial.is_preliminary:
            return
        self._allocator.tell(result)
        self._sources[trial.family].tell(result)

    def _is_first(self) -> bool:
        """Return whether the leader needs this trial.

        It must complete to give one.
        """
        if self._plan.lag is not None:
            return self._n_asked == 0 and math.isfinite(self._plan.longest_trial_s)
        results = [entry.result for entry in self._log.entries()]
        return self._n_asked < self._plan.n_slots or not any(
            result is None or result.status == COMPLETED for result in results
        )

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Do nothing: results come through the log.

        The log also knows of trials that were stopped.
        """

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the journal keeps what is needed."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""
