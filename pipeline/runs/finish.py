"""Ends a run with a leaderboard and a leader.

MLflow and the folder are left with them, and one record says the outcome.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from stacktune.ensemble.leader import Leader, build_leader, score_rows
from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.limits import megabytes
from stacktune.ensemble.out_of_fold import keep_out_of_fold
from stacktune.ensemble.rows import TRIAL, Leaderboard
from stacktune.ensemble.stand_in import build_stand_in
from stacktune.report.model_card import write_model_card
from stacktune.report.outputs import RunSummary, library_versions, write_leaderboard, write_summary
from stacktune.runs.explaining import explain_leader
from stacktune.runs.leader_options import LeaderExtras, leader_extras
from stacktune.runs.mlflow_notes import describe_run
from stacktune.runs.pace import FINISHING_S, REHEARSAL_S, REPORTING_S, keeping_top_trials_s
from stacktune.runs.record import conclusions, registration
from stacktune.runs.reporting import report
from stacktune.runs.session import Session
from stacktune.runs.starting_point import Gain, gain_of
from stacktune.runs.state import model_name
from stacktune.storage.folders import remove
from stacktune.text import as_typed
from stacktune.tracking.promotion import Evidence, say_alias, settle_alias
from stacktune.tracking.registry import LeaderRecord, keep_model, register_leader
from stacktune.tracking.rehearsal import rehearse_registering, rehearse_serving
from stacktune.trials.result import COMPLETED, FAILED, STOPPED, TrialResult, load_oof

# The trials whose own models are kept in MLflow beside the leader; and the usual seconds (see pace.py) that each takes.
N_TOP_TRIALS, KEEPING_S = 3, 0.9
# Where the end is rehearsed; removed at once. It takes two seconds of a core, which a short budget needs for its first
# model; a search that has none by then is tried all the same.
REHEARSAL, MAX_WAIT_FOR_MODEL_S = ".rehearsal", 15.0
# It is begun only where so many times what it takes is left, lest it delays the end.
REHEARSAL_SHARE = 2.0
# How long a store that is away is waited for at the end.
MIN_PATIENCE_S, MAX_PATIENCE_S = 3.0, 20.0


@dataclass(frozen=True)
class _Outcome:
    """The outcome that a run has come to."""

    results: Sequence[TrialResult]
    board: Leaderboard
    record: LeaderRecord
    evidence: Evidence
    extras: LeaderExtras
    gain: Gain | None


@contextmanager
def rehearsing(session: Session, after_models: int = 1) -> Iterator[Future[None]]:
    """Rehearse on a thread what `conclude` does.

    It takes a small model of a few rows in the leader's place.

    The future's result is None, or it raises DataError or ConfigError: what would have been refused at the end.
    after_models: how many trials are to be completed before, as the search needs the cores for them.
    """
    executor, is_over = ThreadPoolExecutor(1, "rehearsal"), threading.Event()
    has_ended = False
    try:
        yield executor.submit(_rehearse, session, is_over, after_models)
        has_ended = True
    finally:
        is_over.set()
        # A run that fails removes its folder: nothing may be written into it any more.
        executor.shutdown(wait=not has_ended)


def _rehearse(session: Session, is_over: threading.Event, after_models: int) -> None:
    # The tracker's thread imports MLflow; two at once would wait for one another.
    config, name = session.config, model_name(session.config, session.dataset)
    rehearse_registering(session.tracker, name, session.places.config, config.tracking_optional)
    waits_until = time.monotonic() + MAX_WAIT_FOR_MODEL_S
    while session.journal.n_models < after_models and time.monotonic() < waits_until:
        if is_over.wait(0.1):
            return
    if session.search_ends_at(after_models) < time.monotonic() + REHEARSAL_SHARE * REHEARSAL_S * session.pace.usual_s:
        return  # the end itself will tell
    scratch, sample, example = session.folder / REHEARSAL, session.dataset.sample, session.dataset.example
    remove(scratch)  # of a session that was cut off
    began_at, cpu_began_s = time.monotonic(), time.thread_time()
    try:
        leader = build_stand_in(session.dataset, session.problem.metric, scratch)
        rehearse_serving(leader.folder, sample, example, leader.predict(example), scratch / "model")
        session.pace.see_rehearsal(time.monotonic() - began_at, time.thread_time() - cpu_began_s)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def conclude(session: Session, results: Sequence[TrialResult]) -> RunSummary:
    """Build and register the leader; write the outcome.

    Returns what `run.json` says.

    Raises:
        SearchError: no trial was completed.
    """
    board, gain = _leaderboard(session, results), _gain(session, results)
    for decision in conclusions(board):
        session.observers.decided(decision)
    leader_folder = session.places.scratch / "model"
    remove(session.places.scratch)  # of a session that was cut off
    board, extras = leader_extras(session, board, results)
    if session.dataset.row_numbers is not None:
        folds, row_numbers = session.problem.folds, session.dataset.row_numbers
        keep_out_of_fold(session.places.out_of_fold, board, folds, row_numbers, session.problem.table)
    leader = build_leader(board, results, session.dataset, session.problem.metric, leader_folder, extras.interval)
    session.begin("registering")
    began_at = time.monotonic()
    record = _register(session, leader, leader_folder)
    registering_s = time.monotonic() - began_at
    if session.test is not None:
        session.begin("testing")
        board = score_rows(board, results, session.test, partial(_remaining_testing_s, session))
        extras = extras.on_test(leader, session.test)
    evidence = Evidence.of(session.dataset, session.problem.folds, board)
    record = settle_alias(session.tracker.uri, record, evidence, session.config.register_always)
    say_alias(record, session.note)
    session.observers.decided(registration(record))
    csv = write_leaderboard(board, session.folder)
    session.tracker.log_leaderboard(board, csv)
    explain_leader(session, board, results, leader)
    _keep_top_trials(session, results, board, registering_s)
    shutil.rmtree(session.places.scratch)
    return _summarise(session, _Outcome(results, board, record, evidence, extras, gain))


def _gain(session: Session, results: Sequence[TrialResult]) -> Gain | None:
    """Return what was gained over --start-from, and say it."""
    gain = gain_of(session.config, results, session.problem.metric)
    if gain is not None:
        session.note(gain.sentence if isinstance(gain, Gain) else gain)
    return gain if isinstance(gain, Gain) else None


def _remaining_testing_s(session: Session) -> float:
    """Return the processor seconds for the test rows."""
    last_s = FINISHING_S + keeping_top_trials_s(session.clock.budget_s or 0.0)
    ending_s = last_s * session.pace.usual_s + session.telling_s
    return (session.clock.remaining_s() - ending_s) * session.pace.core_share


def _leaderboard(session: Session, results: Sequence[TrialResult]) -> Leaderboard:
    problem = session.problem
    return build_leaderboard(
        results,
        {result.trial_id: load_oof(result) for result in results if result.status == COMPLETED},
        problem.table.labels,
        problem.table.weight,
        problem.folds,
        problem.task,
        problem.metric,
        session.config.seed,
        partial(session.remaining_stacking_s, time.monotonic()),
        session.config.predict_budget_us,
        session.dataset.encode_us,
        session.config.max_model_mb,
    )


def _register(session: Session, leader: Leader, leader_folder: Path) -> LeaderRecord:
    example = session.dataset.example
    name = model_name(session.config, session.dataset)
    prediction, with_code = leader.predict(example), not session.config.no_code
    record = register_leader(session.tracker, leader_folder, example, prediction, name, session.folder, with_code)
    if record.problem:
        session.note(f"the leader is not registered: {record.problem}")
    return record


def _keep_top_trials(
    session: Session, results: Sequence[TrialResult], board: Leaderboard, registering_s: float
) -> None:
    """Log the models of the best trials.

    They go with their runs, as far as time allows.

    registering_s: what that took for the leader, which is the same work.
    """
    example = session.dataset.example
    trials = [row for row in board.rows if row.kind == TRIAL and row.status == COMPLETED and row.is_scored]
    keeping_s = max(KEEPING_S * session.pace.usual_s, registering_s)
    ending_s = (FINISHING_S + REPORTING_S) * session.pace.usual_s
    for row in trials[:N_TOP_TRIALS]:
        if session.clock.remaining_s() < ending_s + keeping_s:
            return
        began_at = time.monotonic()
        folder = session.places.scratch / row.name
        alone = build_leader(replace(board, rows=(row,)), results, session.dataset, board.metric, folder)
        prediction = alone.predict(example)
        if keep_model(session.tracker, row.name, folder, example, prediction, not session.config.no_code):
            return
        keeping_s = max(keeping_s, time.monotonic() - began_at)


def _alias_tags(record: LeaderRecord) -> dict[str, str]:
    if record.alias is None or record.alias_reason is None:
        return {}
    return {"alias": record.alias, "alias_reason": record.alias_reason}


def _summarise(session: Session, outcome: _Outcome) -> RunSummary:
    """Write `run.json`, and end the run in MLflow."""
    summary = _summary(session, outcome)
    session.tracker.log_file(write_model_card(summary, outcome.board, session.dataset))
    session.tracker.log_file(write_summary(summary))
    report(session)
    describe_run(session.tracker, session.folder, outcome.record)
    row = outcome.board.leader
    scores = {f"cv_{summary.metric}": row.score}
    if summary.test_score is not None:
        scores[f"test_{summary.metric}"] = summary.test_score
    if summary.threshold is not None:
        scores["threshold"] = summary.threshold
    patience_s = max(MIN_PATIENCE_S, min(session.clock.remaining_s(), MAX_PATIENCE_S))
    tags = {"leader": row.name} | _alias_tags(outcome.record)
    if not session.tracker.finish("FINISHED", scores, tags, patience_s):
        session.note(f"when MLflow is back: stacktune sync {as_typed(session.folder)}")
    return summary


def _summary(session: Session, outcome: _Outcome) -> RunSummary:
    experiment_id, parent_run_id = session.tracker.ids() if session.tracker.is_open else (None, None)
    count = Counter(result.status for result in outcome.results)
    metric, board, record = session.problem.metric, outcome.board, outcome.record
    row = board.leader
    return RunSummary(
        folder=session.folder,
        task=session.dataset.task.kind,
        target=session.dataset.target_name,
        metric=metric.name,
        positive=session.dataset.task.positive,
        threshold=board.threshold(row),
        thresholds=row.thresholds,
        leader=row.name,
        cv_score=row.score,
        selection_penalty=board.selection_penalty,
        predict_us=row.predict_us,
        predict_budget_us=board.predict_budget_us,
        n_too_dear=board.n_too_dear,
        max_model_mb=board.max_model_mb,
        model_mb=None if row.n_bytes is None else megabytes(row.n_bytes),
        n_too_large=board.n_too_large,
        test_score=row.test[metric.name] if row.test else None,
        n_completed=count[COMPLETED],
        n_stopped=count[STOPPED],
        n_failed=count[FAILED],
        wall_s=round(session.clock.elapsed_s, 3),
        budget_s=session.clock.budget_s,
        phase_began_s=session.observers.began_s,
        fit_cpu_s=round(sum(result.cpu_s for result in outcome.results), 3),
        experiment_id=experiment_id,
        parent_run_id=parent_run_id,
        model_uri=record.model_uri,
        registered_name=record.name,
        registered_version=record.version,
        alias=record.alias,
        alias_reason=record.alias_reason,
        promote=record.promote,
        evidence=asdict(outcome.evidence),
        versions=library_versions(),
        greater_is_better=metric.greater_is_better,
        decided_by=metric.decides.name if metric.decides.needs_threshold else None,
        interval=outcome.extras.interval_facts,
        calibration=outcome.extras.calibration_facts,
        gain=None if outcome.gain is None else asdict(outcome.gain),
    )
