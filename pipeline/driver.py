"""The story of a run on one page: a table in, a search, an ensemble, a registered leader."""

from __future__ import annotations

import shutil
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.data.dataset import Dataset, load_dataset
from pipeline.data.folds import make_folds
from pipeline.data.storage import check_storage
from pipeline.ensemble.leader import Leader, build_leader, score_rows
from pipeline.ensemble.leaderboard import build_leaderboard
from pipeline.ensemble.losers import drop_models, has_models
from pipeline.ensemble.rows import TRIAL, Leaderboard
from pipeline.errors import ConfigError, SearchError
from pipeline.families.base import Extent
from pipeline.families.registry import all_families, get_family
from pipeline.metrics import get_metric
from pipeline.mirror import mirrored
from pipeline.report.outputs import RunSummary, library_versions, output_folder, write_leaderboard, write_summary
from pipeline.report.progress import snapshot_of
from pipeline.report.screen import Screen, Snapshot
from pipeline.report.text import as_typed
from pipeline.resume import JOURNAL, TRIALS, Past, model_name, write_config, write_state
from pipeline.search.engine import Search, SharedArena, prepare, share
from pipeline.search.journal import read_journal
from pipeline.search.plan import (
    ChildLimits,
    ClusterSize,
    SearchPlan,
    Servers,
    SizePlan,
    child_limits,
    make_plan,
    plan_for_size,
)
from pipeline.search.replay import replay
from pipeline.session import Clock, RayStart, Session, StopRequest, TrialListener, claimed, ray_session, tracked
from pipeline.tracking.registry import LeaderRecord, keep_model, register_leader
from pipeline.tracking.store import check_model_name, check_store, store_for
from pipeline.trials.climb import Arena
from pipeline.trials.result import COMPLETED, FAILED, STOPPED, TrialResult, load_oof

LOOK_EVERY_S = 0.25
IMPORTS_BEFORE_END_S = 8.0
DROP_EVERY_S = 10.0
# The trials whose own models are kept in MLflow beside the leader, and the seconds that each, and the end, takes.
N_TOP_TRIALS = 3
KEEPING_S = 0.8
ENDING_S = 0.7
# Where all is written that Ray Tune says of its end, if that is not the search's.
BROKEN_OFF = "broken-off.txt"
# How long a store that is away is waited for at the end.
LEAST_PATIENCE_S, MOST_PATIENCE_S = 3.0, 20.0


def run(config: RunConfig, started_at: float, screen: Screen, past: Past | None = None) -> RunSummary:
    """Run a search from table to registered leader; return what `run.json` says.

    started_at: when the command began, on `time.monotonic()`'s scale; of a run that goes on, as much earlier as it had
        taken by then. past: what an earlier session of it left.

    Raises:
        ConfigError, DataError, SearchError: the user's mistakes; nothing is left behind then, and nothing lost.
    """
    clock = Clock(started_at, config.time_budget_s)
    names = past.state.families if past else config.families
    families = [get_family(name).name for name in names] or list(all_families())
    folder = past.folder if past else output_folder(config)
    store = store_for(config.tracking_uri, folder)
    if not config.tracking_optional:
        check_store(store.uri)
    if config.storage:
        check_storage(config.storage)
    if config.tracking_uri:
        config = replace(config, tracking_uri=store.uri)
    if config.register:
        check_model_name(config.register)
    with ray_session(config) as ray:
        screen.update(Snapshot(clock.elapsed_s, "reading", clock.budget_s, config.max_trials))
        dataset, test = load_dataset(config)
        families = _serving(families, dataset)
        cluster = ray.size()
        prepare()
        if past:
            past.state.check(dataset)
            size = past.state.size
        else:
            size = plan_for_size(dataset.table, dataset.task, cluster, config.time_budget_s)
        config, families, size_notes = _fitted_to_size(config, families, size)
        arena = _arena(config, dataset)
        for note in (*dataset.notes, *size_notes, _compute_note(cluster, families)):
            screen.say(note)
        extent = Extent.of(dataset.table, dataset.task)
        limits = child_limits(extent, arena.folds.n_folds, config.predict_budget_us)
        shared, dataset = share(arena), dataset.without_features()
        arena = replace(arena, table=dataset.table)
        with claimed(folder, ray, clock, past, screen) as journal, mirrored(folder, config.storage, screen.say):
            write_config(folder, config)
            if not past:
                write_state(folder, config, dataset, families, size)
            with tracked(config, store, dataset, arena.metric, folder, screen) as tracker:
                session = Session(config, clock, dataset, test, arena, folder, journal, tracker, screen)
                with StopRequest() as stop:
                    results = _search(session, shared, families, cluster, size, limits, ray, stop)
                    return _conclude(session, results)


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


