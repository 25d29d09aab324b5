"""Watches a search while it lasts.

It shows the search, does chores beside it, and learns why it ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stacktune.ensemble.retention import drop_models, has_models
from stacktune.errors import SearchError
from stacktune.families.registry import get_family
from stacktune.observers import Snapshot
from stacktune.report.progress import snapshot_of
from stacktune.runs.session import Session
from stacktune.search.log import SearchLog
from stacktune.search.plan.plan import SearchPlan
from stacktune.search.tune.engine import Search
from stacktune.stop import Stopped, StopRequest
from stacktune.storage.run_folder import TrialFolder
from stacktune.text import as_typed
from stacktune.trials.result import COMPLETED, TrialResult

LOOK_EVERY_S = 0.25
# Usual seconds (see pace.py) before its end.
IMPORTS_BEFORE_END_S = 8.0
DROP_EVERY_S = 10.0
# Of a core, trials are taken to have been left this share at least, whatever this process took.
MIN_TRIALS_SHARE = 0.3


def watch(
    session: Session, search: Search, plan: SearchPlan, stop: StopRequest, begun: Sequence[Future[None]] = ()
) -> str:
    """Show the search until it is over; return why.

    What need not wait for its end is done meanwhile.

    begun: what is done beside it already. What one of these raises is raised as soon as it is seen; none is waited for.

    Raises:
        Stopped, SearchError: it ended before its time, and nothing is there to make a leader of.
    """
    chores: list[Future[None]] = []
    imported: set[str] = set()
    started = dropped_at = time.monotonic()
    cpu_started_s = time.process_time()
    imports = ThreadPoolExecutor(1, "imports")
    with ThreadPoolExecutor(1, "chores") as background:
        while not (why_over := _end_if_over(session, search, stop)):
            session.observers.snapshot(snapshot(session, search.log, plan.families, "searching"))
            session.journal.beat()
            _raise_what_failed(begun)
            now = time.monotonic()
            _see_pace(session, search, plan, now - started, time.process_time() - cpu_started_s)
            if search.log.deadline - now < IMPORTS_BEFORE_END_S * session.pace.usual_s:
                _import_libraries(search.log.results(), imported, imports)
            if now - dropped_at > DROP_EVERY_S:
                dropped_at = now
                chores.append(background.submit(_drop_losers, session, search.log.results()))
        chores.append(background.submit(_drop_losers, session, search.log.results()))
        for chore in chores:
            chore.result()
    # A library that takes long is waited for only by who needs it.
    imports.shutdown(wait=False, cancel_futures=True)
    return why_over


def _see_pace(session: Session, search: Search, plan: SearchPlan, took_s: float, cpu_s: float) -> None:
    """Learn how fast trials are, and plan the end.

    took_s, cpu_s: what the search, and this process meanwhile, have taken.
    """
    trials_share = share_for_trials(plan.n_slots * plan.n_threads, took_s, cpu_s) if plan.is_local else 1.0
    on_cores = [name for name in plan.families if not plan.gpu_share(name)]
    session.pace.see(search.log.core_seconds(on_cores), trials_share)
    n_completed = sum(result.status == COMPLETED for result in search.log.results())
    search.end_by(session.search_ends_at(n_completed + plan.n_slots))


def share_for_trials(n_cores: int, took_s: float, cpu_s: float) -> float:
    """Return what share of the cores trials got.

    cpu_s: what this process took of `n_cores` in `took_s`.
    """
    return 1.0 if took_s <= 0 else max(MIN_TRIALS_SHARE, 1 - cpu_s / (n_cores * took_s))


def _raise_what_failed(begun: Sequence[Future[None]]) -> None:
    for future in begun:
        if future.done():
            future.result()


def _drop_losers(session: Session, results: Sequence[TrialResult]) -> None:
    """Free the disk of models without a chance.

    Where predictions have a budget, or models may not be large, a chance may depend on what they cost, and nothing is
    dropped.
    """
    if session.config.predict_budget_us is None and session.config.max_model_mb is None:
        drop_models(results)


def _end_if_over(session: Session, search: Search, stop: StopRequest) -> str | None:
    """Wait a moment; return why the search is over.

    It returns None where the search goes on. Raises where it is over and there is nothing to make a leader of.
    """
    try:
        if search.wait(LOOK_EVERY_S):
            return "the time was up"
    except SearchError:
        models = _leader_note(search)
        if models is None:
            raise
        session.note(f"{models}; stacktune run --resume {as_typed(session.folder)} goes on with the rest")
        return "Ray Tune broke off"
    if not stop.is_made:
        return None
    models = _leader_note(search)
    if models is None:
        raise Stopped(stop.number)
    session.note(f"stopping as asked: {models}")
    return "the run was stopped"


def _leader_note(search: Search) -> str | None:
    """Return what the leader can be made of.

    It is None where no trial is completed. It is asked only once the search is over: trials end while it is waited for.
    """
    n_completed = sum(result.status == COMPLETED for result in search.log.results())
    if not n_completed:
        return None
    return f"the leader is made of the {n_completed} trial{'s' if n_completed > 1 else ''} completed by now"


def _import_libraries(results: Sequence[TrialResult], imported: set[str], thread: ThreadPoolExecutor) -> None:
    """Load a model of each family of the leader's.

    So its library is imported before time is short.
    """
    for result in results:
        if result.folder is not None and has_models(result) and result.family not in imported:
            imported.add(result.family)
            thread.submit(get_family(result.family).load, TrialFolder(Path(result.folder)).fold(0))


def snapshot(session: Session, log: SearchLog, families: Sequence[str], phase: str) -> Snapshot:
    """Return what observers see of the run in `phase`."""
    entries, clock = log.entries(), session.clock
    return snapshot_of(entries, families, session.problem.metric, session.config, clock.elapsed_s, phase)
