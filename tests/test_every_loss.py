"""What a family does where the metric asks for another loss than squared errors, over every family and such a loss."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from in_process import fit, write_table

from stacktune.data.dataset import load_dataset
from stacktune.data.table import REGRESSION, Table
from stacktune.families.base import Job
from stacktune.families.registry import all_families, get_family
from stacktune.metrics import METRICS
from stacktune.objectives import ABSOLUTE, PERCENTAGE, SQUARED_LOG
from stacktune.runs.begin import problem_of
from stacktune.settings.groups import Settings
from stacktune.testing.learners import (
    any_differs,
    draw,
    extremes,
    grown,
    make_job,
)
from stacktune.testing.subject import subject_of
from stacktune.testing.tables import N_ROWS, TASKS

METRIC_OF = {ABSOLUTE: "mae", PERCENTAGE: "mape", SQUARED_LOG: "rmsle"}
FITTING = [name for name in sorted(all_families()) if REGRESSION in get_family(name).tasks]
CASES = [(name, loss) for name in FITTING for loss in sorted(get_family(name).losses & METRIC_OF.keys())]
every_case = pytest.mark.parametrize(("name", "loss"), CASES)


def skewed_table(n_rows: int = 900, seed: int = 0) -> Table:
    """Return 4 columns, one of categories, and values whose noise is lognormal, so that mean and median lie apart."""
    rng = np.random.default_rng(seed)
    numeric, codes = rng.normal(size=(n_rows, 3)), rng.integers(6, size=n_rows)
    signal = numeric[:, 0] + np.abs(numeric[:, 1]) + 0.3 * codes
    target = np.exp(1 + 0.5 * signal + rng.normal(size=n_rows))
    return Table(np.column_stack([numeric, codes]).astype(np.float32), tuple("abcd"), (6,), target).sealed()


def job_for(loss: str, table: Table | None = None, n_trained: int = 600) -> Job:
    job = make_job(REGRESSION, table or skewed_table())
    task = replace(TASKS[REGRESSION], loss=loss)
    return replace(job, task=task, rows=np.arange(n_trained), valid=np.arange(n_trained, job.table.n_rows))


@every_case
def test_its_metric_is_better_than_under_squared_errors(name: str, loss: str) -> None:
    metric, scores = METRICS[METRIC_OF[loss]], []
    family = get_family(name)
    units = min(12 if family.unit == "epoch" else 60, family.max_units(subject_of(name).default))
    for fitted in (TASKS[REGRESSION].loss, loss):
        job = job_for(fitted)
        learner = grown(subject_of(name), job, units=units)
        scores.append(-metric.score(job.table.target[job.valid], learner.predict_valid()))
    assert scores[1] < 0.97 * scores[0]


HARD_TARGETS = {
    "zeros": lambda rng: np.where(rng.random(N_ROWS) < 0.3, 0.0, rng.exponential(size=N_ROWS)),
    "constant": lambda rng: np.full(N_ROWS, 7.0),
    "all zero": lambda rng: np.zeros(N_ROWS),
    "from almost -1": lambda rng: rng.exponential(size=N_ROWS) - 0.999999,
    "huge": lambda rng: np.exp(rng.normal(0, 8, size=N_ROWS)),
    "tiny": lambda rng: 1e-12 * rng.exponential(size=N_ROWS),
}


@every_case
@pytest.mark.parametrize("target", HARD_TARGETS)
def test_hard_targets_have_finite_predictions(name: str, loss: str, target: str) -> None:
    table = make_job(REGRESSION).table
    rng = np.random.default_rng(1)
    weight = rng.integers(1, 5, N_ROWS).astype(np.float32)
    job = job_for(loss, replace(table, target=HARD_TARGETS[target](rng), weight=weight).sealed(), n_trained=280)
    predicted = grown(
        subject_of(name), job, units=2 if get_family(name).max_units(subject_of(name).default) > 1 else 1
    ).predict_valid()
    assert np.isfinite(predicted).all()
    if loss == SQUARED_LOG:
        assert predicted.min() > -1


@pytest.mark.parametrize("name", [name for name, loss in CASES if loss == PERCENTAGE])
def test_shares_of_negative_targets_are_fitted_like_those_of_positive_ones(name: str) -> None:
    job = job_for(PERCENTAGE)
    mirrored = job_for(PERCENTAGE, replace(job.table, target=-job.table.target))
    score = METRICS["mape"].score
    errors = [-score(j.table.target[j.valid], grown(subject_of(name), j).predict_valid()) for j in (job, mirrored)]
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


# The exact leaves that CatBoost gives absolute errors are found at one go.
WITHOUT_EFFECT = {("catboost", "leaf_estimation_iterations")}
# Nets hand no parameter to a library that knows of losses.
ABSOLUTE_BY_LIBRARY = [name for name, loss in CASES if loss == ABSOLUTE and get_family(name).unit != "epoch"]
EVERY_PARAMETER = [(name, parameter) for name in ABSOLUTE_BY_LIBRARY for parameter in subject_of(name).space.domains]
PARAMETERS = [pair for pair in EVERY_PARAMETER if pair not in WITHOUT_EFFECT]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_every_parameter_matters_to_absolute_errors(name: str, parameter: str) -> None:
    job = job_for(ABSOLUTE, make_job(REGRESSION).table, n_trained=280)
    values = extremes(subject_of(name).space.domains[parameter])
    for base in [subject_of(name).default, *(draw(subject_of(name), seed) for seed in range(20))]:
        if any_differs(grown(subject_of(name), job, {**base, parameter: value}).predict_valid() for value in values):
            return
    pytest.fail(f"{parameter!r} changes no prediction of {name!r} under absolute errors between {values}")


def skewed_frame() -> pd.DataFrame:
    table = skewed_table()
    return pd.DataFrame(table.features.astype(np.float64), columns=list(table.names)).assign(y=table.target)


@cache
def run_scores(metric: str) -> dict[str, dict[str, float]]:
    """Return the test metrics of every row of a run's leaderboard, by its name."""
    with TemporaryDirectory() as folder:
        families = ("lightgbm", "linear", "extra_trees")
        fitted = fit(skewed_frame(), "y", Path(folder), families, metric=metric, test_size=1 / 3, n_folds=3)
    assert fitted.leader.metric_name == metric
    return {row.name: row.test for row in fitted.board.rows}


@pytest.mark.parametrize("metric", ["mae", "mape", "rmsle"])
@pytest.mark.parametrize("name", ["lightgbm-0000", "stack_all", "greedy_all"])
def test_a_run_fits_what_its_metric_asks_for(metric: str, name: str) -> None:
    """Under each of them everything was fitted by squared errors."""
    assert run_scores(metric)[name][metric] < 0.95 * run_scores("rmse")[name][metric]


@pytest.mark.parametrize(("metric", "loss"), [("mae", ABSOLUTE), ("rmse", "squared"), ("rmsle", SQUARED_LOG)])
def test_the_command_hands_the_loss_to_its_trials(metric: str, loss: str, tmp_path: Path) -> None:
    config = Settings(str(write_table(skewed_frame(), tmp_path)), "y", metric=metric, n_folds=3)
    assert problem_of(config, *load_dataset(config)).task.loss == loss