def _arena(config: RunConfig, dataset: Dataset) -> Arena:
    metric = get_metric(config.metric, dataset.task.kind)
    if metric.name == "rmsle" and dataset.table.target.min() <= -1:
        raise ConfigError(
            f"--metric rmsle needs targets above -1, but {dataset.target_name!r} goes down to "
            f"{dataset.table.target.min():g}; choose rmse or mae."
        )
    folds = make_folds(dataset.table, dataset.task, config.n_folds, config.seed)
    return Arena(dataset.table, dataset.task, folds, metric, config.seed)


def _serving(families: Sequence[str], dataset: Dataset) -> list[str]:
    serving = [name for name in families if dataset.task.kind in get_family(name).tasks]
    if not serving:
        raise ConfigError(f"none of the families {', '.join(families)} can do {dataset.task.kind}.")
    return serving


def _compute_note(cluster: ClusterSize, families: Sequence[str]) -> str:
    cores = f"{cluster.n_cpus} core{'s' if cluster.n_cpus != 1 else ''}"
    able = [name for name in families if get_family(name).uses_gpu]
    if cluster.n_gpus and able:
        return f"{cores}; {cluster.n_gpus} GPU for {', '.join(able)}"
    reason = "Ray offers none" if not cluster.n_gpus else "no chosen family uses one"
    return f"{cores}; no GPU is used: {reason}"


def _search(
    session: Session,
    arena: SharedArena,
    families: Sequence[str],
    cluster: ClusterSize,
    size: SizePlan,
    limits: ChildLimits,
    ray: RayStart,
    stop: StopRequest,
) -> list[TrialResult]:
    config = session.config
    plan = make_plan(
        families,
        cluster,
        config.seed,
        config.max_trials,
        session.search_s(),
        time.time(),
        size,
        config.max_failures,
        Servers(*config.controller) if config.controller else None,
        limits,
        limits.extent,
    )
    listener = TrialListener(session.tracker, session.screen)
    search = Search(
        arena,
        plan,
        session.folder / TRIALS,
        listener,
        session.journal,
        replay(read_journal(session.folder / JOURNAL), session.folder / TRIALS),
    )
    search.start()
    session.show("searching")
    try:
        if not config.tracking_optional:
            session.tracker.ids()
        with ThreadPoolExecutor(1, "chores") as background:
            results = search.results(_watch(session, search, plan, stop, background))
    finally:
        ray.leave(search)
    listener.close()
    session.screen.update(_snapshot(session, search, plan.families, "stacking"))
    if not any(result.status == COMPLETED for result in results):
        raise SearchError(_why_nothing(results))
    return results


def _watch(
    session: Session, search: Search, plan: SearchPlan, stop: StopRequest, background: ThreadPoolExecutor
) -> str:
    """Show the search until it is over, and do meanwhile what need not wait for its end; return why it is over."""
    chores: list[Future] = []
    imported, dropped_at = False, time.monotonic()
    while not (why_over := _why_over(session, search, stop)):
        session.screen.update(_snapshot(session, search, plan.families, "searching"))
        session.journal.beat()
        if not imported and plan.deadline - time.time() < IMPORTS_BEFORE_END_S:
            imported = True
            chores.append(background.submit(_import_libraries, search.log.results()))
        if time.monotonic() - dropped_at > DROP_EVERY_S:
            dropped_at = time.monotonic()
            chores.append(background.submit(_drop_losers, session, search.log.results()))
    chores.append(background.submit(_drop_losers, session, search.log.results()))
    for chore in chores:
        chore.result()
    return why_over


def _drop_losers(session: Session, results: Sequence[TrialResult]) -> None:
    """Free the disk of models without a chance, where that cannot depend on what predictions may cost."""
    if session.config.predict_budget_us is None:
        drop_models(results)


def _why_over(session: Session, search: Search, stop: StopRequest) -> str | None:
    """Return why the search is over, once it is.

    Raises:
        KeyboardInterrupt, SearchError: it ended before its time, and nothing is there to make a leader of.
    """
    n_completed = sum(result.status == COMPLETED for result in search.log.results())
    models = f"the leader is made of the {n_completed} trial{'s' if n_completed > 1 else ''} completed by now"
    try:
        if search.wait(LOOK_EVERY_S):
            return "the time was up"
    except SearchError as error:
        account = session.folder / BROKEN_OFF
        account.write_text("".join(traceback.format_exception(error.__cause__)))
        broken = f"{error}; {as_typed(account)} has all of it"
        if not n_completed:
            raise SearchError(broken) from error
        session.screen.say(broken)
        session.screen.say(f"{models}; stacktune run --resume {as_typed(session.folder)} goes on with the rest")
        return "Ray Tune broke off"
    if not stop.is_made:
        return None
    if not n_completed:
        raise KeyboardInterrupt
    session.screen.say(f"stopping as asked: {models}; Ctrl-C again ends at once")
    return "the run was stopped"


def _import_libraries(results: Sequence[TrialResult]) -> None:
    """Load a model of each family that the leader may be made of: so its library is imported before time is short."""
    completed = {result.family: result for result in results if has_models(result)}
    for family, result in completed.items():
        get_family(family).load(Path(result.folder) / "fold0")


