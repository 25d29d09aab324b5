"""Plays a search in miniature.

Trials reach rungs in some order, and a scheduler decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from stacktune.metrics import WORST
from stacktune.search.schedulers import Decision, Reached, Scheduler
from stacktune.testing.learners import draw
from stacktune.testing.schedulers.subject import SchedulerSubject

N_TRIALS = 24
N_AT_ONCE = 5
# At the last of a trial's rungs nothing is left to be decided on.
N_RUNGS = 4
LAG = 6

Scores = Callable[[int, int], float]


def distinct(index: int, rung: int) -> float:
    """Return a score that no other trial has.

    A good trial is so at each rung, more or less.
    """
    quality, noise = np.random.default_rng(index).random(), np.random.default_rng([index, rung]).random()
    return float(quality + 0.3 * noise + 0.1 * rung)


def tied(index: int, rung: int) -> float:
    """Return one of two scores."""
    return float(distinct(index, rung) > 0.7)


def partly_undefined(index: int, rung: int) -> float:
    """Return a score, or what stands for none."""
    return (distinct(index, rung), math.nan, distinct(index, rung), WORST)[index % 4]


def rising(index: int, rung: int) -> float:
    """Return a score better than all before."""
    return float(index + rung)


SCORES: Mapping[str, Scores] = {scores.__name__: scores for scores in (distinct, tied, partly_undefined, rising)}


@dataclass
class Play:
    """Trials under a scheduler, in a drawn order.

    N_AT_ONCE of them run at a time, in an order that `seed` draws.

    lag: a trial begins when all that are so many places before it have ended.
    story: each rung that was reached, and what was decided.
    """

    scheduler: Scheduler
    subject: SchedulerSubject
    scores: Scores
    seed: int = 0
    lag: int | None = None
    story: list[tuple[Reached, Decision]] = field(default_factory=list)

    def run(self) -> Play:
        """Let all trials end."""
        rng, n_begun, at_work = np.random.default_rng(self.seed), 0, list[Reached]()
        while n_begun < N_TRIALS or at_work:
            if n_begun < N_TRIALS and len(at_work) < N_AT_ONCE and self._may_begin(n_begun, at_work):
                at_work.append(self._begun(n_begun))
                n_begun += 1
                continue
            place = int(rng.integers(len(at_work)))
            going_on = self._reaches(at_work.pop(place))
            at_work += [going_on] if going_on.rung < N_RUNGS and not self.story[-1][1].is_stopped else []
        return self

    def _may_begin(self, index: int, at_work: list[Reached]) -> bool:
        return self.lag is None or all(one.index > index - self.lag for one in at_work)

    def _begun(self, index: int) -> Reached:
        config = dict(draw(self.subject.family, 100 * index))
        return Reached(f"{self.subject.family.name}-{index:04d}", index, 0, 0.0, config, None, ((0, config),))

    def _reaches(self, trial: Reached) -> Reached:
        """Let a trial reach its next rung.

        Returns it as it goes on.
        """
        rung = trial.rung + 1
        score, state = self.scores(trial.index, rung), f"/states/{trial.trial_id}-{rung}"
        reached = Reached(trial.trial_id, trial.index, rung, score, trial.config, state, trial.lineage)
        decision = self.scheduler.decide(reached)
        self.story.append((reached, decision))
        if decision.resume is None:
            return reached
        config = dict(decision.config or {})
        lineage = (*decision.resume.lineage, (10 * rung, config))
        return Reached(trial.trial_id, trial.index, rung, score, config, decision.resume.folder, lineage)


@cache
def usual(subject: SchedulerSubject, scores: str = "distinct", lag: int | None = None) -> Play:
    """Return a whole play.

    This is for the checks that compare another with it, or look at what was decided.
    """
    return Play(subject.made(lag), subject, SCORES[scores], lag=lag).run()


def reached_by(subject: SchedulerSubject, index: int, rung: int, score: float, **changed: Any) -> Reached:
    """Return a default trial at a rung."""
    config, trial_id = dict(subject.family.default), f"{subject.family.name}-{index:04d}"
    told = {"state": f"/states/{trial_id}-{rung}", "lineage": ((0, config),)} | changed
    return Reached(trial_id, index, rung, score, config, **told)
