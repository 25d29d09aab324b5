"""A run searches, or makes do without."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from stacktune.errors import SearchError
from stacktune.families.base import FitSize
from stacktune.runs.begin import RunData, Scope
from stacktune.runs.choices import spaces_of
from stacktune.runs.finish import rehearsing
from stacktune.runs.first import FirstModel
from stacktune.runs.news import SearchNews
from stacktune.runs.ray_session import RayStart
from stacktune.runs.session import Session
from stacktune.runs.watch import snapshot, watch
from stacktune.search.log import Entry, SearchLog
from stacktune.search.plan.limits import TOLERANCE, TrialLimits, limit_notes
from stacktune.search.plan.plan import ClusterSize, SearchPlan, SourceOptions, make_plan
from stacktune.search.tune.engine import MAX_LATE_WITHOUT_MODEL_S, ProblemRef, Search
from stacktune.settings.groups import SearchSettings
from stacktune.stop import StopRequest
from stacktune.trials.attempt import ran_out_of_memory
from stacktune.trials.result import COMPLETED, FAILED, TrialResult

# With less left, a search is still begun: a trial or two may end in it.
MIN_SEARCH_S = 1.0


@dataclass(frozen=True)
class SearchInputs:
    """The beginnings of a search, beside its session.

    problem, cluster: None where Ray was not up in time, so that the first model is all.
    earlier: what a session before this one has left. first: the first model, if there is one.
    """

    problem: ProblemRef | None
    cluster: ClusterSize | None
    scope: Scope
    options: SourceOptions
    ray: RayStart
    stop: StopRequest
    earlier: Sequence[Entry]
    first: FirstModel | None


def source_options(config: SearchSettings, data: RunData) -> SourceOptions:
    """Return what sources go by.

    data: of a table with features.
    """
    return SourceOptions(
        FitSize.of(data.dataset.table, data.dataset.task),
        data.problem.folds.n_folds,
        config.predict_budget_us,
        config.controller,
    )


def search(session: Session, of: SearchInputs) -> list[TrialResult]:
    """Return what trials left.

    Raises:
        SearchError: none was completed.
    """
    news = SearchNews(session.observers, session.folder)
    if note := _lost_note(of.earlier):
        session.note(note)
    if of.cluster is None or of.problem is None:
        of.ray.give_way()
        return _without_search(session, of, news)
    plan = _plan(session, of, of.cluster)
    if plan.memory and plan.memory.shortage:
        session.note(plan.memory.shortage)
    for note in limit_notes(session.config.max_trial_s, session.config.reproducible):
        session.note(note)
    search = Search(of.problem, plan, session.places.trials, news, session.journal, of.earlier, session.made_by)
    if of.first:
        of.first.tell(search.log)
    search.start()
    session.begin("searching")
    try:
        results = _watched(session, of, search, plan)
    finally:
        of.ray.leave(search)
    news.close()
    session.observers.snapshot(snapshot(session, search.log, plan.families, "stacking"))
    if session.config.reproducible and (note := _memory_note(results)):
        session.note(note)
    return results


def _plan(session: Session, of: SearchInputs, cluster: ClusterSize) -> SearchPlan:
    config, now = session.config, time.monotonic()
    remaining_s = None if config.reproducible else max(MIN_SEARCH_S, session.search_ends_at(cluster.n_cpus) - now)
    return make_plan(
        of.scope.families,
        cluster,
        config.seed,
        config.max_trials,
        remaining_s,
        now,
        of.scope.size,
        config.max_failures,
        of.options,
        trial_limits(config),
        spaces_of(config),
        config.plan,
    )


def trial_limits(config: SearchSettings) -> TrialLimits:
    """Return the limits on trials, as they were set."""
    return TrialLimits(
        math.inf if config.max_trial_s is None else config.max_trial_s,
        config.stop_after,
        TOLERANCE if config.stop_tolerance is None else config.stop_tolerance,
    )


def _watched(session: Session, of: SearchInputs, search: Search, plan: SearchPlan) -> list[TrialResult]:
    with rehearsing(session, after_models=2 if of.first else 1) as rehearsal:
        if not session.config.tracking_optional:
            session.tracker.ids()
        results = search.results(watch(session, search, plan, of.stop, [rehearsal]))
        if not any(result.status == COMPLETED for result in results):
            raise SearchError(_why_nothing(results))
        return results


def _without_search(session: Session, of: SearchInputs, news: SearchNews) -> list[TrialResult]:
    """Return the results that there are without a search.

    They are the first model, and what an earlier session has left; a note says why there are no more.
    """
    log = SearchLog(news, session.journal, session.made_by)
    log.restore(of.earlier)
    if of.first:
        of.first.tell(log)
        of.first.wait(MAX_LATE_WITHOUT_MODEL_S)
    if not any(result.status == COMPLETED for result in log.results()):
        raise SearchError(_why_nothing(log.results()))
    why = "stopping as asked" if of.stop.is_made else "Ray was not up in time to search"
    session.note(f"{why}: the leader is made of what there is without it")
    session.begin("stacking")
    return log.results()


def _lost_note(entries: Sequence[Entry]) -> str | None:
    names = [entry.trial.trial_id for entry in entries if entry.is_lost]
    if not names:
        return None
    return f"not in the folder as this run left them, so they run again: {', '.join(names)}"


def _memory_note(results: Sequence[TrialResult]) -> str | None:
    """Return a sentence on trials that memory cost.

    A run that is to be the same everywhere was not, then.
    """
    names = [result.trial_id for result in results if result.error and ran_out_of_memory(result.error)]
    if not names:
        return None
    return f"for want of memory {', '.join(names)} failed: with more memory, the same run gives another leaderboard"


def _why_nothing(results: Sequence[TrialResult]) -> str:
    errors = [result.error.splitlines()[0] for result in results if result.status == FAILED and result.error]
    if errors:
        return f"no trial could be completed: {len(errors)} failed, the first with {errors[0]!r}."
    return (
        "no trial could be completed in the time given; give a larger --time-budget or --max-seconds-per-trial, or "
        "fewer --folds."
    )
