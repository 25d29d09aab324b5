"""Clauses about what a scheduler chooses.

It chooses who goes on, who stops and who is copied.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from stacktune.metrics import WORST
from stacktune.search.schedulers import Decision, Reached
from stacktune.testing.clause import Clause, each, once
from stacktune.testing.learners import require
from stacktune.testing.schedulers.play import N_RUNGS, SCORES, reached_by, usual
from stacktune.testing.schedulers.subject import SchedulerSubject

UNDEFINED = {"nan": math.nan, "worst": WORST, "infinite": -math.inf}


def the_first_at_a_rung_goes_on(subject: SchedulerSubject, rung: int) -> None:
    """Require that a rung's first trial goes on.

    There is nobody to compare it with, whatever its score.
    """
    for score in (0.5, *UNDEFINED.values()):
        decision = subject.made().decide(reached_by(subject, 0, rung, score))
        require(goes_on(decision), f"the first at rung {rung} goes on, but with {score} there is {decision}")


def a_decision_is_one_of_three(subject: SchedulerSubject, scores: str) -> None:
    """Require one of three decisions.

    A trial goes on, stops, or takes up a state together with a configuration.
    """
    for reached, decision in usual(subject, scores).story:
        is_whole = (decision.resume is None) == (decision.config is None)
        rule = "a trial goes on, stops, or takes up a state with a configuration"
        require(
            is_whole and not (decision.is_stopped and decision.resume), f"{rule}, but {reached.trial_id}: {decision}"
        )


def the_best_so_far_goes_on(subject: SchedulerSubject, scores: str) -> None:
    """Require that the best so far goes on.

    Nobody at its rung had a better score; a tie counts.
    """
    for reached, decision, peers in with_peers(usual(subject, scores).story):
        if all(reached.score >= peer.score for peer in peers if not math.isnan(peer.score)):
            require(goes_on(decision), f"the best at a rung so far goes on, but {reached.trial_id}: {decision}")


def an_undefined_score_is_worse_than_any(subject: SchedulerSubject, score: str) -> None:
    """Require that NaN is worse than any score.

    A trial with an undefined score does not go on as it is beside others.
    """
    for rung in range(1, N_RUNGS + 1):
        scheduler = subject.made()
        for index in range(4):
            scheduler.decide(reached_by(subject, index, rung, 0.1 * index))
        decision = scheduler.decide(reached_by(subject, 4, rung, UNDEFINED[score]))
        require(
            not goes_on(decision), f"the worst of five at a rung does not go on as it is, but {score} at {rung} does"
        )


def not_all_go_on(subject: SchedulerSubject) -> None:
    """Require that some trials stop or copy.

    Those are the ones behind, and that is what rungs are for.
    """
    decisions = [decision for _, decision in usual(subject).story]
    require(not all(map(goes_on, decisions)), "of many trials some stop, or take up a better state")


def what_is_taken_up_was_better_at_that_rung(subject: SchedulerSubject, scores: str) -> None:
    """Require that a taken-up state was no worse.

    It is of another trial at the same rung, with its lineage.
    """
    for reached, decision, peers in with_peers(usual(subject, scores).story):
        if decision.resume is not None:
            donor = next((peer for peer in peers if peer.state == decision.resume.folder), None)
            rule = "what is taken up was left by another trial at the same rung"
            if donor is None or decision.resume.rung != reached.rung:
                raise AssertionError(f"{rule}, but {reached.trial_id} takes up {decision.resume} at {reached.rung}")
            is_worse = donor.score < reached.score or (math.isnan(donor.score) and not math.isnan(reached.score))
            require(not is_worse, f"what is taken up is not worse, but {donor.score} is than {reached.score}")
            require(decision.resume.lineage == donor.lineage, "what is taken up has the lineage of who left it")


def what_left_no_state_is_not_taken_up(subject: SchedulerSubject, rung: int) -> None:
    """Require that only states still there are taken.

    Some are gone after a crash.
    """
    scheduler = subject.made()
    for index in range(6):
        scheduler.record(reached_by(subject, index, rung, 1.0 + index, state=None))
    for index in range(6, 10):
        decision = scheduler.decide(reached_by(subject, index, rung, 0.1 * (10 - index)))
        known = {f"/states/{subject.family.name}-{other:04d}-{rung}" for other in range(6, index)}
        is_there = decision.resume is None or decision.resume.folder in known
        require(is_there, f"a state is taken up only where one was left, but {decision.resume}")


def what_it_grows_under_then_is_in_the_space(subject: SchedulerSubject) -> None:
    """Require that taken-up configurations are in the space.

    One that was taken up is valid, plain, and new in MUTABLE parameters alone.
    """
    space = subject.family.space
    for _, decision in usual(subject).story:
        if decision.resume is None or decision.config is None:
            continue
        before, config = decision.resume.lineage[-1][1], dict(decision.config)
        require(set(config) == set(space.domains), f"a configuration has {sorted(space.domains)}, but {sorted(config)}")
        for name, value in config.items():
            require(space.domains[name].is_valid(value), f"it is of the space, but {name!r} is {value!r}")
            is_kept = name in space.mutable or value == before[name]
            require(is_kept, f"it is the donor's but in what is MUTABLE, but {name!r} is {value!r}")
        require(json.loads(json.dumps(config)) == config, f"JSON gives it back as it was, but not {config}")


def goes_on(decision: Decision) -> bool:
    """Return whether a trial goes on as it is."""
    return not decision.is_stopped and decision.resume is None


def with_peers(story: list[tuple[Reached, Decision]]) -> Iterator[tuple[Reached, Decision, list[Reached]]]:
    """Yield each decision with the trial's peers.

    Peers are the others that had reached the same rung by then.
    """
    for place, (reached, decision) in enumerate(story):
        yield reached, decision, [peer for peer, _ in story[:place] if peer.rung == reached.rung]


CLAUSES = (
    Clause(the_first_at_a_rung_goes_on, each(*range(1, N_RUNGS + 1))),
    Clause(a_decision_is_one_of_three, each(*SCORES)),
    Clause(the_best_so_far_goes_on, each(*SCORES)),
    Clause(an_undefined_score_is_worse_than_any, each(*UNDEFINED)),
    Clause(not_all_go_on, once),
    Clause(what_is_taken_up_was_better_at_that_rung, each(*SCORES)),
    Clause(what_left_no_state_is_not_taken_up, each(1, N_RUNGS)),
    Clause(what_it_grows_under_then_is_in_the_space, once),
)
