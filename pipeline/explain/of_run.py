"""Explains a run's leader by its held-out rows.

It keeps to so many seconds, however little is found in them; without a budget it makes so many predictions, so that the
same run says the same everywhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.folds import Folds
from stacktune.data.table import Table
from stacktune.ensemble.blend import heated
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.out_of_fold import honest_predictions, trials_behind
from stacktune.ensemble.rows import LeaderboardRow
from stacktune.explain.columns import RawColumn
from stacktune.explain.explanation import Explanation
from stacktune.explain.held_out import Looked, is_there, open_held_out, parts_of
from stacktune.explain.inquiry import N_TIMED_ROWS, Effort, Inquiry, ask, effort_of, effort_within
from stacktune.explain.trees import MAX_ROWS as MAX_TREE_ROWS
from stacktune.explain.trees import Part, column_order, members_say
from stacktune.explain.worst import worst_rows
from stacktune.metrics import Metric
from stacktune.trials.result import TrialResult, load_oof

# Without a budget: so many predictions, a second or two for most leaders; of so many columns, and so many rows of each
# member's trees.
N_PREDICTIONS, MAX_COLUMNS, N_TREE_ROWS = 30_000, 300, 60
# What a first look at a leader's predictions takes of the seconds at most, see `Inquiry.cost_us`.
FIRST_LOOK_SHARE = 0.3
# Shares of the seconds by which models are loaded, and trees have spoken.
LOADED_BY, TREES_BY = 0.3, 0.4
TOO_LONG = "columns were not shuffled, as time was up: stacktune explain does it on a labelled table"


@dataclass(frozen=True)
class Ended:
    """A run that has its leader.

    row: the leader's. trials: by name. folds: of the training table, whose targets are `labels` and whose rows came
    under `row_numbers`. looked: some of its rows with their features. test: the test table, if there is one.
    """

    leader: Leader
    row: LeaderboardRow
    trials: Mapping[str, TrialResult]
    folds: Folds
    labels: np.ndarray
    row_numbers: np.ndarray
    looked: Looked
    test: Table | None
    metric: Metric
    seed: int


def explain_run(ended: Ended, seconds: float | None) -> Explanation:
    """Return what the leader predicts by.

    seconds: that it may take at most, all in all; None for the same number of predictions on every machine.
    """
    began_at = time.monotonic()
    worst = _worst(ended)
    if seconds is not None and _first_look_s(ended.row) > FIRST_LOOK_SHARE * seconds:
        return replace(_nothing(ended, worst), seconds=_since(began_at), notes=(TOO_LONG,))
    asked = _asked(ended, began_at + LOADED_BY * seconds if seconds is not None else math.inf)
    if isinstance(asked, str):
        return replace(_nothing(ended, worst), seconds=_since(began_at), notes=(asked,))
    inquiry, parts, out_of_fold, notes = asked
    said = members_say(parts, inquiry.columns, math.inf if seconds is None else began_at + TREES_BY * seconds)
    columns, left_out = _columns(inquiry, said, seconds)
    found = ask(inquiry, _effort(inquiry, seconds, began_at), columns)
    return Explanation(
        ended.metric.name,
        found.importance,
        found.dependence,
        _with_numbers(found.ice, ended.row_numbers[ended.looked.rows] if out_of_fold else None),
        worst,
        said,
        looked_at=inquiry.task.classes[inquiry.code] if inquiry.task.is_classification else None,
        out_of_fold=out_of_fold,
        n_rows=found.n_rows,
        n_rows_in_all=len(ended.folds.judged_rows) if out_of_fold else inquiry.table.n_rows,
        n_repeats=found.n_repeats,
        seconds=_since(began_at),
        notes=(*notes, *left_out, *found.notes),
    )


def _first_look_s(row: LeaderboardRow) -> float:
    """Return about what timing a prediction takes.

    Each row is asked of one model of a member, and of all of them by the leader.
    """
    n_folds = max(1.0, float(np.mean([len(folds) for folds in row.folds])) if row.folds else 1.0)
    return row.predict_us / n_folds * N_TIMED_ROWS[0] / 1e6


def _since(began_at: float) -> float:
    return round(time.monotonic() - began_at, 3)


def _nothing(ended: Ended, worst: pd.DataFrame) -> Explanation:
    return Explanation(ended.metric.name, pd.DataFrame(), worst=worst, out_of_fold=True)


_Asked = tuple[Inquiry, Iterable[Part], bool, list[str]]


def _asked(ended: Ended, deadline: float) -> _Asked | str:
    """Return what is asked, or why nothing is.

    deadline: by which models have to be loaded.
    """
    leader = ended.leader
    of_leader = (leader.schema, leader.task, ended.metric, leader.threshold, ended.seed)
    if is_there(ended.row, ended.trials, ended.folds):
        opened = open_held_out(ended.row, ended.trials, ended.folds, leader.task, ended.looked, deadline)
        if opened is None:
            return TOO_LONG
        held_out, table = opened
        n_rows = MAX_TREE_ROWS if deadline < math.inf else N_TREE_ROWS
        parts = parts_of(held_out, table, ended.row.members, n_rows)
        notes = [_sampled(ended)] if len(ended.looked.rows) < len(ended.folds.judged_rows) else []
        return Inquiry(held_out.predict, table, *of_leader), parts, True, notes
    why = "the models of single folds were not kept"
    if ended.test is None:
        return f"{why}, and there are no test rows: stacktune explain takes a labelled table"
    table = ended.test
    of_test = [Part(member.trial_id, one, table) for member in leader.members for one in member.predictors]
    return Inquiry(leader.predict_table, table, *of_leader), of_test, False, [f"{why}: importance is of the test rows"]


def _sampled(ended: Ended) -> str:
    n_looked, n_judged = len(ended.looked.rows), len(ended.folds.judged_rows)
    return f"{n_looked:,} of the {n_judged:,} rows that were held out are looked at"


def _effort(inquiry: Inquiry, seconds: float | None, began_at: float) -> Effort:
    n_columns = len(inquiry.columns)
    if seconds is None:
        return effort_of(N_PREDICTIONS, min(n_columns, MAX_COLUMNS))
    cost_us, now = inquiry.cost_us(), time.monotonic()
    return effort_within(max(0.0, began_at + seconds - now), now, cost_us, n_columns, is_strict=True)


def _columns(inquiry: Inquiry, said: pd.DataFrame, seconds: float | None) -> tuple[list[RawColumn], list[str]]:
    """Return columns to shuffle, and what to say."""
    columns = column_order(said, inquiry.columns)
    if seconds is not None or len(columns) <= MAX_COLUMNS:
        return columns, []
    how = "the first ones" if said.empty else "those that the members' trees make most of"
    return columns[:MAX_COLUMNS], [f"{MAX_COLUMNS} of {len(columns):,} columns are shuffled: {how}"]


def _worst(ended: Ended) -> pd.DataFrame:
    """Return the worst of all held-out rows."""
    oof = {name: load_oof(ended.trials[name]) for name in trials_behind(ended.row)}
    honest, judged = honest_predictions(ended.row, oof, ended.folds), ended.folds.judged_rows
    if ended.row.how.temperature != 1:
        honest = heated(honest, ended.row.how.temperature)
    return worst_rows(ended.leader, honest[judged], ended.labels[judged], ended.row_numbers[judged])


def _with_numbers(ice: pd.DataFrame, row_numbers: np.ndarray | None) -> pd.DataFrame:
    if row_numbers is None or ice.empty:
        return ice
    return ice.assign(row=row_numbers[ice["row"].to_numpy()])