def _snapshot(session: Session, search: Search, families: Sequence[str], phase: str) -> Snapshot:
    entries, clock = search.log.entries(), session.clock
    return snapshot_of(entries, families, session.arena.metric, session.config, clock.elapsed_s, phase)


def _why_nothing(results: Sequence[TrialResult]) -> str:
    errors = [result.error.splitlines()[0] for result in results if result.status == FAILED and result.error]
    if errors:
        return f"no trial could be completed: {len(errors)} failed, the first with {errors[0]!r}."
    return "no trial could be completed in the time given; give a larger --time-budget, or fewer --folds."


def _conclude(session: Session, results: Sequence[TrialResult]) -> RunSummary:
    board = _leaderboard(session, results)
    leader_folder = session.scratch / "model"
    shutil.rmtree(session.scratch, ignore_errors=True)  # of a session that was cut off
    leader = build_leader(board, results, session.dataset, session.arena.metric, leader_folder)
    session.show("registering")
    record = _register(session, leader, leader_folder)
    if session.test is not None:
        session.show("testing")
        board = score_rows(board, results, session.test, lambda: session.clock.left_s() - ENDING_S)
    csv = write_leaderboard(board, session.folder)
    session.tracker.log_leaderboard(board.to_frame(), csv)
    _keep_top_trials(session, results, board)
    shutil.rmtree(session.scratch)
    return _summarise(session, results, board, record)


def _leaderboard(session: Session, results: Sequence[TrialResult]) -> Leaderboard:
    arena = session.arena
    return build_leaderboard(
        results,
        {result.trial_id: load_oof(result) for result in results if result.status == COMPLETED},
        arena.table.target,
        arena.table.weight,
        arena.folds,
        arena.task,
        arena.metric,
        session.config.seed,
        partial(session.stacking_left_s, time.monotonic()),
        session.config.predict_budget_us,
    )


def _register(session: Session, leader: Leader, leader_folder: Path) -> LeaderRecord:
    sample = session.dataset.sample
    name = model_name(session.config, session.dataset)
    prediction, with_code = leader.predict(sample), not session.config.no_code
    record = register_leader(session.tracker, leader_folder, sample, prediction, name, session.folder, with_code)
    if record.problem:
        session.screen.say(f"the leader is not registered: {record.problem}")
    return record


def _keep_top_trials(session: Session, results: Sequence[TrialResult], board: Leaderboard) -> None:
    """Log the models of the best trials with their runs, as far as time allows."""
    sample = session.dataset.sample
    trials = [row for row in board.rows if row.kind == TRIAL and row.status == COMPLETED]
    for row in trials[:N_TOP_TRIALS]:
        if session.clock.left_s() < ENDING_S + KEEPING_S:
            return
        folder = session.scratch / row.name
        alone = build_leader(replace(board, rows=(row,)), results, session.dataset, board.metric, folder)
        prediction = alone.predict(sample)
        if keep_model(session.tracker, row.name, folder, sample, prediction, not session.config.no_code):
            return


def _summarise(
    session: Session, results: Sequence[TrialResult], board: Leaderboard, record: LeaderRecord
) -> RunSummary:
    experiment_id, parent_run_id = session.tracker.ids() if session.tracker.is_open else (None, None)
    count = Counter(result.status for result in results)
    metric, row = session.arena.metric, board.leader
    test_score = row.test[metric.name] if row.test else None
    scores = {f"cv_{metric.name}": row.score} | ({f"test_{metric.name}": test_score} if row.test else {})
    summary = RunSummary(
        folder=session.folder,
        task=session.dataset.task.kind,
        target=session.dataset.target_name,
        metric=metric.name,
        leader=row.name,
        cv_score=row.score,
        trial_handicap=board.handicap,
        predict_us=row.predict_us,
        predict_budget_us=board.predict_budget_us,
        n_too_dear=board.n_too_dear,
        test_score=test_score,
        n_completed=count[COMPLETED],
        n_stopped=count[STOPPED],
        n_failed=count[FAILED],
        wall_s=round(session.clock.elapsed_s, 3),
        budget_s=session.clock.budget_s,
        phase_began_s=session.screen.began_s,
        fit_cpu_s=round(sum(result.cpu_s for result in results), 3),
        experiment_id=experiment_id,
        parent_run_id=parent_run_id,
        model_uri=record.model_uri,
        registered_name=record.name,
        registered_version=record.version,
        versions=library_versions(),
    )
    session.tracker.log_file(write_summary(summary))
    patience_s = max(LEAST_PATIENCE_S, min(session.clock.left_s(), MOST_PATIENCE_S))
    if not session.tracker.finish("FINISHED", scores, {"leader": row.name}, patience_s):
        session.screen.say(f"when MLflow is back: stacktune sync {as_typed(session.folder)}")
    return summary
