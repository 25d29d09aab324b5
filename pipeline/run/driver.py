"""The story of a run on one page: a table in, a search, an ensemble, a registered leader."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stacktune.config import RunConfig
from stacktune.data.dataset import Dataset, load_dataset
from stacktune.data.folds import fold_notes, make_folds
from stacktune.data.table import Table
from stacktune.errors import ConfigError, SearchError
from stacktune.families.base import FitSize
from stacktune.families.registry import all_families, get_family, loss_notes
from stacktune.metrics import check_domain, get_metric
from stacktune.report.outputs import RunSummary, make_folder, output_folder
from stacktune.report.screen import Screen, Snapshot
from stacktune.run.copy_place import Place, claimed_place
from stacktune.run.finish import conclude, rehearsing
from stacktune.run.first import FirstModel, first_trial
from stacktune.run.mirror import mirrored
from stacktune.run.pace import Clock, Pace
from stacktune.run.resume import Past, write_config
from stacktune.run.session import RayStart, Session, TrialListener, claimed, ray_session, search_ends_at, tracked
from stacktune.run.state import begin_state, new_run, provenance_of, write_state
from stacktune.run.watch import snapshot, watch
from stacktune.search.journal import read_journal
from stacktune.search.log import Entry, SearchLog
from stacktune.search.plan.plan import (
    ChildLimits,
    ClusterSize,
    ControllerTopology,
    SizePlan,
    child_limits,
    make_plan,
    plan_for_size,
)
from stacktune.search.replay import replay
from stacktune.search.tune.engine import HOPELESS_S, ProblemRef, Search, prepare, share
from stacktune.stop import Stopped, StopRequest
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.client import load_mlflow
from stacktune.tracking.spool import claim_spool
from stacktune.tracking.store import Store, check_model_name, check_store, store_for
from stacktune.trials.attempt import ran_out_of_memory
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import COMPLETED, FAILED, TrialResult

# Usual seconds that Ray still takes once the table is read.
USUAL_RAY_S = 2.5
# With less left, a search is still begun: a trial or two may end in it.
MIN_SEARCH_S = 1.0


def run(config: RunConfig, started_at: float, screen: Screen, past: Past | None = None) -> RunSummary:
    """Run a search from table to registered leader; return what `run.json` says.

    started_at: when the command began, on `time.monotonic()`'s scale; of a run that goes on, as much earlier as it had
        taken by then. past: what an earlier session of it left.

    Raises:
        ConfigError, DataError, SearchError: the user's mistakes; nothing is left behind then, and nothing lost.
    """
    clock = Clock(started_at, config.time_budget_s)
    pace = Pace.of_start(clock.elapsed_s - (past.elapsed_s if past else 0.0), time.process_time())
    names = past.state.families if past else config.families
    families = [get_family(name).name for name in names] or list(all_families())
    folder = past.folder if past else output_folder(config)
    store = store_for(config.tracking_uri, folder)
    config = _checked(config, store)
    run_id, name = (past.state.run, past.state.name) if past else (new_run(), folder.name)
    place_of_copy = claimed_place(config.storage, name, folder, run_id, screen.say)
    with place_of_copy as place, ray_session(config, clock := _later(clock, place)) as ray:
        screen.update(Snapshot(clock.elapsed_s, "reading", clock.budget_s, config.max_trials))
        dataset, test = load_dataset(config)
        families = _serving(families, dataset)
        if past:
            past.state.check(dataset, test)
        size = _size(past, dataset, ray.known_size(), config)
        folded = replace(config, n_folds=config.n_folds or size.n_folds)
        problem = _problem(folded, dataset, test)
        made_by = _made_by(past, run_id, folded, dataset, problem)
        folder = past.folder if past else make_folder(folder, config)
        with claimed(folder, ray, clock, past, screen) as journal:
            places = RunFolder(folder)
            earlier = replay(read_journal(places.journal), places.trials, made_by) if past else []
            first = _first_model(config, _fitted_to_size(config, families, size)[1], problem, folder, earlier, made_by)
            stop = StopRequest(screen.say)
            until = search_ends_at(clock, pace, problem, test, is_open=True)
            cluster = _ray_up(ray, pace, until, first, stop)
            size = replace(_size(past, dataset, cluster or ray.known_size(), config), n_folds=size.n_folds)
            config, families, notes = _fitted_to_size(config, families, size)
            notes = [*dataset.notes, *notes, *fold_notes(problem.folds, problem.table, problem.task)]
            notes += loss_notes(problem.metric, families, dataset.table.target)
            for note in (*notes, _compute_note(cluster, families), cluster and cluster.store_note):
                if note:
                    screen.say(note)
            fit_size = FitSize.of(dataset.table, dataset.task)
            limits = child_limits(fit_size, problem.folds.n_folds, config.predict_budget_us)
            shared = share(problem) if cluster else None
            dataset = dataset.without_features()
            problem = replace(problem, table=dataset.table)
            with stop, mirrored(folder, place, screen.say):
                write_config(folder, config)
                if not past:
                    write_state(folder, begin_state(made_by, name, config, dataset, test, families, size))
                journal.began(made_by.run)
                claim_spool(places.spool, made_by.run)
                with tracked(config, store, dataset, problem.metric, folder, screen) as tracker:
                    session = Session(config, clock, pace, dataset, test, problem, folder, journal, tracker, screen)
                    results = _search(
                        session, shared, families, cluster, size, limits, ray, stop, earlier, first, made_by
                    )
                    return conclude(session, results)


def _checked(config: RunConfig, store: Store) -> RunConfig:
    """Return the settings with the store's absolute address; ConfigError for places where nothing can be kept."""
    if not config.tracking_optional:
        check_store(store.uri)
    if config.register:
        check_model_name(config.register)
    return replace(config, tracking_uri=store.uri) if config.tracking_uri else config


