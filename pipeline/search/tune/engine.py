"""Runs all families in one Tune experiment.

It runs on whatever cluster Ray has joined.

The problem: a run has a deadline, and Tune has none that holds. It waits for a trial that hangs inside a library, for
an actor that does not come up, for a searcher that thinks, and at its end 15 s for actors to go. An exception anywhere
in it ends the whole experiment, though most trials are well.

What does not work well: Tune's time limit is looked at between events only. To kill Ray at the deadline loses what
trials have on the way to disk, and Ray ends a process that lets go of a handle meanwhile.

The solution: Tune runs on a thread of its own, and the run never waits for it but for the log, which hears of every
trial. What Tune breaks off over is written down, its trials are made ready as after a crash, and it is begun again.
Ending is in order (trials, then Tune, then Ray) and beside the rest of the run.

What is guaranteed: a search is over MAX_LATE_S after its deadline, or MAX_LATE_WITHOUT_MODEL_S after it as long as
nothing is completed. Every trial that began has a result then, and nothing unfinished stays but what a run that was cut
off goes on from.
"""

from __future__ import annotations

import os
import re
import secrets
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stacktune.errors import SearchError
from stacktune.garbage import imports
from stacktune.own_metric import module_of
from stacktune.search.cluster.own_code import carried_by_value
from stacktune.search.journal import Journal
from stacktune.search.log import STATES, Entry, SearchListener, SearchLog
from stacktune.search.plan.plan import SearchPlan
from stacktune.search.ray_patches.oom import kills_end_trials
from stacktune.search.ray_patches.parameters import parameters_let_go
from stacktune.search.ray_patches.startup import in_waiting_processes
from stacktune.search.replay import finished_since, make_ready
from stacktune.storage.folders import remove
from stacktune.trials.checkpoint import has_checkpoint
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import COMPLETED, TrialResult

# How long after the deadline a trial that is deep inside a library call is waited for.
MAX_LATE_S = 1.0
# How long after it a first model is waited for.
MAX_LATE_WITHOUT_MODEL_S = 30.0
# Tune gives its actors 15 s to end.
MAX_TUNE_ENDING_S = 20.0
MAX_PENDING = 8
# Tune is begun so often: what breaks it is most often gone by then, and what is not breaks it at once.
MAX_BEGINNINGS = 3
TUNE_FOLDER = ".tune"


def prepare() -> None:
    """Import what a search needs, while Ray starts.

    It takes a second that is free then.
    """
    with imports():
        import ray.tune  # noqa: F401

        import stacktune.search.tune.scheduler
        import stacktune.search.tune.searcher
        import stacktune.search.tune.trainable  # noqa: F401


@dataclass
class ProblemRef:
    """A problem in Ray's object store.

    Trials on a node see one copy. ref: None once it was let go of.
    """

    ref: Any


def share(problem: Problem) -> ProblemRef:
    """Put the problem into Ray's object store.

    Ray must be up. Whoever has the problem may then forget the table's features.
    """
    import ray

    with carried_by_value(module_of(problem.metric)):
        return ProblemRef(ray.put(problem))


