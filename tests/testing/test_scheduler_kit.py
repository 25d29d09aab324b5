"""The contract of schedulers as a kit: one outside the package keeps it, and broken ones are refused by the clause."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacktune.errors import ConfigError
from stacktune.testing import CheckError, subject_of
from stacktune.testing.schedulers import SchedulerSubject, check_scheduler, scheduler_checks

GOOD = '''
import math, random, threading
from dataclasses import replace
from stacktune.search.pbt import Exploiting
from stacktune.search.schedulers import GO_ON, STOP, Decision

class Median:
    """Stops what is below the median of its rung (Golovin et al. 2017), as far as it may be compared."""

    def __init__(self, request):
        self.lag, self.seed, self.scores = request.lag, request.seed, {}

    def record(self, reached):
        self.scores[reached.rung, reached.index] = -math.inf if math.isnan(reached.score) else reached.score

    def peers(self, reached):
        newest = math.inf if self.lag is None else reached.index - self.lag
        return sorted(s for (rung, index), s in self.scores.items() if rung == reached.rung and index <= newest)

    def decide(self, reached):
        self.record(reached)
        peers, score = self.peers(reached), self.scores[reached.rung, reached.index]
        return STOP if len(peers) > 1 and score < peers[len(peers) // 2] else GO_ON
'''
BREAKING = """
from good_scheduler import *

class Broken({base}):
    {method}