def _later(clock: Clock, place: Place | None) -> Clock:
    """Return the clock without what it was waited for the place of the copy."""
    return replace(clock, started_at=clock.started_at + (place.waited_s if place else 0.0))


def _made_by(past: Past | None, run_id: str, config: RunConfig, dataset: Dataset, problem: Problem) -> Provenance:
    if past:
        past.state.check_folds(dataset, problem)
        return past.state.made_by
    return provenance_of(run_id, config, dataset, problem)


def _size(past: Past | None, dataset: Dataset, cluster: ClusterSize, config: RunConfig) -> SizePlan:
    if past:
        return past.state.size
    return plan_for_size(dataset.table, dataset.task, cluster, config.time_budget_s)


def _first_model(
    config: RunConfig,
    families: Sequence[str],
    problem: Problem,
    folder: Path,
    earlier: Sequence[Entry],
    made_by: Provenance,
) -> FirstModel | None:
    """Begin with a first model where there is a clock to beat and no earlier session has left one.

    A run without a budget goes on until its trials are through, and they are to be the same everywhere.
    """
    if config.reproducible or any(entry.result and entry.result.status == COMPLETED for entry in earlier):
        return None
    if config.max_trials is not None and len(earlier) >= config.max_trials:
        return None
    trial = first_trial(families, problem, len(earlier))
    return FirstModel(trial, problem, folder, made_by) if trial else None


def _fitted_to_size(config: RunConfig, families: list[str], plan: SizePlan) -> tuple[RunConfig, list[str], list[str]]:
    """Return the settings with the number of folds, the families, and what is to be said; what was asked for stays."""
    notes = []
    if not config.families:
        families = [name for name in families if name not in plan.silently_left_out]
    if config.n_folds is None:
        config = replace(config, n_folds=plan.n_folds)
        if plan.reason:
            what = f"{plan.n_folds} folds" if plan.n_folds > 1 else "held-out rows instead of folds"
            notes.append(f"{what}, as {plan.reason}; --folds overrides this")
    left_out = plan.left_out.intersection(families)
    if left_out and not config.families and left_out != set(families):
        families = [name for name in families if name not in left_out]
        notes.append(f"without {' and '.join(sorted(left_out))}, as {plan.reason}; --families overrides this")
    return config, families, notes


def _problem(config: RunConfig, dataset: Dataset, test: Table | None) -> Problem:
    metric = get_metric(config.metric, dataset.task.kind)
    for rows, table in (("the training rows", dataset.table), ("the test rows", test)):
        if table is not None:
            check_domain(metric, table.target, dataset.task.classes, rows)
    folds = make_folds(dataset.table, dataset.task, config.n_folds, config.seed)
    return Problem(dataset.table, replace(dataset.task, loss=metric.loss), folds, metric, config.seed)


def _serving(families: Sequence[str], dataset: Dataset) -> list[str]:
    serving = [name for name in families if dataset.task.kind in get_family(name).tasks]
    if not serving:
        raise ConfigError(f"none of the families {', '.join(families)} can do {dataset.task.kind}.")
    return serving


def _compute_note(cluster: ClusterSize | None, families: Sequence[str]) -> str:
    if cluster is None:
        return "one core: Ray is not up yet"
    cores = f"{cluster.n_cpus} core{'s' if cluster.n_cpus != 1 else ''}{cluster.limits}"
    able = [name for name in families if get_family(name).uses_gpu]
    if cluster.n_gpus and able:
        return f"{cores}; {cluster.n_gpus} GPU for {', '.join(able)}"
    reason = "Ray offers none" if not cluster.n_gpus else "no chosen family uses one"
    return f"{cores}; no GPU is used: {reason}"


