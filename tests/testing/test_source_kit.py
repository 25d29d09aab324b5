"""The contract of sources as a kit: one outside the package keeps it, and broken ones are refused by the clause."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacktune.errors import ConfigError
from stacktune.testing import CheckError, subject_of
from stacktune.testing.sources import SourceSubject, check_source, source_checks

GOOD = '''
import random, threading
import numpy as np
from stacktune.search.events import Drawing, Event
from stacktune.search.sources import SourceKind
from stacktune.seeds import derive_seed
from stacktune.trials.result import COMPLETED

class RandomSource:
    """The portfolio, then draws at random; `best` is told of, and the best may be inherited from."""

    def __init__(self, request):
        self.space, self.seed, self.tell_event = request.space, request.seed, request.tell
        self.n_asked, self.scores = 0, {}

    def draw(self, trial_id):
        rng = np.random.default_rng(derive_seed(self.seed, trial_id))
        drawn = {name: domain.sample(random_state=rng) for name, domain in self.space.domains.items()}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in drawn.items()}

    def ask(self, trial_id):
        known = self.n_asked < len(self.space.portfolio)
        config = dict(self.space.portfolio[self.n_asked]) if known else self.draw(trial_id)
        self.was_asked(trial_id, config)
        return config

    def was_asked(self, trial_id, config):
        self.n_asked += 1

    def tell(self, result):
        if result.status == COMPLETED:
            self.scores[result.trial_id] = result.score
        self.tell_event(Event("luck", {"score": result.score}, int(result.trial_id[-4:])))

    def bank(self):
        return tuple(sorted(self.scores, key=lambda trial_id: -self.scores[trial_id])[:2])

    @property
    def is_spent(self):
        return self.n_asked >= 12

def draw_luck(events):
    return (Drawing("luck.svg", f"<svg xmlns='http://www.w3.org/2000/svg'><title>{len(events)}</title></svg>"),)

KIND = SourceKind(RandomSource, series=("luck",), summarise=draw_luck)
'''
BREAKING = """
from good_source import *

class Broken(RandomSource):
    {method}