"""
MEDIAN, PBT = "Median", "Exploiting"
# What it is made of, what is written into the class, and how the message goes on after the subject.
BROKEN = {
    "strict": (
        MEDIAN,
        "def decide(self, reached):\n        return STOP if reached.score < 0.2 else super().decide(reached)",
        "the_first_at_a_rung_goes_on-1: the first at rung 1 goes on, but with -1e",
    ),
    "half": (
        PBT,
        "def decide(self, reached):\n        return replace(super().decide(reached), config=None)",
        "a_decision_is_one_of_three-distinct: a trial goes on, stops, or takes up a state with a configuration",
    ),
    "envious": (
        MEDIAN,
        "def decide(self, reached):\n        self.record(reached)\n"
        "        return STOP if len(self.peers(reached)) > 5 and reached.score >= self.peers(reached)[-1] else GO_ON",
        "the_best_so_far_goes_on-distinct: the best at a rung so far goes on",
    ),
    "untied": (
        MEDIAN,
        "def decide(self, reached):\n        decision = super().decide(reached)\n"
        "        return STOP if self.peers(reached)[:-1][-1:] == [reached.score] else decision",
        "the_best_so_far_goes_on-tied: the best at a rung so far goes on",
    ),
    "trusting": (
        MEDIAN,
        "def decide(self, reached):\n        return GO_ON if math.isnan(reached.score) else super().decide(reached)",
        "an_undefined_score_is_worse_than_any-nan: the worst of five",
    ),
    "idle": (
        MEDIAN,
        "def decide(self, reached):\n        self.record(reached)\n"
        "        score, best = self.scores[reached.rung, reached.index], self.peers(reached)[-1]\n"
        "        return STOP if score < min(-9, best) else GO_ON",
        "not_all_go_on: of many trials some stop",
    ),
    "downhill": (
        PBT,
        "def decide(self, reached):\n"
        "        before = [one for one in self.__dict__.get('all', ()) if one.rung == reached.rung]\n"
        "        self.all = [*self.__dict__.get('all', ()), reached]\n        decision = super().decide(reached)\n"
        "        if decision.resume is None:\n            return decision\n"
        "        worst = min(before, key=lambda one: one.score)\n"
        "        resume = replace(decision.resume, folder=worst.state, lineage=worst.lineage)\n"
        "        return replace(decision, resume=resume)",
        "what_is_taken_up_was_better_at_that_rung-distinct: what is taken up is not worse",
    ),
    "elsewhere": (
        PBT,
        "def decide(self, reached):\n        decision = super().decide(reached)\n"
        "        return replace(decision, resume=decision.resume and replace(decision.resume, rung=1))",
        "what_is_taken_up_was_better_at_that_rung-distinct: what is taken up was left by another trial at the same",
    ),
    "careless": (
        PBT,
        "def record(self, reached):\n        super().record(replace(reached, state=str(reached.state)))",
        "what_left_no_state_is_not_taken_up-1: a state is taken up only where one was left",
    ),
    "wild": (
        PBT,
        "def decide(self, reached):\n        decision = super().decide(reached)\n"
        "        config = {**(decision.config or {}), 'lr': 7.0}\n"
        "        return decision if decision.resume is None else replace(decision, config=config)",
        "what_it_grows_under_then_is_in_the_space: it is of the space, but 'lr' is 7.0",
    ),
    "fickle": (
        PBT,
        "def decide(self, reached):\n        self._population.seed = random.random()\n"
        "        self._population.seed = int(1e9 * self._population.seed)\n        return super().decide(reached)",
        "the_same_results_are_decided_the_same-distinct: the same results in the same order",
    ),
    "common": (
        MEDIAN,
        "all = {}\n\n    def decide(self, reached):\n        self.scores = self.all.setdefault(self.lag, {})\n"
        "        return super().decide(reached)\n\n    def __init__(self, request):\n"
        "        super().__init__(request)\n        self.all.clear()",
        "two_schedulers_share_nothing: beside another of its kind",
    ),
    "counting": (
        MEDIAN,
        "n = 0\n\n    def decide(self, reached):\n        self.n += 1\n        decision = super().decide(reached)\n"
        "        return GO_ON if self.n % 7 == 0 else decision",
        "a_rung_reached_again_counts_once-distinct: a rung that is reached again counts once",
    ),
    "farsighted": (
        MEDIAN,
        "def peers(self, reached):\n"
        "        return sorted(score for (rung, _), score in self.scores.items() if rung >= reached.rung)\n\n"
        "    def decide(self, reached):\n        self.record(reached)\n        peers = self.peers(reached)\n"
        "        score, here = self.scores[reached.rung, reached.index], super().peers(reached)\n"
        "        is_behind = score < here[-1] and score < peers[len(peers) // 2]\n"
        "        return STOP if is_behind else GO_ON",
        "only_the_same_rung_counts-1: a trial is compared with what others scored at the same rung",
    ),
    "locked": (
        MEDIAN,
        "def __init__(self, request):\n        super().__init__(request)\n        self.lock = threading.Lock()",
        "it_can_be_pickled_at_any_time: cannot pickle",
    ),
    "forgetful": (
        MEDIAN,
        "def decide(self, reached):\n        super().record(reached)\n        return super().decide(reached)\n\n"
        "    def record(self, reached):\n        pass",
        "a_search_that_was_cut_off_decides_as_it_would_have-distinct-0: cut off after 1 rungs",
    ),
    "hasty": (
        MEDIAN,
        "def __init__(self, request):\n        super().__init__(replace(request, lag=None))",
        "with_a_lag_the_order_of_results_does_not_matter-distinct: with a lag of 6 the order",
    ),
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with modules of a stranger's."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "good_scheduler.py").write_text(GOOD)
    for name, (base, method, _) in BROKEN.items():
        (folder / f"{name}_scheduler.py").write_text(BREAKING.format(base=base, method=method))
    return folder


@pytest.fixture(autouse=True)
def _importable(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(outside)


def test_a_scheduler_outside_the_package_keeps_the_contract() -> None:
    check_scheduler(SchedulerSubject("good_scheduler:Median", subject_of("linear")))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_scheduler_is_refused_by_the_name_of_the_check(name: str) -> None:
    base, _, said = BROKEN[name]
    subject = SchedulerSubject(f"{name}_scheduler:Broken", subject_of("mlp"), takes_lag=base == MEDIAN)
    with pytest.raises(CheckError, match=f"(?s)^broken-mlp fails the check ({said})"):
        check_scheduler(subject)


def test_each_clause_refuses_a_scheduler() -> None:
    subject = SchedulerSubject("good_scheduler:Median", subject_of("linear"))
    clauses = {check.name.partition("-")[0] for check in scheduler_checks(subject)}
    refused = {said.partition(":")[0].partition("-")[0] for _, _, said in BROKEN.values()}
    assert clauses == refused


def test_what_is_no_scheduler_is_refused() -> None:
    with pytest.raises(ConfigError, match="the module good_scheduler defines no Mean"):
        check_scheduler(SchedulerSubject("good_scheduler:Mean", subject_of("linear")))
