"""Records what a run decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stacktune.ensemble.rows import ENSEMBLE, TRIAL, Leaderboard
from stacktune.report.event_file import EventFile
from stacktune.runs.begin import RunData, Start
from stacktune.search.decisions import BEGAN, ENSEMBLE_BUILT, LEADER_CHOSEN, REGISTERED, WENT_ON, DecisionRecord
from stacktune.search.log import Entry
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import RunFolder
from stacktune.text import number
from stacktune.tracking.registry import LeaderRecord
from stacktune.trials.result import COMPLETED


@contextmanager
def recorded(start: Start, data: RunData, earlier: Sequence[Entry]) -> Iterator[None]:
    """Keep the run's decisions in its folder meanwhile."""
    places, observers = RunFolder(start.folder), start.observers
    with EventFile(places.events, lambda: start.clock.elapsed_s, data.problem.metric, observers.note) as events:
        events.catch_up(places.journal)
        events.decided(_went_on(start.config, earlier) if start.past else _began(start, data))
        observers.add(events)
        yield


def _began(start: Start, data: RunData) -> DecisionRecord:
    dataset, problem, config = data.dataset, data.problem, start.config
    what = {
        "run": start.run,
        "n_rows": dataset.table.n_rows,
        "n_columns": len(dataset.schema.column_names),
        "target": dataset.target_name,
        "task": dataset.task.kind,
        "metric": problem.metric.name,
        "n_folds": problem.folds.n_folds,
        "families": data.families,
    }
    return DecisionRecord(BEGAN, dataset.name, None, what | _limits(config) | {"seed": config.seed})


def _went_on(config: Settings, earlier: Sequence[Entry]) -> DecisionRecord:
    return DecisionRecord(WENT_ON, "", None, {"n_trials": len(earlier)} | _limits(config))


def _limits(config: Settings) -> dict[str, float | None]:
    return {"time_budget": config.time_budget_s, "max_trials": config.max_trials}


def conclusions(board: Leaderboard) -> Iterator[DecisionRecord]:
    """Yield which ensembles were built, and who leads why."""
    for row in board.rows:
        if row.kind == ENSEMBLE:
            weights = sorted(zip(row.members, row.how.weights, strict=True), key=lambda pair: -pair[1])
            members = {name: round(weight, 6) for name, weight in weights}
            yield DecisionRecord(ENSEMBLE_BUILT, row.name, board.metric.shown(row.score), {"members": members})
    leader = board.leader
    what = {"selection_penalty": board.selection_penalty, "predict_us": leader.predict_us, "why": why_it_leads(board)}
    yield DecisionRecord(LEADER_CHOSEN, leader.name, board.metric.shown(leader.score), what)


def why_it_leads(board: Leaderboard) -> str:
    """Return a sentence on why the leader leads."""
    leader = board.leader
    scored = [row for row in board.rows if row.status == COMPLETED and row.is_scored]
    trials = [row for row in scored if row.kind == TRIAL]
    ensembles = [row for row in scored if row.kind == ENSEMBLE]
    if not ensembles:
        return "the best of the trials; there is no ensemble" if len(trials) > 1 else "the only one"
    other = trials[0] if leader.kind == ENSEMBLE else ensembles[0]
    next_best = f"{other.name}, the best {other.kind}, has {number(other.score)}"
    if not board.selection_penalty:
        return next_best
    change = "lowered" if board.metric.greater_is_better else "raised"
    by = number(board.selection_penalty, leader.score)
    return f"{next_best}; scores of trials are {change} by {by} first, as the best of many flatters"


def registration(record: LeaderRecord) -> DecisionRecord:
    """Return where the leader is registered, or why not."""
    what = {"version": record.version, "alias": record.alias, "model_uri": record.model_uri}
    return DecisionRecord(REGISTERED, record.name or "", None, what | {"why": record.problem or record.alias_reason})
