"""What is asked next, on closed-form results: nothing is trained and no Ray runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from played_search import Nobody, completed, height, plan_of
from ray.tune.search import Searcher

from stacktune.families.base import FitSize
from stacktune.search.log import SearchLog
from stacktune.search.plan.plan import LAG, SearchPlan, SourceOptions
from stacktune.search.sources import BayesianSource
from stacktune.search.space import load_space
from stacktune.search.tune.searcher import MAX_FAILURES_BEFORE_SET_ASIDE, TRIAL, FamilySearcher
from stacktune.trials.attempt import failed
from stacktune.trials.trial import Progress, Trial


@pytest.fixture(autouse=True)
def patience(monkeypatch) -> None:
    """A source's answer is waited for, however slow the machine."""
    monkeypatch.setattr("stacktune.search.tune.searcher.PATIENCE_S", 60.0)


class Desk:
    """A searcher and its log, played by hand."""

    def __init__(self, plan: SearchPlan):
        self.log = SearchLog(Nobody())
        self.searcher = FamilySearcher(plan, self.log)

    def ask(self) -> Trial | str | None:
        suggestion = self.searcher.suggest("ray-id")
        if not isinstance(suggestion, dict):
            return suggestion
        return self.log.entry(suggestion[TRIAL]["trial_id"]).trial

    def answer(self, trial: Trial, score: float) -> None:
        self.log.ended(completed(trial, score))


def test_the_portfolio_comes_first_and_in_its_order():
    desk = Desk(plan_of(["lightgbm"]))
    portfolio = load_space("lightgbm").portfolio
    for config in portfolio[:LAG]:
        assert desk.ask().config == config


def test_every_family_opens_once_before_any_is_asked_again():
    desk = Desk(plan_of(["linear", "lightgbm", "xgboost"]))
    assert [desk.ask().family for _ in range(3)] == ["lightgbm", "linear", "xgboost"]


def test_a_trial_waits_for_all_that_are_a_lag_before_it():
    desk = Desk(plan_of(["lightgbm"]))
    trials = [desk.ask() for _ in range(LAG)]
    assert desk.ask() is None
    for trial in trials[1:]:
        desk.answer(trial, 0.5)
    assert desk.ask() is None
    desk.answer(trials[0], 0.5)
    assert isinstance(desk.ask(), Trial)


@pytest.mark.parametrize("in_flight", [1, 3, LAG])
def test_suggestions_do_not_depend_on_how_many_run_at_once(in_flight):
    def play(in_flight: int) -> list[Trial]:
        desk, running, seen = Desk(plan_of(["lightgbm", "linear"])), [], []
        while True:
            trial = desk.ask() if len(running) < in_flight else None
            if isinstance(trial, Trial):
                running.append(trial)
                seen.append(trial)
            elif running:
                ended = running.pop(len(seen) % len(running))
                desk.answer(ended, height(ended))
            elif trial == Searcher.FINISHED:
                return seen

    trials = play(in_flight)
    assert len(trials) == 30
    assert trials == play(2)


def test_no_more_trials_than_asked_for():
    desk = Desk(plan_of(["linear"], max_trials=3))
    for _ in range(3):
        desk.answer(desk.ask(), 0.5)
    assert desk.ask() == Searcher.FINISHED
    assert desk.log.is_idle.is_set()


def test_a_source_that_thinks_keeps_nobody_waiting_and_is_asked_once(monkeypatch):
    """A run whose searcher took ten seconds ended up to ten seconds late."""
    may_answer, n_asked, ask = threading.Event(), Counter(), BayesianSource.ask

    def thinks(source: BayesianSource, trial_id: str) -> dict:
        n_asked[trial_id] += 1
        assert may_answer.wait(60)
        return ask(source, trial_id)

    desk = Desk(plan_of(["linear"], max_trials=3))
    first = desk.ask()
    monkeypatch.setattr("stacktune.search.tune.searcher.PATIENCE_S", 0.01)
    monkeypatch.setattr(BayesianSource, "ask", thinks)
    assert [desk.ask() for _ in range(3)] == [None] * 3
    may_answer.set()
    while (second := desk.ask()) is None:
        pass
    assert n_asked == {second.trial_id: 1}
    may_answer.clear()
    assert desk.ask() is None
    for trial in (first, second):
        desk.answer(trial, 0.5)
    desk.log.is_closed.set()
    assert desk.ask() == Searcher.FINISHED
    may_answer.set()


