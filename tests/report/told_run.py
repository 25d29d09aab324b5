"""A finished run's folder as a run leaves it, made in this process: real models, real predictions, a real story."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from finished_run import facts
from in_process import fit

from stacktune.ensemble.out_of_fold import keep_out_of_fold
from stacktune.report.event_file import EventFile
from stacktune.report.outputs import write_leaderboard
from stacktune.runs.record import conclusions
from stacktune.search.decisions import BEGAN, DecisionRecord, asked, ended, rung
from stacktune.search.events import Event
from stacktune.storage.run_folder import RunFolder
from stacktune.trials.trial import Progress, Trial


def tell_run(folder: Path, frame: pd.DataFrame, target: str, families: Sequence[str], **settings: Any) -> Path:
    """Make the folder of a run of these families' first portfolio entries, and return it."""
    places = RunFolder(folder)
    places.trials.mkdir(parents=True)
    fitted = fit(frame, target, places.trials, tuple(families), **settings)
    board, dataset = fitted.board, fitted.dataset
    # Where a run has it; the process keeps reading the models from there.
    shutil.copytree(fitted.leader.folder, places.leader / "data" / "leader")
    write_leaderboard(board, folder)
    keep_out_of_fold(places.out_of_fold, board, fitted.problem.folds, dataset.row_numbers, fitted.problem.table)
    _tell(places, fitted)
    places.config.write_text(f"data: table.parquet\ntarget: {target}\nfolds: {fitted.problem.folds.n_folds}\n")
    leader = board.leader
    told = facts(
        task=dataset.task.kind,
        target=target,
        metric=board.metric.name,
        greater_is_better=board.metric.greater_is_better,
        positive=dataset.task.positive,
        threshold=board.threshold(leader),
        leader=leader.name,
        cv_score=leader.score,
        test_score=None,
        predict_us=leader.predict_us,
        wall_s=30.0,
        phase_began_s={"reading": 1.0, "searching": 4.0, "stacking": 20.0},
        versions={"stacktune": "0.1.0"},
        selection_penalty=board.selection_penalty,
    )
    places.summary.write_text(json.dumps(told))
    return folder


def _tell(places: RunFolder, fitted: Any) -> None:
    clock = [4.0]
    with EventFile(places.events, lambda: clock[0], fitted.board.metric, pytest.fail) as events:
        what = {"n_rows": fitted.dataset.table.n_rows}
        events.decided(DecisionRecord(BEGAN, fitted.dataset.name, None, what))
        events.note("a column was left out")
        for result in fitted.results:
            trial = Trial(result.trial_id, result.family, result.config)
            events.decided(asked(trial))
            clock[0] += 1.0
            events.decided(rung(trial.trial_id, Progress(1, result.n_rungs, result.curve[0], 1, 0.5)))
            clock[0] += 1.0
            events.decided(ended(result))
        for step in range(3):
            events.event(Event("controller", {"reward": 0.3 * step}, step))
        for decision in conclusions(fitted.board):
            events.decided(decision)
