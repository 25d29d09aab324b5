"""The contract over all families, continued: tables that real folds hand out now and then."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from family_cases import (
    CLOSE,
    N_ROWS,
    N_TRAINED,
    TASKS,
    assert_is_prediction,
    default_of,
    every_case,
    every_family,
    grown,
    make_job,
    make_table,
    make_telling_gaps,
    unlabelled,
    usual,
)

from stacktune.data.table import REGRESSION, Table
from stacktune.families.base import Predictor
from stacktune.families.registry import get_family


@every_case
def test_missing_values_and_unseen_levels_are_predicted(name: str, kind: str) -> None:
    table = make_table(kind)
    features = table.features.copy()
    features[:N_TRAINED, 6] %= 30
    learner = grown(name, make_job(kind, replace(table, features=features).sealed()))
    asked = features[:8].copy()
    asked[np.arange(7), np.arange(7)] = np.nan  # also where training had none
    asked[7, 6] = 39
    assert_is_prediction(learner.predict(Table(asked, table.names, table.cardinalities)), 8, TASKS[kind])
    nothing = Table(np.full_like(asked, np.nan), table.names, table.cardinalities)
    assert_is_prediction(learner.predict(nothing), 8, TASKS[kind])


N_NUMERIC, LAST = 2, -1  # numeric columns of `make_telling_gaps`, and the class or value that its gaps tell


@cache
def grown_on_telling_gaps(name: str, kind: str) -> tuple[Predictor, Table]:
    """Return a learner, and rows without a gap."""
    table, family = make_telling_gaps(kind), get_family(name)
    job = make_job(kind, table, rows=np.arange(table.n_rows), watched=np.arange(0))
    learner = grown(name, job, units=min(40, family.max_units(default_of(name))))
    whole = np.flatnonzero(~np.isnan(table.features).any(axis=1))
    return learner, unlabelled(table, whole[:200])


def floor_of(kind: str) -> float:
    """Return a tenth of a spread: of 120 levels, not every family learns what a missing value means."""
    return 0.05 if kind != REGRESSION else 0.1 * make_telling_gaps(kind).target.std()


def with_level(table: Table, columns: tuple[int, ...], level: float | None) -> Table:
    """Return the table with one level, or one that it does not have, in some categorical columns."""
    features = table.features.copy()
    for column in columns:
        features[:, N_NUMERIC + column] = table.cardinalities[column] if level is None else level
    return replace(table, features=features)


@every_case
@pytest.mark.parametrize("columns", [(0,), (1,), (2,), (3,), (0, 1, 2, 3)], ids=["2", "6", "40", "120", "all"])
def test_an_unseen_level_is_no_missing_value(name: str, kind: str, columns: tuple[int, ...], tmp_path: Path) -> None:
    """Where missing meant class 1, a level never seen had P(1) = .975 (lightgbm) and 1.0 (extra_trees)."""
    learner, rows = grown_on_telling_gaps(name, kind)
    usual, missing = learner.predict(rows), learner.predict(with_level(rows, columns, np.nan))
    strange = with_level(rows, columns, None)
    unseen = learner.predict(strange)
    assert_is_prediction(unseen, rows.n_rows, TASKS[kind])
    usual, missing, said = (prediction[:, LAST].mean() for prediction in (usual, missing, unseen))
    assert abs(said - usual) < 0.25 * max(missing - usual, floor_of(kind))
    learner.save(tmp_path)
    loaded = get_family(name).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(strange), unseen, **CLOSE)
    alone = [loaded.predict(strange.take(np.array([row]))) for row in range(3)]
    np.testing.assert_allclose(np.vstack(alone), unseen[:3], **CLOSE)


@every_case
@pytest.mark.parametrize(("column", "level"), [(1, 5), (2, 39)], ids=["6", "40"])
def test_a_level_that_only_other_rows_have_is_no_missing_value(name: str, kind: str, column: int, level: int) -> None:
    learner, rows = grown_on_telling_gaps(name, kind)
    tables = (rows, with_level(rows, (column,), np.nan), with_level(rows, (column,), level))
    usual, missing, said = (learner.predict(table)[:, LAST].mean() for table in tables)
    assert abs(said - usual) < 0.25 * max(missing - usual, floor_of(kind))


@every_case
def test_values_beyond_training_are_predicted(name: str, kind: str) -> None:
    job, learner = usual(name, kind)
    extreme = unlabelled(job.table, slice(0, 2))
    extreme.features[:, :4] = [[3e38], [-3e38]]
    assert_is_prediction(learner.predict(extreme), 2, job.task)


@every_case
@pytest.mark.parametrize("columns", [[0], [6], [0, 1, 2, 3], [4, 5, 6]], ids=["number", "levels", "numeric", "codes"])
def test_any_mix_of_columns_will_do(name: str, kind: str, columns: list[int]) -> None:
    table = make_table(kind)
    names = tuple(table.names[column] for column in columns)
    cardinalities = tuple(table.cardinalities[column - 4] for column in columns if column >= 4)
    part = Table(np.ascontiguousarray(table.features[:, columns]), names, cardinalities, table.target).sealed()
    assert_is_prediction(grown(name, make_job(kind, part)).watch(), N_ROWS - N_TRAINED, TASKS[kind])


@every_case
def test_columns_that_do_not_vary_in_training_will_do(name: str, kind: str) -> None:
    table = make_table(kind)
    features = table.features.copy()
    features[:N_TRAINED, [0, 4, 6]] = [3.0, 1.0, np.nan]
    features[:N_TRAINED, 1] = np.nan
    job = make_job(kind, replace(table, features=features).sealed())
    assert_is_prediction(grown(name, job).watch(), N_ROWS - N_TRAINED, TASKS[kind])
    constant = np.where(np.arange(N_ROWS)[:, None] < N_TRAINED, 1.0, table.features).astype(np.float32)
    job = make_job(kind, replace(table, features=constant).sealed())
    assert_is_prediction(grown(name, job).watch(), N_ROWS - N_TRAINED, TASKS[kind])


@every_case
def test_a_class_missing_from_training_has_its_column(name: str, kind: str) -> None:
    if kind == REGRESSION:
        pytest.skip("no classes")
    job = make_job(kind)
    for missing in range(job.task.n_outputs):
        rows = job.rows[job.table.target[job.rows] != missing]
        learner = grown(name, replace(job, rows=rows, part=f"without {missing}"))
        assert_is_prediction(learner.watch(), len(job.watched), job.task)
        assert learner.watch()[:, missing].mean() < 0.2


@every_case
def test_a_handful_of_rows_will_do(name: str, kind: str) -> None:
    job = make_job(kind, rows=np.arange(6))
    assert_is_prediction(grown(name, job).watch(), len(job.watched), job.task)


@every_case
def test_weights_pull(name: str, kind: str) -> None:
    """Where the target is a toss-up, the prediction is the weighted share."""
    rng = np.random.default_rng(3)
    coin = rng.integers(2, size=N_ROWS)
    features = rng.normal(size=(N_ROWS, 2)).astype(np.float32)
    target = coin.astype(np.float64 if kind == REGRESSION else np.int32)
    heavy = np.where(coin == 1, 30.0, 1.0).astype(np.float32)
    table = Table(features, ("a", "b"), (), target)
    pulled = grown(name, make_job(kind, replace(table, weight=heavy).sealed())).watch()
    free = grown(name, make_job(kind, table.sealed())).watch()
    column = 0 if kind == REGRESSION else 1
    assert pulled[:, column].mean() > free[:, column].mean() + 0.15


@every_case
def test_weights_scaled_alike_pull_nowhere(name: str, kind: str) -> None:
    table = make_table(kind)
    weight = np.random.default_rng(0).uniform(0.5, 2, N_ROWS).astype(np.float32)
    light = grown(name, make_job(kind, replace(table, weight=weight).sealed())).watch()
    heavy = grown(name, make_job(kind, replace(table, weight=weight * 1024).sealed())).watch()
    np.testing.assert_allclose(heavy, light, rtol=1e-3, atol=1e-4)


@every_family
def test_a_target_far_from_zero_is_no_harder(name: str) -> None:
    if REGRESSION not in get_family(name).tasks:
        pytest.skip("this family does not regress")
    table = make_table(REGRESSION)
    near, far = make_job(REGRESSION, table), make_job(REGRESSION, replace(table, target=table.target * 1e-3 + 1e6))
    expected = grown(name, near).watch() * 1e-3 + 1e6
    np.testing.assert_allclose(grown(name, far).watch(), expected, rtol=0, atol=2e-3)


@every_case
def test_no_rows_are_predicted_as_no_rows(name: str, kind: str) -> None:
    job, learner = usual(name, kind)
    assert_is_prediction(learner.predict(unlabelled(job.table, slice(0))), 0, job.task)


@every_case
def test_it_may_watch_nothing(name: str, kind: str) -> None:
    job = make_job(kind, watched=np.arange(0))
    assert_is_prediction(grown(name, job).predict(job.table), N_ROWS, job.task)
