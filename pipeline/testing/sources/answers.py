"""Clauses about what a source answers.

They are about the portfolio, the space and chance.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np

from stacktune.search.sources import Source
from stacktune.testing.clause import Clause, each, once
from stacktune.testing.learners import require
from stacktune.testing.sources.play import ENDS, Config, Play, all_ending, n_of, through_journal, usual
from stacktune.testing.sources.subject import NO_OPTIONS, SourceSubject


def the_portfolio_comes_first(subject: SourceSubject) -> None:
    """Require that the portfolio comes first.

    What is known to be good is tried in its order; what breaks a limit is left out.
    """
    asked, portfolio = usual(subject).asked, subject.space.portfolio
    known = [dict(entry) for entry in portfolio if subject.options == NO_OPTIONS or entry in asked]
    require(asked[: len(known)] == known, f"the portfolio comes first, and in its order, but not {asked[: len(known)]}")


def it_answers_while_nothing_is_told(subject: SourceSubject) -> None:
    """Require answers while it is told nothing.

    Many trials may run side by side.
    """
    Play(subject).go_on(lag=n_of(subject))


def it_learns_of_every_end_of_a_trial(subject: SourceSubject, end: str) -> None:
    """Require that it takes every end of trials.

    A trial may complete, stop or fail, with scores and without.
    """
    all_ending(subject, end)


def it_asks_within_the_space(subject: SourceSubject, end: str) -> None:
    """Require that it asks within the space.

    Each configuration has a valid value of each parameter, however trials end.
    """
    require_within(subject, all_ending(subject, end).asked)


def a_configuration_is_the_same_after_the_journal(subject: SourceSubject) -> None:
    """Require configurations that JSON leaves unchanged.

    The journal gives back what was asked.
    """
    for config in usual(subject).asked:
        require(through_journal(config) == config, f"JSON gives a configuration back as it was, but not {config}")


def the_same_seed_asks_the_same(subject: SourceSubject) -> None:
    """Require that one seed always asks the same.

    Chance comes from the seed alone, whatever the process drew before.
    """
    with _seeded(5):
        require_same(Play(subject).go_on().asked, usual(subject).asked, "the same seed asks for the same")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    state, np_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(np_state)


def another_seed_asks_for_others(subject: SourceSubject) -> None:
    """Require that another seed asks for others.

    A second search is a search of its own.
    """
    other = Play(subject, seed=4).go_on().asked
    beyond = len(subject.space.portfolio)
    is_other = other[beyond:] != usual(subject).asked[beyond:] or len(other) <= beyond
    require(is_other, "another seed asks for others beyond the portfolio")


def it_leaves_the_random_numbers_of_the_process_alone(subject: SourceSubject) -> None:
    """Require that it leaves the process's randomness alone.

    Others draw random numbers from it.
    """
    with _seeded(6):
        before, np_before = random.getstate(), str(np.random.get_state())
        Play(subject).go_on()
        rule = "neither `random` nor `numpy.random` is seeded or drawn from"
        require((random.getstate(), str(np.random.get_state())) == (before, np_before), rule)


def it_is_asked_on_any_thread(subject: SourceSubject) -> None:
    """Require that any thread may ask it.

    Each question comes on a thread of its own.
    """
    asked = Play(subject, ask=_ask_elsewhere).go_on().asked
    require_same(asked, usual(subject).asked, "on other threads it asks for the same")


def _ask_elsewhere(source: Source, trial_id: str) -> dict[str, Any]:
    with ThreadPool(1) as pool:
        return pool.apply(source.ask, (trial_id,))


def two_sources_share_nothing(subject: SourceSubject) -> None:
    """Require that two sources share nothing.

    Another family's source may be of the same kind.
    """
    first, second = Play(subject), Play(subject)
    for n in range(1, len(usual(subject).asked) + 1):
        first.go_on(n)
        second.go_on(n)
    for play in (first, second):
        require_same(play.asked, usual(subject).asked, "beside another of its kind it asks for the same")


def looking_at_it_changes_nothing(subject: SourceSubject, n_times: int) -> None:
    """Require that looking at it changes nothing.

    A search asks often whether it is spent.
    """

    def look_and_ask(source: Source, trial_id: str) -> dict[str, Any]:
        for _ in range(n_times):
            _ = source.is_spent, source.bank()
        return source.ask(trial_id)

    asked = Play(subject, ask=look_and_ask).go_on().asked
    require_same(asked, usual(subject).asked, "`is_spent` and `bank` change nothing")


def it_can_be_pickled_before_its_search(subject: SourceSubject) -> None:
    """Require that it can be pickled.

    Tune pickles its searcher when a search begins, or goes on. What can be copied can be pickled as Ray does it.
    """
    new, gone_on = Play(subject), Play(subject).take_over(usual(subject).asked)
    for play in (new, gone_on):
        copy.deepcopy(play.source)


def require_same(asked: list[Config], expected: list[Config], rule: str) -> None:
    """Raise AssertionError where two plays part.

    It has the rule and the place.
    """
    if asked != expected:
        pairs = list(zip(asked, expected, strict=False))
        place = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
        told = f"{pairs[place][0]}, not {pairs[place][1]}" if place < len(pairs) else "more or fewer"
        raise AssertionError(f"{rule}, but as number {place + 1}: {told}")


def require_within(subject: SourceSubject, asked: list[Config]) -> None:
    """Raise AssertionError where a configuration leaves the space."""
    domains = subject.space.domains
    for config in asked:
        rule = f"a configuration has the parameters {sorted(domains)}"
        require(set(config) == set(domains), f"{rule}, but this one {sorted(config)}")
        for name, value in config.items():
            require(domains[name].is_valid(value), f"a configuration is of the space, but {name!r} is {value!r}")


CLAUSES = (
    Clause(it_answers_while_nothing_is_told, once),
    Clause(it_learns_of_every_end_of_a_trial, each(*ENDS)),
    Clause(the_portfolio_comes_first, once),
    Clause(it_asks_within_the_space, each("completed", "undefined", "stopped", "failed")),
    Clause(a_configuration_is_the_same_after_the_journal, once),
    Clause(the_same_seed_asks_the_same, once),
    Clause(another_seed_asks_for_others, once),
    Clause(it_leaves_the_random_numbers_of_the_process_alone, once),
    Clause(it_is_asked_on_any_thread, once),
    Clause(two_sources_share_nothing, once),
    Clause(looking_at_it_changes_nothing, each(3)),
    Clause(it_can_be_pickled_before_its_search, once),
)