def test_nothing_is_asked_after_the_deadline():
    desk = Desk(replace(plan_of(["linear"], None, 60.0), deadline=time.monotonic() - 1))
    assert desk.ask() == Searcher.FINISHED


def test_a_search_that_must_end_sooner_than_planned_asks_no_more():
    desk = Desk(plan_of(["linear"], None, 60.0))
    desk.answer(desk.ask(), 0.5)
    desk.log.deadline = time.monotonic()
    assert desk.ask() == Searcher.FINISHED


def test_a_family_that_always_fails_is_set_aside():
    desk = Desk(plan_of(["lightgbm", "linear"], max_trials=None, search_s=60.0))
    asked = Counter()
    for _ in range(30):
        trial = desk.ask()
        asked[trial.family] += 1
        desk.log.ended(failed(trial, "boom") if trial.family == "linear" else completed(trial, 0.5))
    assert 1 <= asked["linear"] <= MAX_FAILURES_BEFORE_SET_ASIDE


def test_a_family_that_is_spent_is_set_aside_once_and_the_others_go_on():
    options = SourceOptions(FitSize(1000, 10, 2), predict_budget_us=1e-9)
    desk = Desk(replace(plan_of(["nas", "linear"], max_trials=6), options=options))
    heard = []
    desk.log._listener.family_set_aside = lambda *said: heard.append(said)
    for _ in range(6):
        trial = desk.ask()
        assert trial.family == "linear"
        desk.answer(trial, 0.5)
    assert desk.ask() == Searcher.FINISHED
    assert heard == [("nas", "nothing more of it keeps to what a prediction may cost")]


def test_where_every_family_is_spent_the_search_ends():
    options = SourceOptions(FitSize(1000, 10, 2), predict_budget_us=1e-9)
    assert Desk(replace(plan_of(["nas"], max_trials=6), options=options)).ask() == Searcher.FINISHED


def test_when_every_family_always_fails_the_search_ends():
    desk = Desk(plan_of(["lightgbm", "linear"], max_trials=None, search_s=60.0))
    for _ in range(2 * MAX_FAILURES_BEFORE_SET_ASIDE):
        desk.log.ended(failed(desk.ask(), "boom"))
    assert desk.ask() == Searcher.FINISHED


def test_a_family_too_dear_for_the_time_left_is_not_asked():
    desk = Desk(plan_of(["lightgbm", "linear"], max_trials=None, search_s=20.0))
    for _ in range(2):
        trial = desk.ask()
        desk.log.ended(completed(trial, 0.5, fit_s=900.0 if trial.family == "lightgbm" else 0.1))
    assert {desk.ask().family for _ in range(3)} == {"linear"}


def test_a_member_that_took_up_anothers_state_is_charged_for_its_own():
    desk = Desk(plan_of(["mlp"], max_trials=None, search_s=60.0))
    trial = desk.ask()
    desk.log.progressed(trial.trial_id, Progress(1, 5, 0.4, 3, fit_s=7.0, cpu_s=6.0))
    desk.log.entry(trial.trial_id).discard_state()
    desk.log.ended(completed(trial, 0.5, fit_s=10.0))
    (result,) = desk.log.results()
    assert (result.fit_s, result.cpu_s) == (17.0, 6.0)


def test_first_trials_of_a_budget_must_complete():
    desk = Desk(plan_of(["lightgbm", "linear"], max_trials=None, search_s=60.0))
    first, second = desk.ask(), desk.ask()
    assert first.must_complete
    assert second.must_complete
    desk.answer(first, 0.5)
    assert not desk.ask().must_complete
