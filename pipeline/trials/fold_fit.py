"""One learner grown on one fold.

It looks at the rows held out, remembers the best state, and stops when past it.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import cast

import numpy as np

from stacktune.families.base import AdjustableLearner, Config, Family, Job, KnowsUnseen, Learner
from stacktune.metrics import Metric
from stacktune.trials.stopping import Curve, Held, Stopping

# Between two looks at a clock that may run out, at most this share of what is left is grown.
STEP_SHARE = 0.1


class FoldFit:
    """One learner's growth, with early stopping.

    It stops by the rows held out (see stopping.py).
    """

    def __init__(
        self,
        family: Family,
        config: Config,
        job: Job,
        metric: Metric,
        parts: np.ndarray | None = None,
        earlier: tuple[Curve, ...] = (),
    ):
        """Start the learner of a job.

        metric: see `stopping_metric`. parts, earlier: see `Held`.
        """
        self.family = family
        self.job = job
        self.max_units = family.max_units(config)
        self.learner: Learner = family.start(job, config)
        weight = None if job.table.weight is None else job.table.weight[job.valid]
        self._stopping = Stopping(metric, Held(job.table.labels[job.valid], weight, parts, earlier))
        self._unit_s: float | None = None

    @property
    def best_units(self) -> int:
        """Return the units that the model keeps."""
        return self._stopping.best_units

    @property
    def predictions(self) -> np.ndarray:
        """Return the predictions of the rows held out.

        They are (n_valid, n_outputs), with a number of units that their own rows did not choose.
        """
        if (found := self._stopping.predictions) is None:
            raise TypeError("nothing has been grown")
        return found

    @property
    def curve(self) -> Curve:
        """Return the looks' scores of all rows held out."""
        return self._stopping.curve

    @property
    def is_over(self) -> bool:
        """Return whether growing on is pointless.

        It is where nothing is left to grow, or patience is spent.
        """
        n_units = self.learner.n_units
        patience = max(self.family.chunk, round(self.family.patience * self.max_units))
        return n_units >= self.max_units or (self.best_units > 0 and n_units - self.best_units >= patience)

    def take_up(self, state: Path) -> None:
        """Go on from another learner's state.

        That learner is of the same family, and its state is the best one known from here on.
        """
        cast(AdjustableLearner, self.learner).load_state(state)
        self._look()

    def grow_to(self, units: int, deadline: float = math.inf) -> None:
        """Grow to `units`, or until the fit is over.

        The fit also stands still once `time.monotonic()` passes `deadline`. Something is always grown, so that there is
        a model whatever the deadline.
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

    def _affordable(self, remaining_s: float) -> int:
        """Return how many units to grow before looking.

        They are a chunk, or fewer where units are slow.
        """
        if math.isinf(remaining_s):
            return self.family.chunk
        if self._unit_s is None:
            return 1
        return int(min(max(STEP_SHARE * remaining_s / self._unit_s, 1), self.family.chunk))

    def _look(self) -> None:
        if self._stopping.look(self.learner.n_units, self.learner.predict_valid()):
            self.learner.keep_best()

    def finish(self) -> np.ndarray:
        """Return the learner to its kept state, and predict.

        The `predictions` are returned as the model would make them. What is predicted look by look is not filled in
        where a level is unseen (families/_unseen.py), and would be judged for what is never predicted.
        """
        self.learner.restore_best()
        predictions, rows = self.predictions, self.job.valid
        if not isinstance(self.learner, KnowsUnseen):
            raise TypeError(f"a learner of {self.family.name} that is not the registry's")
        unseen = self.learner.has_unseen(rows)
        if unseen.any():
            predictions[unseen] = self.learner.predict(self.job.table.take(rows[unseen]))
        return predictions
