"""A whole run in this process, from a file to a leader: all that the command does but for Ray, MLflow and the clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stacktune.data.dataset import Dataset, load_dataset
from stacktune.data.split_folds import folds_of, settled_folds
from stacktune.data.table import Table
from stacktune.ensemble.leader import Leader, build_leader, score_rows
from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.rows import Leaderboard
from stacktune.families.loss_choice import check_loss, chosen_loss, with_metric_of_loss
from stacktune.metrics import check_domain, get_metric
from stacktune.runs.metric import chosen_metric
from stacktune.runs.posed import posed_task
from stacktune.search.plan.plan import ClusterSize, plan_for_size
from stacktune.search.space import load_space
from stacktune.settings.groups import Settings
from stacktune.trials.attempt import Attempt
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.result import COMPLETED, TrialResult, load_oof
from stacktune.trials.trial import Trial


@dataclass(frozen=True)
class Fitted:
    """What a run leaves. test: the encoded test rows, if any were asked for."""

    dataset: Dataset
    test: Table | None
    problem: Problem
    results: list[TrialResult]
    board: Leaderboard
    leader: Leader


def completed_trial(family: str, problem: Problem, folder: Path, place: int = 0) -> TrialResult:
    """Return the completed trial of the portfolio's entry at `place`."""
    trial = Trial(f"{family}-{place:04}", family, load_space(family).portfolio[place])
    (folder / trial.trial_id).mkdir(parents=True)
    attempt = Attempt(trial, lambda: climb(trial, problem, TrialResources(folder / trial.trial_id, folder / "states")))
    while not isinstance(outcome := attempt.advance(), TrialResult):
        pass
    assert outcome.status == COMPLETED, outcome.error
    return outcome


def write_table(frame: pd.DataFrame, folder: Path, name: str = "table.parquet") -> Path:
    """Write a frame as Parquet, or as CSV where `name` says so."""
    path = folder / name
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def fit(
    data: pd.DataFrame | Path | str,
    target: str,
    folder: Path,
    families: tuple[str, ...] = ("lightgbm",),
    **settings: Any,
) -> Fitted:
    """Fit the first portfolio entry of each family and build the leader.

    data: a frame is written as Parquet first. settings: of Settings, e.g. metric="f1", test_size=0.25.
    Raises what the command would refuse with.
    """
    path = write_table(data, folder) if isinstance(data, pd.DataFrame) else data
    config = Settings(str(path), target, **settings)
    dataset, test = load_dataset(config)
    plan = plan_for_size(dataset.table, dataset.task, ClusterSize(2, 0), 60.0)
    parted, seed = (dataset.split, dataset.table, dataset.task), config.seed
    n_folds, _ = settled_folds(*parted, config.n_folds, plan.n_folds, plan.reason, seed)
    folds = replace(folds_of(*parted, config.n_folds or n_folds, seed), refits=config.refit)
    config = with_metric_of_loss(config, dataset.task)
    metric = chosen_metric(config, dataset.task, dataset.table.labels)
    for rows in (dataset.table, test):
        if rows is not None:
            check_loss(config, rows.labels, "the rows")
            check_domain(metric, rows.target, dataset.task.classes, "the rows")
    task = replace(posed_task(config, dataset, metric), loss=chosen_loss(config, metric))
    problem = Problem(dataset.table, task, folds, metric, config.seed)
    results = [completed_trial(family, problem, folder) for family in families]
    oof = {result.trial_id: load_oof(result) for result in results}
    table = dataset.table
    board = build_leaderboard(results, oof, table.target, table.weight, folds, task, metric)
    leader = build_leader(board, results, dataset, metric, folder / "leader")
    if test is not None:
        board = score_rows(board, results, test)
    return Fitted(dataset, test, problem, results, board, leader)


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve of a score for a truth of booleans."""
    table = np.column_stack([1 - np.asarray(score, dtype=float), score])
    return get_metric("roc_auc", "binary").score(np.asarray(truth, dtype=np.int64), table)
