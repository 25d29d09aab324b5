"""Clauses about results that a source hears.

They are about what it makes of them, and what it tells itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from xml.etree import ElementTree

import numpy as np

from stacktune.search.events import Drawing
from stacktune.testing.clause import Clause, each, once
from stacktune.testing.learners import draw, require
from stacktune.testing.sources.answers import require_same, require_within
from stacktune.testing.sources.play import Play, n_of, result_of, trial_id_of, usual, usual_end
from stacktune.testing.sources.subject import SourceSubject
from stacktune.trials.result import COMPLETED

N_FOREIGN = 5


def results_come_in_any_order(subject: SourceSubject, seed: int) -> None:
    """Require that results may come in any order.

    In a run with a budget, trials end as they end.
    """

    def shuffled() -> Play:
        rng, play = np.random.default_rng(seed), Play(subject)
        while len(play.asked) < n_of(subject) and not play.is_spent():
            # A lag beyond all tells nothing of itself.
            play.go_on(len(play.asked) + 1, lag=n_of(subject))
            for place in rng.permutation(len(play.asked))[: rng.integers(3)]:
                play.tell(int(place))
        play.tell_all()
        return play

    asked = shuffled().asked
    require_within(subject, asked)
    require_same(shuffled().asked, asked, "the same order of results asks for the same")


def it_learns_of_what_it_would_not_have_asked(subject: SourceSubject) -> None:
    """Require that it learns from unasked configurations.

    A journal may have lost a line, and a member of a population changes while it grows.
    """
    play = Play(subject).take_over(draw(subject.family, 100 * seed) for seed in range(N_FOREIGN))
    play.go_on()
    play.tell_all()
    require_within(subject, play.asked[N_FOREIGN:])


def the_bank_holds_completed_trials_best_first(subject: SourceSubject) -> None:
    """Require completed trials in the bank, best first.

    Weights are taken from what is there.
    """
    play, scores = Play(subject), dict[str, float]()
    require(play.source.bank() == (), "the bank is empty before anything was told")
    for place in range(len(usual(subject).asked)):
        if len(play.go_on(place + 1).asked) <= place:
            return
        play.tell(place)
        result = result_of(subject, place, play.asked[place], usual_end(place))
        if result.status == COMPLETED:
            scores[trial_id_of(subject, place)] = result.score
        bank = play.source.bank()
        unknown = [trial_id for trial_id in bank if trial_id not in scores]
        require(not unknown, f"the bank holds completed trials that it was told of, but {unknown} are not")
        best_first = sorted(bank, key=lambda trial_id: -scores[trial_id])
        require(len(set(bank)) == len(bank), f"the bank holds a trial once, but is {bank}")
        require(list(bank) == best_first, f"the bank is in the order of scores, best first, but is {bank}")


def it_tells_events_of_its_series(subject: SourceSubject) -> None:
    """Require events that its kind names.

    Their values are numbers.
    """
    series = subject.source_kind.series
    for event in usual(subject).events:
        require(event.name in series, f"events are of {series}, which the kind names, but one is of {event.name!r}")
        are_numbers = all(isinstance(value, int | float) for value in event.values.values())
        require(are_numbers, f"the values of an event are numbers, but {dict(event.values)} are not")
        require(isinstance(event.step, int) and event.step >= 0, f"a step is 0 or more, but {event.step!r} is not")


def what_it_draws_are_pictures(subject: SourceSubject) -> None:
    """Require that its drawings are pictures.

    A drawing is SVG, under a file's name.
    """
    kind, play = subject.source_kind, usual(subject)
    for config in play.asked:
        _require_pictures(kind.describe(config))
    for name in kind.series:
        _require_pictures(kind.summarise([event for event in play.events if event.name == name]))


def _require_pictures(drawings: Iterable[Drawing]) -> None:
    for drawing in drawings:
        is_name = PurePath(drawing.name).name == drawing.name and drawing.name.endswith(".svg")
        require(is_name, f"a drawing is named as a file, NAME.svg, but not {drawing.name!r}")
        try:
            root = ElementTree.fromstring(drawing.svg)
        except ElementTree.ParseError as error:
            raise AssertionError(f"a drawing is SVG, but {drawing.name} is not: {error}") from error
        require(root.tag.endswith("svg"), f"a drawing is SVG, but {drawing.name} begins with <{root.tag}>")


CLAUSES = (
    Clause(results_come_in_any_order, each(0, 1)),
    Clause(it_learns_of_what_it_would_not_have_asked, once),
    Clause(the_bank_holds_completed_trials_best_first, once),
    Clause(it_tells_events_of_its_series, once),
    Clause(what_it_draws_are_pictures, once),
)
