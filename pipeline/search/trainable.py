"""A trial inside a Ray actor: each step climbs to the next rung."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ray import tune
from threadpoolctl import threadpool_limits

from pipeline.families.base import Cache, Compute
from pipeline.search.scheduler import trial_from
from pipeline.trials.attempt import Attempt
from pipeline.trials.climb import Arena, Means, Progress, Trial, climb
from pipeline.trials.result import COMPLETED, TrialResult

STATES = ".states"


@dataclass(frozen=True)
class Site:
    """Where and with what the trials of a run work.

    folder: the run's folder of trials, the same on every node.
    deadline: on `time.time()`'s scale.
    """

    folder: str
    n_threads: int
    deadline: float
    longest_trial_s: float


class TrialTrainable(tune.Trainable):
    """Runs trials one after another in one process, so that its cache of binned data serves them all."""

    def setup(self, config: dict[str, Any], arena: Arena, site: Site) -> None:
        """Begin the first trial of this process."""
        threadpool_limits(site.n_threads)
        self._arena = arena
        self._site = site
        self._cache = Cache()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        self.cleanup()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        trial = trial_from(config)
        # Tune may start a trial in two actors and drop one, so each has its own folder until the trial is complete.
        self._folder = Path(self._site.folder) / f".{trial.trial_id}-{os.getpid()}"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._attempt = Attempt(trial, lambda: climb(trial, self._arena, self._means(trial)))

    def _means(self, trial: Trial) -> Means:
        left_s = min(self._site.deadline - time.time(), self._site.longest_trial_s)
        device = "cuda" if self.trial_resources and self.trial_resources.required_resources.get("GPU") else "cpu"
        return Means(
            folder=self._folder,
            states=Path(self._site.folder) / STATES,
            compute=Compute(self._site.n_threads, device),
            deadline=time.monotonic() + left_s if math.isfinite(left_s) else math.inf,
            cache=self._cache,
        )

    def step(self) -> dict[str, Any]:
        """Climb to the next rung."""
        outcome = self._attempt.advance()
        if isinstance(outcome, Progress):
            return {"score": outcome.score, "progress": json.dumps(asdict(outcome))}
        return {"score": outcome.score, "result": json.dumps(asdict(self._publish(outcome))), "done": True}

    def _publish(self, result: TrialResult) -> TrialResult:
        """Move a completed trial's folder to its final name in one step; drop any other's."""
        if result.status != COMPLETED:
            shutil.rmtree(self._folder, ignore_errors=True)
            return result
        final = Path(self._site.folder) / result.trial_id
        result = replace(result, folder=str(final))
        result.save(self._folder)
        os.replace(self._folder, final)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a member's state is written at every interval, and other trials start anew."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """See `save_checkpoint`."""

    def cleanup(self) -> None:
        """Let go of the trial that was stopped."""
        self._attempt.close()
        shutil.rmtree(self._folder, ignore_errors=True)