KIND = SourceKind(Broken, **{{"series": ("luck",), "summarise": draw_luck, **globals().get("OTHERWISE", {{}})}})
"""
# What is written into the class, and how the message goes on after the subject.
BROKEN = {
    "hasty": (
        "def ask(self, trial_id):\n        self.n_asked += 1\n        return self.draw(trial_id)",
        "the_portfolio_comes_first: the portfolio comes first",
    ),
    "wide": (
        "def draw(self, trial_id):\n        return {**super().draw(trial_id), 'C': 1e9}",
        "it_asks_within_the_space-completed: a configuration is of the space, but 'C' is 1000000000.0",
    ),
    "chatty": (
        "def draw(self, trial_id):\n        return {**super().draw(trial_id), 'mood': 1}",
        "it_asks_within_the_space-completed: a configuration has the parameters .*'mood'",
    ),
    "numeric": (
        "def draw(self, trial_id):\n        return {**super().draw(trial_id), 'min_frequency': np.int64(5)}",
        "a_configuration_is_the_same_after_the_journal: .*int64 is not JSON serializable",
    ),
    "moody": (
        "def draw(self, trial_id):\n        return super().draw(f'{trial_id}{np.random.uniform()}')",
        "the_same_seed_asks_the_same: the same seed asks for the same, but as number 5: ",
    ),
    "deaf": (
        "def draw(self, trial_id):\n        self.seed = 0\n        return super().draw(trial_id)",
        "another_seed_asks_for_others: ",
    ),
    "seeding": (
        "def draw(self, trial_id):\n        random.seed(1)\n        return super().draw(trial_id)",
        "it_leaves_the_random_numbers_of_the_process_alone: neither",
    ),
    "settled": (
        "def draw(self, trial_id):\n"
        "        return super().draw(trial_id if threading.current_thread() is threading.main_thread() else 'x')",
        "it_is_asked_on_any_thread: on other threads",
    ),
    "common": (
        "last = [None]\n\n    def draw(self, trial_id):\n"
        "        is_known, self.last[0] = self.last[0] == trial_id, trial_id\n"
        "        return super().draw(f'{is_known}{trial_id}')",
        "two_sources_share_nothing: ",
    ),
    "shy": (
        "def bank(self):\n        self.seed += 1\n        return super().bank()",
        "looking_at_it_changes_nothing-3: `is_spent` and `bank` change nothing",
    ),
    "locked": (
        "def __init__(self, request):\n        super().__init__(request)\n        self.lock = threading.Lock()",
        "it_can_be_pickled_before_its_search: cannot pickle",
    ),
    "sunny": (
        "def tell(self, result):\n        result.fold_scores[0]\n        super().tell(result)",
        "it_learns_of_every_end_of_a_trial-stopped: tuple index out of range",
    ),
    "orderly": (
        "def tell(self, result):\n"
        "        assert int(result.trial_id[-4:]) > self.__dict__.get('last', -1), 'not in order'\n"
        "        self.last = int(result.trial_id[-4:])\n        super().tell(result)",
        "results_come_in_any_order-0: not in order",
    ),
    "waiting": (
        "def ask(self, trial_id):\n        assert self.n_asked < 9 or self.scores, 'nothing is known'\n"
        "        return super().ask(trial_id)",
        "it_answers_while_nothing_is_told: nothing is known",
    ),
    "proud": (
        "def was_asked(self, trial_id, config):\n"
        "        assert self.n_asked >= 4 or config in self.space.portfolio, 'never mine'\n"
        "        super().was_asked(trial_id, config)",
        "it_learns_of_what_it_would_not_have_asked: never mine",
    ),
    "unsorted": (
        "def bank(self):\n        return super().bank()[::-1]",
        "the_bank_holds_completed_trials_best_first: the bank is in the order of scores",
    ),
    "boastful": (
        "def bank(self):\n        return ('linear-9999',) if self.scores else ()",
        r"the_bank_holds_completed_trials_best_first: .*\['linear-9999'\] are not",
    ),
    "unheard": (
        "def tell(self, result):\n        super().tell(result)\n"
        "        self.tell_event(Event('weather', {'rain': 1.0}, 0))",
        "it_tells_events_of_its_series: .*'weather'",
    ),
    "artless": (
        "pass\n\nOTHERWISE = {'summarise': lambda events: (Drawing('luck.svg', 'a picture'),)}",
        "what_it_draws_are_pictures: a drawing is SVG, but luck.svg is not",
    ),
    "forgetful": (
        "def ask(self, trial_id):\n        self.n_here = self.__dict__.get('n_here', 0) + 1\n"
        "        return super().ask(trial_id)\n\n"
        "    def draw(self, trial_id):\n        return super().draw(f'{self.n_here} {trial_id}')",
        "a_search_that_was_cut_off_goes_on_as_it_would_have-1-1: cut off after 1 trials, it goes on with",
    ),
    "counting": (
        "def tell(self, result):\n        self.n = self.__dict__.get('n', 0) + 1\n"
        "        self.scores[result.trial_id] = result.score\n"
        "        self.tell_event(Event('luck', {'score': self.n_asked}, self.n))\n\n"
        "    def bank(self):\n        return ()",
        "what_it_told_is_told_again-5: .*not 'luck' of step",
    ),
    "tiring": (
        "@property\n    def is_spent(self):\n        return len(self.scores) >= 5",
        "whether_it_is_spent_follows_from_what_was_asked: after ",
    ),
    "unhashed": (
        "def draw(self, trial_id):\n        return super().draw(str(hash(trial_id)))",
        "a_fresh_process_asks_the_same: a fresh process asks for the same",
    ),
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with modules of a stranger's."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "good_source.py").write_text(GOOD)
    for name, (method, _) in BROKEN.items():
        (folder / f"{name}_source.py").write_text(BREAKING.format(method=method))
    return folder


@pytest.fixture(autouse=True)
def _importable(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(outside)


def source_named(name: str) -> SourceSubject:
    return SourceSubject(f"{name}_source:KIND", subject_of("linear"))


def test_a_source_outside_the_package_keeps_the_contract() -> None:
    check_source(source_named("good"))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_source_is_refused_by_the_name_of_the_check(name: str) -> None:
    with pytest.raises(CheckError, match=f"(?s)^kind-linear fails the check {BROKEN[name][1]}"):
        check_source(source_named(name))


def test_each_clause_refuses_a_source() -> None:
    clauses = {check.name.partition("-")[0] for check in source_checks(source_named("good"))}
    refused = {said.partition(":")[0].partition("-")[0] for _, said in BROKEN.values()}
    assert clauses == refused


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("good_source", "named as \"module:NAME\", but not by 'good_source'"),
        ("good_source:RandomSource", "is a type, but a source is named by its SourceKind"),
        ("good_source:SOURCE", "the module good_source defines no SOURCE"),
    ],
)
def test_what_is_no_source_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_source(SourceSubject(name, subject_of("linear")))
