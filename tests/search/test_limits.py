"""Limits on one trial and on the whole search: nothing is trained and no Ray runs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from played_search import Nobody, completed, height, plan_of
from ray.tune.search import Searcher

from stacktune.runs.searching import trial_limits
from stacktune.search.log import SearchLog
from stacktune.search.plan.limits import TrialLimits, limit_notes
from stacktune.search.plan.plan import LAG, ClusterSize, make_plan
from stacktune.search.tune.searcher import TRIAL, FamilySearcher
from stacktune.settings.read import load_settings
from stacktune.trials.attempt import failed
from stacktune.trials.result import TrialResult
from stacktune.trials.trial import Trial


class Heard(Nobody):
    """Keeps why the search ended."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def search_has_enough(self, reason: str) -> None:
        self.reasons.append(reason)


def results(*scores: float | None) -> list[TrialResult]:
    """Return a completed trial for each score, and a failed one for None."""
    trials = [Trial(f"linear-{place:04}", "linear", {}) for place in range(len(scores))]
    return [
        failed(one, "no") if score is None else completed(one, score) for one, score in zip(trials, scores, strict=True)
    ]


@pytest.mark.parametrize(
    ("scores", "is_enough"),
    [
        ((0.5, 0.6, 0.7), False),
        ((0.5, 0.5, 0.5), True),
        ((0.5, 0.5004, 0.5), True),  # within a thousandth of the best
        ((0.5, 0.5004, 0.501), False),
        ((-2.0, -1.999, -2.5), True),  # an error of 2
        ((-2.0, -2.5, -1.9), False),
        ((0.0, 1e-9, 0.0), False),  # any gain on nothing is one
        ((0.5, None, None), True),
        ((None, None, None), False),  # nothing to gain on
        ((math.nan, -math.inf, math.nan), False),
        ((0.5, math.nan, 0.4), True),
    ],
)
def test_two_trials_in_a_row_without_a_gain_are_enough(scores, is_enough):
    why = TrialLimits(stop_after=2).why_enough(results(*scores))
    assert (why is not None) == is_enough
    assert why is None or why.startswith("2 trials in a row brought no gain above 0.001 of the best score")
    assert TrialLimits().why_enough(results(*scores)) is None


def test_the_tolerance_says_what_is_a_gain():
    assert TrialLimits(stop_after=1, tolerance=0.0).why_enough(results(0.5, 0.5001)) is None
    assert "the last trial brought no gain above 0.1 of" in str(
        TrialLimits(stop_after=1, tolerance=0.1).why_enough(results(0.5, 0.54))
    )


@pytest.mark.parametrize("in_flight", [1, 3, LAG])
def test_a_reproducible_search_ends_after_the_same_trials_on_any_number_of_cores(in_flight):
    def play(n_at_once: int) -> tuple[list[Trial], list[str]]:
        heard = Heard()
        log = SearchLog(heard)
        plan = replace(plan_of(["lightgbm", "linear"], max_trials=200), limits=TrialLimits(stop_after=12))
        searcher, seen, running = FamilySearcher(plan, log), [], []
        while True:
            suggestion = searcher.suggest("ray-id") if len(running) < n_at_once else None
            if isinstance(suggestion, dict):
                running.append(log.entry(suggestion[TRIAL]["trial_id"]).trial)
                seen.append(running[-1])
            elif running:
                ended = running.pop(len(seen) % len(running))
                log.ended(completed(ended, height(ended)))
            elif suggestion == Searcher.FINISHED:
                return seen, heard.reasons

    trials, reasons = play(in_flight)
    assert 12 < len(trials) < 200
    assert (trials, reasons) == play(2)
    (reason,) = reasons
    assert "--stop-after 12" in reason


def test_what_is_enough_stays_so_in_a_search_with_a_budget():
    heard = Heard()
    log = SearchLog(heard)
    plan = replace(plan_of(["linear"], None, 600.0), limits=TrialLimits(stop_after=1))
    searcher = FamilySearcher(plan, log)
    asked = [log.entry(searcher.suggest("ray-id")[TRIAL]["trial_id"]).trial for _ in range(3)]
    for trial, score in zip(asked, (0.5, 0.5, 0.9), strict=True):
        log.ended(completed(trial, score))
        searcher.suggest("ray-id") if trial != asked[0] else None
    assert searcher.suggest("ray-id") == Searcher.FINISHED
    assert len(log.entries()) == 3
    assert len(heard.reasons) == 1


def test_seconds_of_a_trial_are_the_less_of_those_set_and_those_of_the_budget():
    def longest(search_s: float | None, limit_s: float) -> float:
        return make_plan(
            ["linear"], ClusterSize(2, 0), 0, 5, search_s, 0.0, limits=TrialLimits(limit_s)
        ).longest_trial_s

    assert longest(100.0, 10.0) == 10.0
    assert longest(100.0, 60.0) == pytest.approx(35.0)
    assert longest(None, 60.0) == 60.0
    assert longest(None, math.inf) == math.inf


def test_the_first_trial_completes_however_short_the_seconds_of_each():
    """A run of a number of trials ended with none completed."""
    for limit_s, is_first in ((1.0, True), (math.inf, False)):
        log = SearchLog(Nobody())
        searcher = FamilySearcher(replace(plan_of(["linear"], 3), longest_trial_s=limit_s), log)
        trials = [log.entry(searcher.suggest("ray-id")[TRIAL]["trial_id"]).trial for _ in range(2)]
        assert [one.must_complete for one in trials] == [is_first, False]


def test_settings_are_limits_and_a_clock_in_a_reproducible_run_is_said():
    table = {"data": "t.parquet", "target": "y", "max_trials": 5}
    assert trial_limits(load_settings(table)) == TrialLimits()
    given = {"max_seconds_per_trial": 9, "stop_after": 4, "stop_tolerance": 0}
    assert trial_limits(load_settings({**table, **given})) == TrialLimits(9.0, 4, 0.0)
    (note,) = limit_notes(9.0, True)
    assert "another machine may give another leaderboard" in note
    assert limit_notes(9.0, False) == limit_notes(None, True) == []
