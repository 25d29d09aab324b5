"""Clauses about a family's imports, threads and other processes."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from stacktune.testing.clause import Case, Clause, each_task, once
from stacktune.testing.fresh import fresh_process
from stacktune.testing.learners import grown, make_job, require, usual
from stacktune.testing.subject import Subject
from stacktune.testing.tables import TASKS
from stacktune.testing.threads import TASK_FOLDER


def a_learner_that_is_given_up_leaves_no_thread(subject: Subject) -> None:
    """Require that a learner's threads end with it."""
    kind = subject.kinds[0]
    grown(subject, make_job(kind)).predict_valid()
    before = set(threading.enumerate())
    first, second = (grown(subject, make_job(kind), units=1) for _ in range(2))
    first.predict_valid()
    del first
    require(second.predict_valid().shape[1] == TASKS[kind].n_outputs, "a learner goes on where another is given up")
    del second
    left = {thread.name for thread in set(threading.enumerate()) - before}
    require(not left, f"a learner that is given up ends its threads, but {left} are left")


def importing_it_does_not_import_its_library(subject: Subject) -> None:
    """Require that importing a family imports no library.

    It imports its library inside functions.
    """
    fresh = fresh_process(subject)
    if fresh.imported is None:
        raise AssertionError(f"a fresh process can import it, but: {fresh.stderr}")
    require(not fresh.imported, f"a family imports its library in functions, but these are imported: {fresh.imported}")


def it_uses_no_more_threads_than_given(subject: Subject) -> None:
    """Require that one given thread does all work."""
    fresh = fresh_process(subject)
    if fresh.busy_s is None:
        raise AssertionError(f"it grows in a fresh process, but: {fresh.stderr}")
    busiest, others = fresh.busy_s
    rule = "a learner with one thread leaves nothing to others"
    require(others < 0.1 * busiest + 0.02, f"{rule}, but these took {others:.3f} s and itself {busiest:.3f} s")


def the_same_seed_predicts_the_same_in_a_fresh_process(subject: Subject, kind: str) -> None:
    """Require the same predictions in a fresh process.

    No prediction rests on what a process did before.
    """
    fresh = fresh_process(subject)
    require(kind in fresh.valid, f"it predicts validation rows in a fresh process, but: {fresh.stderr}")
    np.testing.assert_array_equal(fresh.valid[kind], usual(subject, kind)[1].predict_valid())


def a_process_ends_while_a_learner_stands_half_grown(subject: Subject) -> None:
    """Require that no learner holds up its process.

    The process ends well while one stands half grown.
    """
    fresh = fresh_process(subject)
    require(
        (fresh.code, fresh.stderr) == (0, ""),
        f"a process ends well and says nothing, but with {fresh.code}: {fresh.stderr}",
    )


def _once_if_threads_are_counted(subject: Subject) -> Iterable[Case]:
    return once(subject) if TASK_FOLDER.exists() else ()


CLAUSES = (
    Clause(a_learner_that_is_given_up_leaves_no_thread, once),
    Clause(importing_it_does_not_import_its_library, once),
    Clause(it_uses_no_more_threads_than_given, _once_if_threads_are_counted),
    Clause(the_same_seed_predicts_the_same_in_a_fresh_process, each_task),
    Clause(a_process_ends_while_a_learner_stands_half_grown, once),
)
