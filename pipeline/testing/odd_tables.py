"""The contract's clauses on odd tables.

Real folds hand out such tables now and then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stacktune.data.table import REGRESSION, Table
from stacktune.families.base import Predictor
from stacktune.testing.clause import Case, Clause, each_task, each_task_and
from stacktune.testing.learners import CLOSE, assert_is_prediction, grown, make_job, require, usual
from stacktune.testing.subject import Subject
from stacktune.testing.tables import N_ROWS, N_TRAINED, TASKS, make_table, make_telling_gaps, target_of, unlabelled

N_NUMERIC, LAST = 2, -1  # numeric columns of `make_telling_gaps`, and the class or value that its gaps tell
# Columns of `make_telling_gaps` by their levels, and of `make_table` by what they hold.
UNSEEN = {"2": (0,), "6": (1,), "40": (2,), "120": (3,), "all": (0, 1, 2, 3)}
OF_OTHER_ROWS = {"6": (1, 5), "40": (2, 39)}
MIXES = {"number": [0], "levels": [6], "numeric": [0, 1, 2, 3], "codes": [4, 5, 6]}
# A level never seen is answered nearer to the usual answer than to that of a missing value.
MAX_SHARE_OF_MISSING = 0.25


def missing_values_and_unseen_levels_are_predicted(subject: Subject, kind: str) -> None:
    """Require predictions for gaps and new levels.

    They may be anywhere.
    """
    table = make_table(kind)
    features = table.features.copy()
    features[:N_TRAINED, 6] %= 30
    learner = grown(subject, make_job(kind, replace(table, features=features).sealed()))
    asked = features[:8].copy()
    asked[np.arange(7), np.arange(7)] = np.nan  # also where training had none
    asked[7, 6] = 39
    assert_is_prediction(learner.predict(Table(asked, table.names, table.cardinalities)), 8, TASKS[kind])
    nothing = Table(np.full_like(asked, np.nan), table.names, table.cardinalities)
    assert_is_prediction(learner.predict(nothing), 8, TASKS[kind])


def an_unseen_level_is_no_missing_value(subject: Subject, kind: str, columns: str) -> None:
    """Require that unseen levels are not missing values.

    Where missing meant class 1, a level never seen had P(1) = .975 (lightgbm) and 1.0 (extra_trees).
    """
    learner, rows = _grown_on_telling_gaps(subject, kind)
    strange = _with_level(rows, UNSEEN[columns], None)
    unseen = learner.predict(strange)
    assert_is_prediction(unseen, rows.n_rows, TASKS[kind])
    missing = learner.predict(_with_level(rows, UNSEEN[columns], np.nan))
    _require_unlike_missing(kind, learner.predict(rows), missing, unseen)
    with TemporaryDirectory() as folder:
        learner.save(Path(folder))
        loaded = subject.family.load(Path(folder))
        np.testing.assert_allclose(loaded.predict(strange), unseen, **CLOSE)
        alone = [loaded.predict(strange.take(np.array([row]))) for row in range(3)]
    np.testing.assert_allclose(np.vstack(alone), unseen[:3], **CLOSE)


def a_level_that_only_other_rows_have_is_no_missing_value(subject: Subject, kind: str, column: str) -> None:
    """Require that levels of other rows are unseen.

    A level that no training row has is unseen, too, though other rows have it.
    """
    learner, rows = _grown_on_telling_gaps(subject, kind)
    place, level = OF_OTHER_ROWS[column]
    tables = (rows, _with_level(rows, (place,), np.nan), _with_level(rows, (place,), level))
    _require_unlike_missing(kind, *(learner.predict(table) for table in tables))


@cache
def _grown_on_telling_gaps(subject: Subject, kind: str) -> tuple[Predictor, Table]:
    """Return a learner, and rows without a gap."""
    table = make_telling_gaps(kind)
    job = make_job(kind, table, rows=np.arange(table.n_rows), valid=np.arange(0))
    learner = grown(subject, job, units=min(40, subject.family.max_units(subject.default)))
    whole = np.flatnonzero(~np.isnan(table.features).any(axis=1))
    return learner, unlabelled(table, whole[:200])


def _with_level(table: Table, columns: tuple[int, ...], level: float | None) -> Table:
    """Return the table with a level set.

    Some categorical columns then hold that level, which may be one that they do not have.
    """
    features = table.features.copy()
    for column in columns:
        features[:, N_NUMERIC + column] = table.cardinalities[column] if level is None else level
    return replace(table, features=features)


def _require_unlike_missing(kind: str, usual: np.ndarray, missing: np.ndarray, unseen: np.ndarray) -> None:
    known, gap, strange = (prediction[:, LAST].mean() for prediction in (usual, missing, unseen))
    rule = "a level never seen is answered as known ones are in the mean, not as a missing value"
    told = f"{rule}: {strange:.3f}, where known ones are {known:.3f} and missing ones {gap:.3f}"
    require(abs(strange - known) < MAX_SHARE_OF_MISSING * max(gap - known, _floor(kind)), told)


def _floor(kind: str) -> float:
    """Return a tenth of a spread.

    Of 120 levels, not every family learns what a missing value means.
    """
    return 0.05 if kind != REGRESSION else 0.1 * target_of(make_telling_gaps(kind)).std()


def values_beyond_training_are_predicted(subject: Subject, kind: str) -> None:
    """Require predictions for values beyond training.

    The largest numbers have predictions like others.
    """
    job, learner = usual(subject, kind)
    extreme = unlabelled(job.table, slice(0, 2))
    extreme.features[:, :4] = [[3e38], [-3e38]]
    assert_is_prediction(learner.predict(extreme), 2, job.task)


def any_mix_of_columns_will_do(subject: Subject, kind: str, mix: str) -> None:
    """Require that it takes any mix of columns.

    A table may have columns of one kind.
    """
    table, columns = make_table(kind), MIXES[mix]
    names = tuple(table.names[column] for column in columns)
    cardinalities = tuple(table.cardinalities[column - 4] for column in columns if column >= 4)
    part = Table(np.ascontiguousarray(table.features[:, columns]), names, cardinalities, table.target).sealed()
    assert_is_prediction(grown(subject, make_job(kind, part)).predict_valid(), N_ROWS - N_TRAINED, TASKS[kind])


def columns_that_do_not_vary_in_training_will_do(subject: Subject, kind: str) -> None:
    """Require that it takes columns without variation.

    A fold may see constant or empty columns.
    """
    table = make_table(kind)
    features = table.features.copy()
    features[:N_TRAINED, [0, 4, 6]] = [3.0, 1.0, np.nan]
    features[:N_TRAINED, 1] = np.nan
    job = make_job(kind, replace(table, features=features).sealed())
    assert_is_prediction(grown(subject, job).predict_valid(), N_ROWS - N_TRAINED, TASKS[kind])
    constant = np.where(np.arange(N_ROWS)[:, None] < N_TRAINED, 1.0, table.features).astype(np.float32)
    job = make_job(kind, replace(table, features=constant).sealed())
    assert_is_prediction(grown(subject, job).predict_valid(), N_ROWS - N_TRAINED, TASKS[kind])


def a_class_missing_from_training_has_its_column(subject: Subject, kind: str) -> None:
    """Require a column for a class without rows.

    A fold may lack a class.
    """
    job = make_job(kind)
    for missing in range(job.task.n_outputs):
        rows = job.rows[target_of(job.table)[job.rows] != missing]
        valid = grown(subject, replace(job, rows=rows, part=f"without {missing}")).predict_valid()
        assert_is_prediction(valid, len(job.valid), job.task)
        require(valid[:, missing].mean() < 0.2, "a class that no row has is unlikely")


def a_handful_of_rows_will_do(subject: Subject, kind: str) -> None:
    """Require that it learns from six rows."""
    job = make_job(kind, rows=np.arange(6))
    assert_is_prediction(grown(subject, job).predict_valid(), len(job.valid), job.task)


def weights_pull(subject: Subject, kind: str) -> None:
    """Require that weights move predictions.

    Where the target is a toss-up, the prediction is the weighted share.
    """
    rng = np.random.default_rng(3)
    coin = rng.integers(2, size=N_ROWS)
    features = rng.normal(size=(N_ROWS, 2)).astype(np.float32)
    target = coin.astype(np.float64 if kind == REGRESSION else np.int32)
    heavy = np.where(coin == 1, 30.0, 1.0).astype(np.float32)
    table = Table(features, ("a", "b"), (), target)
    pulled = grown(subject, make_job(kind, replace(table, weight=heavy).sealed())).predict_valid()
    free = grown(subject, make_job(kind, table.sealed())).predict_valid()
    column = 0 if kind == REGRESSION else 1
    require(pulled[:, column].mean() > free[:, column].mean() + 0.15, "heavy rows pull predictions to their target")


def weights_scaled_alike_pull_nowhere(subject: Subject, kind: str) -> None:
    """Require that only relative weights count.

    Weights that are all scaled alike change nothing.
    """
    table = make_table(kind)
    weight = np.random.default_rng(0).uniform(0.5, 2, N_ROWS).astype(np.float32)
    light = grown(subject, make_job(kind, replace(table, weight=weight).sealed())).predict_valid()
    heavy = grown(subject, make_job(kind, replace(table, weight=weight * 1024).sealed())).predict_valid()
    np.testing.assert_allclose(heavy, light, rtol=1e-3, atol=1e-4)


def a_target_far_from_zero_is_no_harder(subject: Subject) -> None:
    """Require that the target's place changes nothing.

    Its scale does not matter either.
    """
    table = make_table(REGRESSION)
    near, far = make_job(REGRESSION, table), make_job(REGRESSION, replace(table, target=target_of(table) * 1e-3 + 1e6))
    expected = grown(subject, near).predict_valid() * 1e-3 + 1e6
    np.testing.assert_allclose(grown(subject, far).predict_valid(), expected, rtol=0, atol=2e-3)


def no_rows_are_predicted_as_no_rows(subject: Subject, kind: str) -> None:
    """Require no predictions for an empty table."""
    job, learner = usual(subject, kind)
    assert_is_prediction(learner.predict(unlabelled(job.table, slice(0))), 0, job.task)


def it_may_have_no_validation_rows(subject: Subject, kind: str) -> None:
    """Require that a fit needs no validation rows."""
    job = make_job(kind, valid=np.arange(0))
    assert_is_prediction(grown(subject, job).predict(job.table), N_ROWS, job.task)


def _once_if_it_regresses(subject: Subject) -> Iterable[Case]:
    return [()] if REGRESSION in subject.kinds else ()


def _each_task_of_classes(subject: Subject) -> Iterable[Case]:
    return ((kind,) for kind in subject.kinds if kind != REGRESSION)


CLAUSES = (
    Clause(missing_values_and_unseen_levels_are_predicted, each_task),
    Clause(an_unseen_level_is_no_missing_value, each_task_and(*UNSEEN)),
    Clause(a_level_that_only_other_rows_have_is_no_missing_value, each_task_and(*OF_OTHER_ROWS)),
    Clause(values_beyond_training_are_predicted, each_task),
    Clause(any_mix_of_columns_will_do, each_task_and(*MIXES)),
    Clause(columns_that_do_not_vary_in_training_will_do, each_task),
    Clause(a_class_missing_from_training_has_its_column, _each_task_of_classes),
    Clause(a_handful_of_rows_will_do, each_task),
    Clause(weights_pull, each_task),
    Clause(weights_scaled_alike_pull_nowhere, each_task),
    Clause(a_target_far_from_zero_is_no_harder, _once_if_it_regresses),
    Clause(no_rows_are_predicted_as_no_rows, each_task),
    Clause(it_may_have_no_validation_rows, each_task),
)
