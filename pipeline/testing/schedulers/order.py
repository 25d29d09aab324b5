"""Clauses about what a scheduler's decisions rest on.

No decision rests on more than what was reached before, however a search is cut up.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from stacktune.search.schedulers import Decision, Reached, Scheduler
from stacktune.testing.clause import Case, Clause, each, once
from stacktune.testing.learners import require
from stacktune.testing.schedulers.play import LAG, N_RUNGS, SCORES, Play, usual
from stacktune.testing.schedulers.subject import SchedulerSubject

CUT_EVERY = 3


def the_same_results_are_decided_the_same(subject: SchedulerSubject, scores: str) -> None:
    """Require the same decisions for the same results.

    Chance comes from the seed alone.
    """
    story, state, np_state = usual(subject, scores).story, random.getstate(), np.random.get_state()
    try:
        random.seed(5)
        np.random.seed(5)
        require_same(subject.made(), story, "the same results in the same order are decided the same")
    finally:
        random.setstate(state)
        np.random.set_state(np_state)


def two_schedulers_share_nothing(subject: SchedulerSubject) -> None:
    """Require that two schedulers share nothing.

    Another family's may be of the same kind.
    """
    beside, scheduler, story = subject.made(), subject.made(), usual(subject).story
    for reached, _ in story:
        beside.decide(replace(reached, score=9.0))
    require_same(scheduler, story, "beside another of its kind it decides the same")


def a_rung_reached_again_counts_once(subject: SchedulerSubject, scores: str) -> None:
    """Require that a repeated rung counts once.

    A trial whose process was lost reaches its rungs again.
    """
    scheduler = subject.made()
    for reached, expected in usual(subject, scores).story:
        for _ in range(2):
            _require(scheduler.decide(reached), expected, reached, "a rung that is reached again counts once")


def only_the_same_rung_counts(subject: SchedulerSubject, rung: int) -> None:
    """Require that only the same rung counts.

    A newcomer is not compared with what others came to later.
    """
    story = [(reached, decision) for reached, decision in usual(subject).story if reached.rung == rung]
    require_same(subject.made(), story, "a trial is compared with what others scored at the same rung")


def a_search_that_was_cut_off_decides_as_it_would_have(subject: SchedulerSubject, scores: str, seed: int) -> None:
    """Require that a resumed search decides the same.

    It is told anew what was reached, trial by trial, wherever it is cut.
    """
    story = Play(subject.made(), subject, SCORES[scores], seed).run().story
    for cut in range(1, len(story), CUT_EVERY):
        scheduler = subject.made()
        for reached, _ in sorted(story[:cut], key=lambda told: (told[0].index, told[0].rung)):
            scheduler.record(reached)
        require_same(scheduler, story[cut:], f"cut off after {cut} rungs, it decides as it would have")


def with_a_lag_the_order_of_results_does_not_matter(subject: SchedulerSubject, scores: str) -> None:
    """Require that a lag hides the results' order.

    A reproducible run decides the same on one core and on many.
    """
    expected = {(reached.index, reached.rung): decision for reached, decision in usual(subject, scores, LAG).story}
    for seed in (1, 2, 3):
        story = Play(subject.made(LAG), subject, SCORES[scores], seed, LAG).run().story
        for reached, decision in story:
            other = expected.get((reached.index, reached.rung), Decision())
            _require(decision, other, reached, f"with a lag of {LAG} the order of results does not matter")


def it_can_be_pickled_at_any_time(subject: SchedulerSubject) -> None:
    """Require that it can always be pickled.

    Tune writes down its scheduler now and then. What can be copied can be pickled as Ray does it.
    """
    story, scheduler = usual(subject).story, subject.made()
    half = len(story) // 2
    require_same(scheduler, story[:half], "the same results are decided the same")
    require_same(copy.deepcopy(scheduler), story[half:], "a copy of it decides as it would have")


def require_same(scheduler: Scheduler, story: Iterable[tuple[Reached, Decision]], rule: str) -> None:
    """Raise AssertionError where a scheduler decides differently.

    It has the rule, and compares with what the story has.
    """
    for reached, expected in story:
        _require(scheduler.decide(reached), expected, reached, rule)


def _require(decision: Decision, expected: Decision, reached: Reached, rule: str) -> None:
    where = f"{reached.trial_id} at rung {reached.rung}"
    require(decision == expected, f"{rule}, but of {where}: {decision}, not {expected}")


def _each_scores_and_seed(subject: SchedulerSubject) -> Iterable[Case]:
    return ((scores, seed) for scores in SCORES for seed in (0, 1))


def _each_scores_with_a_lag(subject: SchedulerSubject) -> Iterable[Case]:
    return ((scores,) for scores in SCORES if subject.takes_lag)


CLAUSES = (
    Clause(the_same_results_are_decided_the_same, each(*SCORES)),
    Clause(two_schedulers_share_nothing, once),
    Clause(a_rung_reached_again_counts_once, each(*SCORES)),
    Clause(only_the_same_rung_counts, each(*range(1, N_RUNGS + 1))),
    Clause(it_can_be_pickled_at_any_time, once),
    Clause(a_search_that_was_cut_off_decides_as_it_would_have, _each_scores_and_seed),
    Clause(with_a_lag_the_order_of_results_does_not_matter, _each_scores_with_a_lag),
)
