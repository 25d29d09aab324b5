"""Trials whose results follow from their configuration alone, so that a search can be played in no time."""

from __future__ import annotations

import time

import numpy as np

from stacktune.search.log import SearchListener
from stacktune.search.plan.plan import ClusterSize, SearchPlan, make_plan
from stacktune.trials.result import COMPLETED, TrialResult
from stacktune.trials.trial import Trial


class Nobody(SearchListener):
    """A listener that does not listen."""


def completed(trial: Trial, score: float, fit_s: float = 1.0) -> TrialResult:
    return TrialResult(
        trial.trial_id, trial.family, dict(trial.config), "asha", COMPLETED, 3, 3, (score,), (score,), fit_s=fit_s
    )


def plan_of(families: list[str], max_trials: int | None = 30, search_s: float | None = None) -> SearchPlan:
    return make_plan(families, ClusterSize(2, 0), 0, max_trials, search_s, time.monotonic())


def height(trial: Trial) -> float:
    """A score that depends on nothing but the configuration."""
    return float(np.sin(sum(map(ord, repr(sorted(trial.config.items()))))))