def _ray_up(ray: RayStart, pace: Pace, until: float, first: FirstModel | None, stop: StopRequest) -> ClusterSize | None:
    """Return what Ray offers; None where it is not up in time, or a run with its first model was asked to end.

    Where Ray is slow, MLflow is loaded meanwhile, which the end of the run then need not wait for.
    """
    try:
        prepare()
        cluster = ray.size(min(until, time.monotonic() + USUAL_RAY_S * pace.usual_s))
        if cluster is None:
            load_mlflow()
            cluster = ray.size(until)
        return cluster
    except Stopped as stopped:
        if first is None or not first.wait(0.0):
            raise
        stop.make(stopped.number)
        return None


def _search(
    session: Session,
    problem: ProblemRef | None,
    families: Sequence[str],
    cluster: ClusterSize | None,
    size: SizePlan,
    limits: ChildLimits,
    ray: RayStart,
    stop: StopRequest,
    earlier: Sequence[Entry],
    first: FirstModel | None,
    made_by: Provenance,
) -> list[TrialResult]:
    """Return what trials left. problem, cluster: None where Ray was not up in time, so that the first model is all.

    earlier: what a session before this one has left.
    """
    config = session.config
    listener = TrialListener(session.tracker, session.screen, session.folder)
    if said := _lost_note(earlier):
        session.screen.say(said)
    if cluster is None:
        ray.give_way()
        return _without_search(session, listener, earlier, first, made_by, stop)
    now = time.monotonic()
    plan = make_plan(
        families,
        cluster,
        config.seed,
        config.max_trials,
        None if config.reproducible else max(MIN_SEARCH_S, session.search_ends_at(cluster.n_cpus) - now),
        now,
        size,
        config.max_failures,
        ControllerTopology(*config.controller) if config.controller else None,
        limits,
        limits.fit_size,
    )
    if plan.memory and plan.memory.shortage:
        session.screen.say(plan.memory.shortage)
    search = Search(problem, plan, session.places.trials, listener, session.journal, earlier, made_by)
    if first:
        first.tell(search.log)
    search.start()
    session.show("searching")
    try:
        with rehearsing(session, after_models=2 if first else 1) as rehearsal:
            if not config.tracking_optional:
                session.tracker.ids()
            results = search.results(watch(session, search, plan, stop, [rehearsal]))
            if not any(result.status == COMPLETED for result in results):
                raise SearchError(_why_nothing(results))
    finally:
        ray.leave(search)
    listener.close()
    session.screen.update(snapshot(session, search.log, plan.families, "stacking"))
    if config.reproducible and (said := _memory_note(results)):
        session.screen.say(said)
    return results


def _without_search(
    session: Session,
    listener: TrialListener,
    earlier: Sequence[Entry],
    first: FirstModel | None,
    made_by: Provenance,
    stop: StopRequest,
) -> list[TrialResult]:
    """Return the first model, and what an earlier session has left; say why there is no more."""
    log = SearchLog(listener, session.journal, made_by)
    log.restore(earlier)
    if first:
        first.tell(log)
        first.wait(HOPELESS_S)
    if not any(result.status == COMPLETED for result in log.results()):
        raise SearchError(_why_nothing(log.results()))
    why = "stopping as asked" if stop.is_made else "Ray was not up in time to search"
    session.screen.say(f"{why}: the leader is made of what there is without it")
    session.show("stacking")
    return log.results()


def _lost_note(entries: Sequence[Entry]) -> str | None:
    names = [entry.trial.trial_id for entry in entries if entry.is_lost]
    if not names:
        return None
    return f"not in the folder as this run left them, so they run again: {', '.join(names)}"


def _memory_note(results: Sequence[TrialResult]) -> str | None:
    """Return what is to be said of a run that is to be the same everywhere, and was not for want of memory."""
    names = [result.trial_id for result in results if result.error and ran_out_of_memory(result.error)]
    if not names:
        return None
    return f"for want of memory {', '.join(names)} failed: with more memory, the same run gives another leaderboard"


def _why_nothing(results: Sequence[TrialResult]) -> str:
    errors = [result.error.splitlines()[0] for result in results if result.status == FAILED and result.error]
    if errors:
        return f"no trial could be completed: {len(errors)} failed, the first with {errors[0]!r}."
    return "no trial could be completed in the time given; give a larger --time-budget, or fewer --folds."
