"""What children are asked for, what they earn and what is learnt from them; results follow from architectures alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from played_search import completed, height, plan_of
from test_laws import ROOT, House

from stacktune.families.base import FitSize
from stacktune.families.nets.architecture import from_line
from stacktune.families.registry import get_family
from stacktune.search.events import Event
from stacktune.search.nas.events import REWARD_OF_RANDOM, ControllerUpdate, Reward
from stacktune.search.nas.settings import ChildLimits, ControllerTopology, limits_of, topology_of
from stacktune.search.nas.source import N_DONORS, RANDOM_EVERY, ControllerSource, is_feasible
from stacktune.search.plan.plan import SourceOptions
from stacktune.search.space import load_space
from stacktune.trials.attempt import failed
from stacktune.trials.result import STOPPED, TrialResult
from stacktune.trials.trial import Trial

NAS, SPACE = get_family("nas"), load_space("nas")
N_KNOWN = len(SPACE.portfolio)


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.rewards: list[Reward] = []
        self.updates: list[ControllerUpdate] = []

    def event(self, event: Event) -> None:
        if "loss" in event.values:
            self.updates.append(ControllerUpdate(event.step, **event.values))
        for name, value in event.values.items():
            if name.startswith("reward"):
                self.rewards.append(Reward(event.step, value, name == REWARD_OF_RANDOM))


def source_of(ear: Ear | None = None, seed: int = 0, limits: ChildLimits | None = None) -> ControllerSource:
    return ControllerSource(NAS, SPACE, seed, ControllerTopology(), limits, (ear or Ear()).event)


def depth(config: dict) -> float:
    """A score that deeper children have more of."""
    return len(from_line(config["architecture"])) + 0.001 * height(Trial("", "nas", config))


def draw_any(seed: int) -> dict:
    return {name: domain.sample(random_state=seed) for name, domain in SPACE.domains.items()}


def play(source: ControllerSource, n: int, score: Callable[[dict], float] = depth, first: int = 0) -> list[dict]:
    asked = []
    for number in range(first, first + n):
        trial_id = f"nas-{number:04d}"
        asked.append(source.ask(trial_id))
        source.tell(completed(Trial(trial_id, "nas", asked[-1]), score(asked[-1])))
    return asked


def stopped(trial_id: str, config: dict, *curve: float) -> TrialResult:
    return replace(completed(Trial(trial_id, "nas", config), 0.0), status=STOPPED, curve=curve, fold_scores=())


def test_children_differ():
    assert len({str(config) for config in play(source_of(), 30)}) > 25


def test_a_child_that_could_not_have_been_drawn_is_not_learnt_from():
    """Where a journal had lost a line, a random child stood in the place of a drawn one, and ended the search."""
    ear = Ear()
    source = source_of(ear)
    deep = next(config for seed in range(100) if depth(config := draw_any(seed)) >= 5)
    for number in range(N_KNOWN + 4):
        source.was_asked(f"nas-{number:04d}", deep)
    for number in range(N_KNOWN + 4):
        source.tell(completed(Trial(f"nas-{number:04d}", "nas", deep), 0.5))
    assert ear.updates == []
    assert len(ear.rewards) == 4


def test_a_reward_is_the_share_of_earlier_children_that_are_beaten_at_the_rung_that_both_reached():
    ear, source = Ear(), source_of(Ear())
    source = source_of(ear)
    ids = [f"nas-{number:04d}" for number in range(N_KNOWN + 4)]
    configs = {trial_id: source.ask(trial_id) for trial_id in ids}
    curves = [(0.5,), (0.5, 0.6), (0.5, 0.6, 0.7)]
    for trial_id, curve in zip(ids, curves, strict=False):
        source.tell(stopped(trial_id, configs[trial_id], *curve))
    source.tell(stopped(ids[3], configs[ids[3]], 0.5, 0.65))
    source.tell(failed(Trial(ids[4], "nas", configs[ids[4]]), "boom"))
    source.tell(stopped(ids[5], configs[ids[5]]))
    source.tell(stopped(ids[6], configs[ids[6]], 0.4))
    assert [reward.value for reward in ear.rewards] == [pytest.approx((0.5 + 1 + 1) / 3), 0.0, 0.0]
    assert [reward.number for reward in ear.rewards] == [3, 4, 6]
    (update,) = ear.updates
    assert update.mean_reward == pytest.approx(np.mean([reward.value for reward in ear.rewards]))
    assert (update.number, update.staleness, update.n_refused) == (0, 0, 0)


def test_some_children_are_drawn_at_random_and_not_learnt_from():
    ear = Ear()
    play(source_of(ear), N_KNOWN + 3 * RANDOM_EVERY)
    assert [reward.number - N_KNOWN for reward in ear.rewards if reward.is_random] == [7, 15, 23]
    assert len(ear.updates) == (3 * RANDOM_EVERY - 3) // ControllerTopology().n_children


def test_the_controller_earns_more_than_chance():
    ear = Ear()
    asked = play(source_of(ear), 123)
    late = {reward.number for reward in ear.rewards[-40:] if not reward.is_random}
    by_chance = {reward.number for reward in ear.rewards if reward.is_random}
    assert np.mean([depth(asked[n]) for n in late]) > np.mean([depth(asked[n]) for n in by_chance]) + 0.5


def test_children_inherit_from_the_best_that_are_known():
    source = source_of()
    assert source.bank() == ()
    asked = play(source, 12)
    best = sorted(range(12), key=lambda number: -depth(asked[number]))[:N_DONORS]
    assert source.bank() == tuple(f"nas-{number:04d}" for number in best)


def kept_by(limits: ChildLimits) -> Callable[[dict], bool]:
    return partial(is_feasible, NAS.n_multiplications, limits)


@pytest.fixture
def few_redraws(monkeypatch) -> None:
    """Twenty draws of a controller take a second of a busy core."""
    monkeypatch.setattr("stacktune.search.nas.children.MAX_REDRAWS", 2)


@pytest.mark.parametrize(("most", "n_known"), [(200_000, 1), (30_000, 0), (15_000, 0)])
def test_no_child_costs_more_than_it_may(most, n_known, few_redraws):
    """Children beyond the limits were trained after twenty redraws, and those of the portfolio always."""
    limits = ChildLimits(FitSize(1000, 10, 2), most)
    source = source_of(limits=limits)
    asked = play(source, 20)
    assert all(map(kept_by(limits), asked))
    assert sum(config in SPACE.portfolio for config in asked) == n_known
    assert not source.is_spent
    assert not all(map(kept_by(limits), play(source_of(), 20)))


TIGHT = ChildLimits(FitSize(1000, 10, 2), 10_000)


@pytest.mark.parametrize("cut", [3, 11])
def test_spares_are_asked_once_each_and_again_after_a_cut(cut, few_redraws):
    """Hardly a child keeps such limits, so nearly all are spares; a search that goes on asks for the same ones."""
    source = source_of(limits=TIGHT)
    whole = []
    while not source.is_spent:
        whole += play(source, 1, first=len(whole))
    assert len(whole) > 11
    assert all(map(kept_by(TIGHT), whole))
    assert {str(spare) for spare in source._spares} <= {str(config) for config in whole}
    again = source_of(limits=TIGHT)
    for number, config in enumerate(whole[:cut]):
        again.was_asked(f"nas-{number:04d}", json.loads(json.dumps(config)))
    for number, config in enumerate(whole[:cut]):
        again.tell(completed(Trial(f"nas-{number:04d}", "nas", config), depth(config)))
    assert play(again, len(whole) - cut, first=cut) == whole[cut:]
    assert again.is_spent


def test_spares_are_not_learnt_from(monkeypatch):
    ear = Ear()
    source = source_of(ear, limits=TIGHT)
    monkeypatch.setattr("stacktune.search.nas.source._ControllerTrainer.draw", lambda *_: None)
    play(source, 12)
    assert all(reward.is_random for reward in ear.rewards)
    assert len(ear.rewards) == 12
    assert ear.updates == []


def test_where_no_child_keeps_the_limits_the_source_is_spent_at_once():
    assert source_of(limits=ChildLimits(FitSize(1000, 10, 2), 1)).is_spent
    assert not source_of().is_spent


def test_a_budget_for_predictions_limits_children():
    fit_size = FitSize(5, 2, 2)
    assert limits_of(SourceOptions(fit_size, 5, 10.0)).most_multiplications == 10 * 50_000 / 5
    assert limits_of(SourceOptions(fit_size, 5)).most_multiplications > 1e6
    assert limits_of(SourceOptions()) is None


def test_a_reproducible_search_has_one_replica_and_a_cluster_more():
    assert topology_of(plan_of(["nas"])) == ControllerTopology(1, 1, 4)
    assert topology_of(plan_of(["nas"], None, 60.0)) == ControllerTopology(1, 1, 4)


def test_the_rest_of_the_code_knows_two_modules_of_the_architecture_search_alone():
    """Fourteen files outside it knew of rewards, topologies and drawings of children."""
    house, room = House(ROOT), "stacktune.search.nas"
    others = [module for name, module in house.modules.items() if not name.startswith(room)]
    used = {one.target for module in others for one in house.imports(module) if one.target.startswith(room)}
    assert used == {f"{room}.kind", f"{room}.domain"}