class Search:
    """Runs Tune on a thread of its own.

    So the deadline holds whatever Tune waits for.

    folder: where completed trials go. journal: where what happens is noted. earlier: the trials of a search in the same
    folder that was cut off, or is to go on: see `replay`. made_by: the run, of which all is that is taken from a disk.
    """

    def __init__(
        self,
        problem: ProblemRef,
        plan: SearchPlan,
        folder: Path,
        listener: SearchListener,
        journal: Journal | None = None,
        earlier: Sequence[Entry] = (),
        made_by: Provenance | None = None,
    ):
        self._made_by = made_by or Provenance(secrets.token_hex(16))
        self.log = SearchLog(listener, journal, self._made_by)
        self.log.restore(earlier)
        self.log.deadline = plan.deadline
        self._problem = problem
        self._plan = plan
        self._folder = folder
        self._executor = ThreadPoolExecutor(1, "search")
        self._tune: Future | None = None
        self._store: Any = None
        self._late: set[str] = set()
        self._is_concluded = False

    def start(self) -> None:
        """Begin the search, or go on with it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._take_stock()
        self._tune = self._executor.submit(self._run)
        self._tune.add_done_callback(lambda _: self.log.is_idle.set())

    def _begun(self) -> Future:
        if self._tune is None:
            raise TypeError("a search is waited for and closed once it was begun")
        return self._tune

    def _take_stock(self) -> None:
        """Add results missing in the journal; remove useless files."""
        for result in finished_since(self.log.entries(), self._folder, self._made_by):
            self.log.ended(result)
        self._sweep(keeps_what_goes_on=True)

    def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` for the search's end.

        It returns whether the search is over.

        After the deadline, trials deep inside a library call are waited for only as long as nothing is completed, and
        not for ever: one may hang.

        Raises:
            SearchError: Tune itself broke off, also when it was begun again.
        """
        is_over = self.log.is_idle.wait(timeout_s)
        tune = self._begun()
        if tune.done():
            tune.result()
        late_s = time.monotonic() - self.log.deadline
        has_model = any(result.status == COMPLETED for result in self.log.results())
        return is_over or late_s > MAX_LATE_WITHOUT_MODEL_S or (late_s > MAX_LATE_S and has_model)

    def end_by(self, deadline: float) -> None:
        """Let the search end sooner than planned.

        Trials that are under way do not hear of it.
        """
        self.log.deadline = min(self._plan.deadline, deadline)

    def results(self, why_cut_short: str = "the time was up") -> list[TrialResult]:
        """Return the results of all trials.

        Those still running count as stopped; those that never ran are left out.
        """
        for entry in self.log.entries():
            if entry.result is None:
                self._late.add(entry.trial.trial_id)
                self.log.mark_interrupted(entry, why_cut_short)
        self._is_concluded = True
        return [result for result in self.log.results() if result.is_listed]

    def close(self, patience_s: float | None = None) -> bool:
        """End Tune, and remove what only the search needed.

        That is its files, unfinished trials and members' states.
        Returns whether Tune has ended: Ray must not be shut down before.

        What unfinished trials can go on from stays where nobody asked for results: the run was cut off then. Trials
        that outlast the search are killed: Tune would wait for them.

        patience_s: how long Tune is waited for; None is MAX_TUNE_ENDING_S.
        """
        self.log.is_closed.set()
        tune = self._begun()
        patience_ends = time.monotonic() + (MAX_TUNE_ENDING_S if patience_s is None else patience_s)
        while not tune.done() and time.monotonic() < patience_ends:
            self._kill_late()
            wait([tune], 0.5)
        self.log.forget_actors()
        self._problem.ref = None
        n_nodes = self._store.clear() if self._store is not None else 0
        if n_nodes:
            self.log.scratch_not_removed(n_nodes)
        self._executor.shutdown(wait=False)
        self._sweep(keeps_what_goes_on=not self._is_concluded)
        return tune.done()

    def _sweep(self, keeps_what_goes_on: bool) -> None:
        for unfinished in self._folder.glob(".*"):
            goes_on = unfinished.name == STATES or has_checkpoint(unfinished)
            if not (goes_on and keeps_what_goes_on):
                remove(unfinished)

    def _kill_late(self) -> None:
        import ray

        for entry in self.log.entries():
            if entry.actor is not None and (entry.result is None or entry.trial.trial_id in self._late):
                ray.kill(entry.actor)
                entry.actor = None

    def _run(self) -> None:
        waiting = in_waiting_processes() if self._plan.is_local else nullcontext()
        with parameters_let_go(), kills_end_trials(), waiting:
            for n_remaining in reversed(range(MAX_BEGINNINGS)):
                told = self._fit()
                if told is None:
                    return
                goes_on = n_remaining > 0 and not self.log.is_closed.is_set()
                self.log.broke_off(_first_cause(told), told, goes_on=goes_on)
                if not goes_on:
                    raise SearchError(f"Ray Tune broke off the search: {_first_cause(told)}")
                self._begin_again()

    def _fit(self) -> str | None:
        """Run Tune; return the traceback if it broke off.

        Anything may have broken it.

        The exception itself would keep Ray's handles alive: see `SearchLog.forget_actors`.
        """
        with ThreadPoolExecutor(1, "tune") as thread:
            error = thread.submit(lambda: self._tuner().fit()).exception()
        return None if error is None else "".join(traceback.format_exception(error))

    def _begin_again(self) -> None:
        """Reset the search as if the run were resumed."""
        import ray

        for entry in self.log.entries():
            if entry.result is None:
                if entry.actor is not None:
                    ray.kill(entry.actor)
                make_ready(entry, self._folder, self._made_by)
        self._take_stock()

    def _tuner(self) -> Any:
        from ray import tune
        from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig

        from stacktune.search.cluster.start import PENDING
        from stacktune.search.cluster.trial_store import open_trial_store
        from stacktune.search.tune.callback import SilentReporter, StartCallback
        from stacktune.search.tune.scheduler import FamilyScheduler
        from stacktune.search.tune.searcher import FamilySearcher
        from stacktune.search.tune.trainable import TrialTrainable, WorkerContext

        # With one pending trial, Tune's default, processes would be started one after another.
        os.environ[PENDING] = str(min(self._plan.n_slots, MAX_PENDING))
        has_many_nodes = not self._plan.is_local
        self._store = store = open_trial_store(self._folder.absolute(), has_many_nodes, self._made_by)
        context = WorkerContext(self._problem.ref, store, self._plan.n_threads, self._plan.longest_trial_s)
        trainable = tune.with_parameters(TrialTrainable, context=context)
        return tune.Tuner(
            tune.with_resources(trainable, partial(_resources, self._plan)),
            tune_config=TuneConfig(
                search_alg=FamilySearcher(self._plan, self.log, self._folder),
                scheduler=FamilyScheduler(self._plan, self.log, self._folder),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.config["trial"]["trial_id"],
                trial_dirname_creator=lambda trial: f"{trial.config['trial']['trial_id']}-{trial.trial_id}",
            ),
            run_config=RunConfig(
                name=TUNE_FOLDER,
                storage_path=str(self._folder.absolute()),
                verbose=0,
                progress_reporter=SilentReporter(),
                callbacks=[StartCallback(self.log)],
                failure_config=FailureConfig(max_failures=0),
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )


def _first_cause(told: str) -> str:
    """Return a traceback's line on the first exception.

    Tune's own errors consist of tracebacks.
    """
    named = re.search(r"^[\w.]+(?:Error|Exception)\b.*", told, re.MULTILINE)
    return named.group() if named else told.splitlines()[-1]


def _resources(plan: SearchPlan, config: dict[str, Any]) -> Any:
    from ray.tune import PlacementGroupFactory

    bundle = {"CPU": float(plan.n_threads)}
    if plan.memory:
        bundle["memory"] = plan.memory.n_bytes
    gpu_share = plan.gpu_share(config["trial"]["family"])
    if gpu_share:
        bundle["GPU"] = gpu_share
    return PlacementGroupFactory([bundle])
