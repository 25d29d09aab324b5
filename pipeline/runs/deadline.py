"""A search has to end before its run does."""

from __future__ import annotations

import math

from stacktune.data.table import Table
from stacktune.ensemble.candidates import MAX_CANDIDATES
from stacktune.ensemble.leaderboard import stacking_s
from stacktune.runs.pace import Clock, Pace, reserved_s
from stacktune.trials.climb import Problem


def search_ends_at(
    clock: Clock,
    pace: Pace,
    problem: Problem,
    test: Table | None,
    n_trials: int = 1,
    is_open: bool = False,
    reports: bool = True,
) -> float:
    """Return when searching must end.

    It is on `time.monotonic()`'s scale; never without a budget.

    n_trials: that ensembles will be made of, as far as is known. is_open: whether MLflow has the run already, or is
        loaded, which takes longest. reports: whether the run explains its leader and writes a report.
    """
    if clock.budget_s is None:
        return math.inf
    ensembles_s = stacking_s(min(n_trials, MAX_CANDIDATES), len(problem.folds.judged_rows), problem.task.n_outputs)
    kept_s = reserved_s(pace, clock.budget_s, ensembles_s, 0 if test is None else test.n_rows, is_open, reports)
    return clock.started_at + clock.budget_s - kept_s
