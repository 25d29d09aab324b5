"""Clauses about a learner's best state and stored models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np

from stacktune.testing.clause import Case, Clause, each_task
from stacktune.testing.learners import CLOSE, extremes, grown, make_job, require, usual
from stacktune.testing.subject import Subject
from stacktune.testing.tables import unlabelled


def restoring_returns_to_the_best(subject: Subject, kind: str) -> None:
    """Require that restoring returns to the best state.

    Predictions and files are then those of the best state kept.
    """
    job = make_job(kind)
    learner = grown(subject, job)
    best = learner.predict(job.table)
    learner.keep_best()
    learner.advance(3)
    learner.restore_best()
    np.testing.assert_allclose(learner.predict(job.table), best, **CLOSE)
    with TemporaryDirectory() as folder:
        learner.save(Path(folder))
        np.testing.assert_allclose(subject.family.load(Path(folder)).predict(job.table), best, **CLOSE)


def a_saved_learner_predicts_as_before(subject: Subject, kind: str) -> None:
    """Require that a saved learner predicts as before.

    Saving loses nothing, and loading runs no code.
    """
    job, learner = usual(subject, kind)
    with TemporaryDirectory() as folder:
        learner.save(Path(folder))
        with mock.patch.multiple("pickle", load=_refuse, loads=_refuse, Unpickler=_refuse):
            loaded = subject.family.load(Path(folder))
            predicted = loaded.predict(unlabelled(job.table))
    np.testing.assert_allclose(predicted, learner.predict(job.table), rtol=1e-6, atol=1e-7)


def _refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("a model folder must be read without unpickling")


def a_loaded_model_can_be_saved_again(subject: Subject, kind: str) -> None:
    """Require that a loaded model can be saved.

    It is a whole model.
    """
    job, learner = usual(subject, kind)
    with TemporaryDirectory() as first_folder, TemporaryDirectory() as second_folder:
        learner.save(Path(first_folder))
        first = subject.family.load(Path(first_folder))
        first.save(Path(second_folder))
        second = subject.family.load(Path(second_folder))
        np.testing.assert_array_equal(second.predict(job.table), first.predict(job.table))


def a_state_taken_up_grows_on_as_the_original(subject: Subject) -> None:
    """Require that a taken-up state grows on alike.

    It holds all that growing on needs.
    """
    job = make_job(subject.kinds[0])
    original: Any = grown(subject, job, units=2)
    taken_up: Any = subject.family.start(job, subject.default)
    with TemporaryDirectory() as folder:
        original.save_state(Path(folder))
        taken_up.load_state(Path(folder))
    np.testing.assert_allclose(taken_up.predict_valid(), original.predict_valid(), **CLOSE)
    for learner in (original, taken_up):
        learner.advance(2)
    require(taken_up.n_units == original.n_units == 4, "n_units counts those of the state that was taken up")
    np.testing.assert_allclose(taken_up.predict_valid(), original.predict_valid(), **CLOSE)


def a_mutable_parameter_can_change_while_it_grows(subject: Subject, parameter: str) -> None:
    """Require that a MUTABLE parameter may change.

    It matters from then on, while the learner grows.
    """
    valid = []
    for value in extremes(subject.space.domains[parameter]):
        learner: Any = grown(subject, make_job(subject.kinds[0]), units=2)
        learner.adjust({**subject.default, parameter: value})
        learner.advance(2)
        valid.append(learner.predict_valid())
    require(not np.array_equal(valid[0], valid[-1]), f"{parameter!r}, which is MUTABLE, changes a prediction")


def _once_if_in_populations(subject: Subject) -> Iterable[Case]:
    return [()] if subject.family.scheduler == "pbt" else ()


def _each_mutable_parameter(subject: Subject) -> Iterable[Case]:
    is_adjustable = subject.family.scheduler == "pbt"
    return ((parameter,) for parameter in sorted(subject.space.mutable) if is_adjustable)


CLAUSES = (
    Clause(a_saved_learner_predicts_as_before, each_task),
    Clause(a_loaded_model_can_be_saved_again, each_task),
    Clause(restoring_returns_to_the_best, each_task),
    Clause(a_state_taken_up_grows_on_as_the_original, _once_if_in_populations),
    Clause(a_mutable_parameter_can_change_while_it_grows, _each_mutable_parameter),
)
