"""The clauses of the contract of observers.

A run is not held up, and not changed, by who hears of it.
"""

from __future__ import annotations

import copy
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from stacktune.observers import Observer
from stacktune.testing.clause import Clause, each, once
from stacktune.testing.learners import require
from stacktune.testing.observers.story import MAY_COME, Call, whole_run
from stacktune.testing.observers.subject import ObserverSubject

N_THREADS, N_RUNS = 4, 5
# Of what hangs; what does not is done in milliseconds, and on a busy machine in seconds.
MAX_HEARING_S = 120


def it_hears_a_whole_run(subject: ObserverSubject) -> None:
    """Require that it hears a whole run.

    That lasts from reading to testing.
    """
    tell(subject.make(), whole_run())


def it_never_raises(subject: ObserverSubject, what: str) -> None:
    """Require that nothing a run tells makes it raise.

    This holds also for what the run does not know.
    """
    tell(subject.make(), MAY_COME[what]())


def it_is_told_on_several_threads(subject: ObserverSubject) -> None:
    """Require that it serves several threads.

    A run serves trials on one thread and goes on on another.
    """
    observer, all_there = subject.make(), threading.Barrier(N_THREADS)

    def tell_beside_others() -> None:
        all_there.wait(MAX_HEARING_S)
        tell(observer, whole_run() * N_RUNS)

    with ThreadPoolExecutor(N_THREADS) as pool:
        hearing = [pool.submit(tell_beside_others) for _ in range(N_THREADS)]
        for one in hearing:
            try:
                one.result(MAX_HEARING_S)
            except TimeoutError as error:
                raise AssertionError(f"a call on one thread does not wait for another's {MAX_HEARING_S} s") from error


def it_returns_at_once(subject: ObserverSubject) -> None:
    """Require that it returns at once.

    It neither sleeps nor asks a network, on the thread that it is told on.
    """
    observer, here = subject.make(), threading.get_ident()

    def refused_here(name: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*given: Any, **named: Any) -> Any:
            require(threading.get_ident() != here, f"an observer returns at once, but calls {name} where it is told")
            return really(*given, **named)

        return refused

    with (
        mock.patch.object(time, "sleep", refused_here("time.sleep", time.sleep)),
        mock.patch.object(socket, "create_connection", refused_here("a network", socket.create_connection)),
    ):
        tell(observer, whole_run())


def it_changes_nothing_of_what_it_hears(subject: ObserverSubject) -> None:
    """Require that it leaves trials and results unchanged.

    The run goes on with the same ones.
    """
    observer = subject.make()
    for method, told in whole_run():
        before = copy.deepcopy(told)
        tell(observer, [(method, told)])
        require(told == before, f"what is told is the run's, but {method} changes it")


def it_leaves_its_caller_alone(subject: ObserverSubject) -> None:
    """Require that it returns nothing.

    A run could mistake that for an answer.
    """
    observer = subject.make()
    for method, told in whole_run():
        answer = getattr(observer, method)(*told)
        require(answer is None, f"an observer answers nothing, but {method} {answer!r}")


def tell(observer: Observer, story: Iterable[Call]) -> None:
    """Tell an observer, call by call."""
    for method, told in story:
        try:
            getattr(observer, method)(*told)
        except AssertionError:
            raise
        except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            message = f"{type(error).__name__}: {error}"
            raise AssertionError(f"an observer never raises, but {method}{told!r:.200} raises {message}") from error


CLAUSES = (
    Clause(it_hears_a_whole_run, once),
    Clause(it_never_raises, each(*MAY_COME)),
    Clause(it_is_told_on_several_threads, once),
    Clause(it_returns_at_once, once),
    Clause(it_changes_nothing_of_what_it_hears, once),
    Clause(it_leaves_its_caller_alone, once),
)
