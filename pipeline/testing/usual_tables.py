"""The contract's clauses on a usual table.

They are about growing, predicting, and the same again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from stacktune.data.table import REGRESSION
from stacktune.families.base import Cache
from stacktune.testing.clause import (
    Case,
    Clause,
    each_task,
    each_task_and,
    each_task_and_parameter,
    once,
)
from stacktune.testing.learners import (
    CLOSE,
    N_UNITS,
    any_differs,
    assert_is_prediction,
    draw,
    extremes,
    few_units,
    grown,
    make_job,
    require,
    usual,
)
from stacktune.testing.subject import Subject
from stacktune.testing.tables import N_ROWS, TASKS, target_of, unlabelled

# A prediction that knows the features errs at most so much of what a constant one errs by.
MAX_ERROR_OF_CONSTANT = 0.85
# Of configurations drawn, for a parameter that matters only beside certain values of others.
N_BASES = 20


def it_is_named_after_its_module(subject: Subject) -> None:
    """Require that a family has its file's name.

    The registry finds it by its file.
    """
    module = subject.family_module.rpartition(".")[2]
    require(subject.name == module, f"a family is named after its file, but {module}.py defines {subject.name!r}")


def it_tells_how_long_to_grow(subject: Subject) -> None:
    """Require a record that a search can plan by."""
    family = subject.family
    require(0 < family.first_rung <= 1, "first_rung is a share")
    require(0 < family.patience <= 1, "patience is a share")
    require(family.chunk >= 1, "chunk is one unit or more")
    require(family.scheduler in ("asha", "pbt"), "scheduler is asha or pbt")
    require(family.searcher in ("bayesian", "controller"), "searcher is bayesian or controller")
    has_cost = family.n_multiplications is not None
    require(has_cost == (family.searcher != "bayesian"), "n_multiplications is given by controller families alone")
    require(family.tasks and family.tasks <= set(TASKS), f"tasks are some of {', '.join(TASKS)}")
    for config in subject.space.portfolio:
        require(family.max_units(config) >= 1, f"max_units is one or more, also of {config}")


def every_configuration_predicts(subject: Subject, kind: str, seed: int) -> None:
    """Require that any draw grows and predicts.

    It is drawn from the space.
    """
    job, config = make_job(kind), draw(subject, seed)
    learner = grown(subject, job, config)
    require(learner.n_units == few_units(subject, config), "n_units counts the units grown")
    assert_is_prediction(learner.predict(job.table), N_ROWS, job.task)


def every_portfolio_entry_predicts(subject: Subject, kind: str) -> None:
    """Require that each portfolio entry predicts.

    It does so after growing by a unit.
    """
    job = make_job(kind)
    for config in subject.space.portfolio:
        assert_is_prediction(grown(subject, job, config, units=1).predict_valid(), len(job.valid), job.task)


def predict_valid_is_what_it_would_predict(subject: Subject, kind: str) -> None:
    """Require that `predict_valid` predicts the validation rows."""
    job = make_job(kind)
    learner = grown(subject, job, units=1)
    for _ in range(2):
        np.testing.assert_allclose(learner.predict_valid(), learner.predict(job.table.take(job.valid)), **CLOSE)
        learner.advance(1)


def it_beats_the_constant_predictor(subject: Subject, kind: str) -> None:
    """Require that it beats the constant predictor.

    Growing learns something from the features.
    """
    job = make_job(kind)
    learner = grown(subject, job, units=min(60, subject.family.max_units(subject.default)))
    seen, true = target_of(job.table)[job.rows], target_of(job.table)[job.valid]
    if kind == REGRESSION:
        error, constant = np.mean((learner.predict_valid()[:, 0] - true) ** 2), np.mean((seen.mean() - true) ** 2)
    else:
        shares = np.bincount(seen) / len(seen)
        error = -np.log(learner.predict_valid()[np.arange(len(true)), true] + 1e-9).mean()
        constant = -np.log(shares[true]).mean()
    rule = f"it errs less than {MAX_ERROR_OF_CONSTANT} of a constant"
    require(error < MAX_ERROR_OF_CONSTANT * constant, f"{rule}, but by {error:.4g} where that errs by {constant:.4g}")


def the_same_seed_predicts_the_same(subject: Subject, kind: str) -> None:
    """Require that one seed always predicts the same.

    Chance comes from the job's seed alone.
    """
    np.testing.assert_array_equal(
        grown(subject, make_job(kind)).predict_valid(), usual(subject, kind)[1].predict_valid()
    )


def a_shared_cache_changes_nothing(subject: Subject, kind: str) -> None:
    """Require that a shared cache changes nothing.

    Other trials' entries in it do not matter here.
    """
    cache = Cache()
    grown(subject, make_job(kind, cache=cache, seed=1), draw(subject, 1))
    expected = usual(subject, kind)[1].predict_valid()
    np.testing.assert_array_equal(grown(subject, make_job(kind, cache=cache)).predict_valid(), expected)


def growing_in_two_steps_is_growing_in_one(subject: Subject, kind: str) -> None:
    """Require that two steps grow as one does.

    Advancing by a then b is advancing by a + b.
    """
    units = few_units(subject, subject.default)
    parted = grown(subject, make_job(kind), units=units // 3)
    parted.predict_valid()
    parted.advance(units - units // 3)
    np.testing.assert_allclose(parted.predict_valid(), usual(subject, kind)[1].predict_valid(), rtol=1e-6, atol=1e-7)


def a_row_alone_is_predicted_as_in_company(subject: Subject, kind: str) -> None:
    """Require that rows do not affect each other.

    No row's prediction rests on the others.
    """
    job, learner = usual(subject, kind)
    together = learner.predict(job.table)
    alone = [learner.predict(unlabelled(job.table, np.array([row]))) for row in range(5)]
    np.testing.assert_allclose(np.vstack(alone), together[:5], **CLOSE)


def the_table_is_left_untouched(subject: Subject, kind: str) -> None:
    """Require that it leaves the table untouched.

    All trials share the table.
    """
    job = make_job(kind)
    features, target = job.table.features.copy(), target_of(job.table).copy()
    grown(subject, job).predict(job.table)
    np.testing.assert_array_equal(job.table.features, features)
    np.testing.assert_array_equal(target_of(job.table), target)


def every_parameter_matters(subject: Subject, kind: str, parameter: str) -> None:
    """Require that every parameter changes a prediction.

    Boosters ignore misspelt parameters in silence. One that changes no prediction anywhere is one of those.
    """
    (job, learner), values = usual(subject, kind), extremes(subject.space.domains[parameter])
    changed = (grown(subject, job, {**subject.default, parameter: value}).predict_valid() for value in values)
    if any_differs(chain([learner.predict_valid()], changed)):
        return
    for base in (draw(subject, seed) for seed in range(N_BASES)):
        drawn = [{**base, parameter: value} for value in values]
        units = min(N_UNITS, *(subject.family.max_units(config) for config in drawn))
        if any_differs(grown(subject, job, config, units).predict_valid() for config in drawn):
            return
    raise AssertionError(f"{parameter!r} changes no prediction of {subject.name!r} between {values}")


def _each_task_if_it_can_be_parted(subject: Subject) -> Iterable[Case]:
    return each_task(subject) if few_units(subject, subject.default) > 1 else ()


CLAUSES = (
    Clause(it_is_named_after_its_module, once),
    Clause(it_tells_how_long_to_grow, once),
    Clause(every_configuration_predicts, each_task_and(0, 1, 2)),
    Clause(every_portfolio_entry_predicts, each_task),
    Clause(predict_valid_is_what_it_would_predict, each_task),
    Clause(it_beats_the_constant_predictor, each_task),
    Clause(the_same_seed_predicts_the_same, each_task),
    Clause(a_shared_cache_changes_nothing, each_task),
    Clause(growing_in_two_steps_is_growing_in_one, _each_task_if_it_can_be_parted),
    Clause(a_row_alone_is_predicted_as_in_company, each_task),
    Clause(the_table_is_left_untouched, each_task),
    Clause(every_parameter_matters, each_task_and_parameter),
)
