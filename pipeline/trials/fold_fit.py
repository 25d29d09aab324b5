"""One learner grown on one fold: looks at the watched rows, remembers the best, stops when past it."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from pipeline.families.base import Config, Family, Job, Learner
from pipeline.metrics import Metric

# Between two looks at a clock that may run out, at most this share of what is left is grown.
STEP_SHARE = 0.1


class FoldFit:
    """Grow one learner with early stopping on its watched rows."""

    def __init__(self, family: Family, config: Config, job: Job, metric: Metric):
        self.family = family
        self.job = job
        self.metric = metric
        self.max_units = family.max_units(config)
        self.learner: Learner = family.start(job, config)
        self.best_score = -math.inf
        self.best_units = 0
        self.best_predictions: np.ndarray | None = None
        self._unit_s: float | None = None
        self._target = job.table.target[job.watched]
        self._weight = None if job.table.weight is None else job.table.weight[job.watched]

    @property
    def is_over(self) -> bool:
        """Whether growing on is pointless: nothing left to grow, or patience spent."""
        n_units = self.learner.n_units
        patience = max(self.family.chunk, round(self.family.patience * self.max_units))
        return n_units >= self.max_units or (self.best_units > 0 and n_units - self.best_units >= patience)

    def take_up(self, state: Path) -> None:
        """Go on from the state that another learner of the same family wrote; it is the best one known from here on."""
        self.learner.load_state(state)
        self._look()

    def grow_to(self, units: int, deadline: float = math.inf) -> None:
        """Grow to `units`, or until the fit is over, or until `time.monotonic()` passes `deadline`.

        Something is always grown, so that there is a model whatever the deadline.
        """
        units = min(units, self.max_units)
        while self.learner.n_units < units and not self.is_over:
            started = time.monotonic()
            if self.best_units and started >= deadline:
                return
            n_more = min(self._affordable(deadline - started), units - self.learner.n_units)
            self.learner.advance(n_more)
            self._look()
            self._unit_s = (time.monotonic() - started) / n_more

    def _affordable(self, left_s: float) -> int:
        """Return how many units to grow before the next look: a chunk, or fewer where they are slow."""
        if math.isinf(left_s):
            return self.family.chunk
        if self._unit_s is None:
            return 1
        return int(min(max(STEP_SHARE * left_s / self._unit_s, 1), self.family.chunk))

    def _look(self) -> None:
        predictions = self.learner.watch()
        score = self.metric.score(self._target, predictions, self._weight)
        if score > self.best_score or self.best_units == 0:
            self.best_score, self.best_units = score, self.learner.n_units
            self.best_predictions = predictions
            self.learner.mark()

    def finish(self) -> np.ndarray:
        """Return the learner to its best state; return that state's watched predictions, (n_watched, n_outputs)."""
        self.learner.rewind()
        return self.best_predictions
