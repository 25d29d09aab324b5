"""A trial in a Ray actor, rung by rung."""

from __future__ import annotations

import ctypes
import json
import math
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import tune

from stacktune.families.base import Cache, Compute
from stacktune.host import use_cores
from stacktune.search.cluster.trial_store import TrialStore
from stacktune.search.log import STATES
from stacktune.search.tune.searcher import DEADLINE, TRIAL
from stacktune.storage.folders import is_folder, make_anew, remove
from stacktune.trials.attempt import Attempt
from stacktune.trials.checkpoint import is_made_by
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.provenance import is_state
from stacktune.trials.result import COMPLETED, TrialResult
from stacktune.trials.trial import Progress, Trial, trial_from

# Of a table beyond so many bytes, what several families keep between trials is worth less than the memory: one family's
# training rows and validation rows stay.
MIN_LARGE_TABLE_BYTES, MAX_LARGE_TABLE_ENTRIES = 64 * 2**20, 2


@dataclass(frozen=True)
class WorkerContext:
    """The context that all trials of a run share.

    problem: Ray's reference.
    """

    problem: Any
    store: TrialStore
    n_threads: int
    longest_trial_s: float


class TrialTrainable(tune.Trainable):
    """Runs trials one after another in one process.

    So its cache of binned data serves them all.
    """

    def setup(self, config: dict[str, Any], context: WorkerContext | None = None) -> None:
        """Begin this process's first trial.

        `tune.with_parameters` gives the context.
        """
        if context is None:
            raise TypeError("trials are begun with a context, by tune.with_parameters")
        use_cores(context.n_threads)
        self._problem: Problem = ray.get(context.problem)
        self._context = context
        self._cache = (
            Cache(MAX_LARGE_TABLE_ENTRIES) if self._problem.table.features.nbytes > MIN_LARGE_TABLE_BYTES else Cache()
        )
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        self.cleanup()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        trial = trial_from(config[TRIAL])
        self._deadline = self._context.store.deadline_here(config.get(DEADLINE, math.inf))
        # Tune may start a trial in two actors and drop one, so each has its own folder until the trial is complete.
        self._scratch = self._context.store.scratch_dir()
        self._folder = self._scratch / f".{trial.trial_id}-{os.getpid()}"
        if not self._take_over(trial):
            make_anew(self._folder)
        self._attempt = Attempt(trial, lambda: climb(self._provided(trial), self._problem, self._resources(trial)))

    def _take_over(self, trial: Trial) -> bool:
        """Continue in a dead process's folder of this trial.

        It does so only if that process had finished a fold, and returns whether it does.
        """
        made_by = self._context.store.made_by.of(trial)
        for abandoned in self._scratch.glob(f".{trial.trial_id}-*"):
            owner = abandoned.name.rpartition("-")[2]
            is_abandoned = owner.isdecimal() and (int(owner) == os.getpid() or not psutil.pid_exists(int(owner)))
            if is_abandoned and is_folder(abandoned) and is_made_by(abandoned, made_by):
                if abandoned == self._folder:
                    return True
                remove(self._folder)
                with suppress(OSError):  # another process was first
                    abandoned.rename(self._folder)
                    return True
        return False

    def _provided(self, trial: Trial) -> Trial:
        """Fetch the state that the trial continues from.

        Raises OSError unless that is as it was written.
        """
        if trial.resume is None:
            return trial
        name = Path(trial.resume.folder).name
        state = self._context.store.fetch(self._scratch / STATES / name, f"{STATES}/{name}")
        if not is_state(state, self._context.store.made_by):
            raise OSError(f"the state {name} that {trial.trial_id} was to go on from is not as it was written")
        return replace(trial, resume=replace(trial.resume, folder=str(state)))

    def _resources(self, trial: Trial) -> TrialResources:
        remaining_s = min(self._deadline - time.monotonic(), self._context.longest_trial_s)
        device = "cuda" if self.trial_resources and self.trial_resources.required_resources.get("GPU") else "cpu"
        return TrialResources(
            folder=self._folder,
            states=self._scratch / STATES,
            warm_start_from=tuple(self._context.store.fetch(self._scratch / name, name) for name in trial.bank),
            compute=Compute(self._context.n_threads, device),
            deadline=time.monotonic() + remaining_s if math.isfinite(remaining_s) else math.inf,
            cache=self._cache,
            made_by=self._context.store.made_by,
        )

    def step(self) -> dict[str, Any]:
        """Climb to the next rung."""
        outcome = self._attempt.advance()
        if isinstance(outcome, Progress):
            if outcome.state is not None:
                self._context.store.upload(Path(outcome.state), f"{STATES}/{Path(outcome.state).name}")
            return {"score": outcome.score, "progress": json.dumps(asdict(outcome))}
        return {"score": outcome.score, "result": json.dumps(asdict(self._publish(outcome))), "done": True}

    def _publish(self, result: TrialResult) -> TrialResult:
        """Publish a completed trial's folder; remove any other's."""
        if result.status != COMPLETED:
            remove(self._folder)
            return result
        result = replace(result, folder=str(Path(self._context.store.folder) / result.trial_id))
        result.save(self._folder, self._context.store.made_by)
        self._context.store.publish(self._folder, result.trial_id)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: members' states are written at every interval.

        Other trials start anew.
        """

    def load_checkpoint(self, checkpoint: Any) -> None:
        """See `save_checkpoint`."""

    def cleanup(self) -> None:
        """Let go of the trial that was stopped."""
        self._attempt.close()
        remove(self._folder)
        _release_memory()


def _release_memory() -> None:
    """Return freed memory to the system, where glibc can.

    It keeps 150 MB after a fit on a large table.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
