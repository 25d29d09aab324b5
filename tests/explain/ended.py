"""A run in this process that has come to its end, to be explained."""

from __future__ import annotations

from dataclasses import replace

from in_process import Fitted

from stacktune.explain.held_out import looked_at
from stacktune.explain.of_run import Ended


def ended_of(fitted: Fitted, **changed) -> Ended:
    table, problem = fitted.problem.table, fitted.problem
    looked = looked_at(table, problem.task, problem.folds, 0)
    trials = {result.trial_id: result for result in fitted.results}
    told = (problem.folds, table.labels, fitted.dataset.row_numbers, looked, fitted.test, problem.metric, 0)
    return replace(Ended(fitted.leader, fitted.board.leader, trials, *told), **changed)
