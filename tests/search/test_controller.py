"""Shards, replicas and the baseline in one process: nothing is applied twice or lost, and rewards rise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_children import SPACE, TINY

from stacktune.families.nets.architecture import from_line
from stacktune.search.nas.children import MAX_REDRAWS, ChildSpace
from stacktune.search.nas.controller import (
    Baseline,
    LocalController,
    LocalShards,
    Replica,
    Shard,
    UpdateStats,
    first_parameters,
    slices,
)
from stacktune.search.nas.policy import Episode, PolicySettings

SMALL = PolicySettings(hidden=8)
RNG = np.random.default_rng(0)
FIRST, GRADIENTS = RNG.normal(size=5).astype(np.float32), RNG.normal(size=(6, 5)).astype(np.float32)


def lessons_of(space: ChildSpace, children: list[dict[str, Any]], advantages: list[float]) -> list[Episode]:
    tokens = [space.tokens(child) for child in children]
    return [Episode(*pair) for pair in zip(tokens, advantages, strict=True)]


def some_episodes(space: ChildSpace, seed: int) -> list[Episode]:
    """Two children of a controller that has learnt nothing, the first of which did better."""
    drawing = LocalController(space, SMALL, 0)
    return lessons_of(space, [drawing.draw(0, 2 * seed + child, len(space.depths)) for child in range(2)], [1.0, -0.5])


def height(child: dict[str, Any]) -> float:
    """The share of gated layers, and how wide layers are."""
    layers = from_line(child["architecture"])
    return float(np.mean([(layer.kind == "glu") + layer.width / 256 for layer in layers]))


def test_the_first_average_is_the_first_reward():
    baseline = Baseline()
    assert baseline.value is None
    assert baseline.advantages([0.7]) == [0.0]
    assert baseline.value == pytest.approx(0.7)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.floats(0.1, 0.99))
def test_the_average_is_that_of_weights_that_decay(rewards, decay):
    baseline = Baseline(decay)
    for reward in rewards:
        baseline.advantages([reward])
    weights = decay ** np.arange(len(rewards))[::-1]
    assert baseline.value == pytest.approx(np.average(rewards, weights=weights), abs=1e-9)


def test_no_reward_of_a_later_batch_is_compared_with_an_average_that_holds_it():
    """Those of a batch are compared with what was expected before it, each with the same."""
    baseline = Baseline()
    baseline.advantages([0.2, 0.4])
    expected = baseline.value
    advantages = np.array(baseline.advantages([expected + 0.3, expected, expected - 0.6]))
    assert advantages[1] == pytest.approx(0, abs=1e-9)
    assert advantages[2] == pytest.approx(-2 * advantages[0])


def test_advantages_are_in_standard_deviations():
    rewards = np.random.default_rng(0).normal(3, 0.02, size=(40, 5))
    baseline, scaled = Baseline(), Baseline()
    for batch in rewards:
        advantages = baseline.advantages(list(batch))
        assert scaled.advantages(list(1000 * batch)) == pytest.approx(advantages)
    assert 0.3 < np.std(advantages) < 3
    first = Baseline().advantages([1.0, 2.0, 3.0])
    assert first == pytest.approx([-1.22, 0, 1.22], abs=0.1)


@pytest.mark.parametrize("reward", [0.1, 0.7, 1e6, 0.0])
def test_rewards_that_are_all_the_same_teach_nothing(reward):
    """The mean of three times 0.1 is not 0.1, and that difference is not an advantage of a standard deviation."""
    baseline = Baseline()
    assert [baseline.advantages([reward] * 3) for _ in range(5)] == [[0.0] * 3] * 5


@given(st.integers(1, 500), st.integers(1, 20))
def test_slices_cover_all_parameters_once_and_evenly(n_parameters, n_shards):
    owned = slices(n_parameters, n_shards)
    assert [place for each in owned for place in range(n_parameters)[each]] == list(range(n_parameters))
    sizes = [each.stop - each.start for each in owned]
    assert len(sizes) == n_shards
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_takes_the_steps_of_adam():
    shard = Shard(FIRST, lr=0.1, most_stale=0)
    weight = torch.nn.Parameter(torch.from_numpy(FIRST.copy()))
    adam = torch.optim.Adam([weight], lr=0.1)
    for number, gradient in enumerate(GRADIENTS):
        weight.grad = torch.from_numpy(gradient)
        adam.step()
        answer = shard.push(0, number, gradient, version=number)
        assert (answer.is_taken, answer.version, answer.staleness) == (True, number + 1, 0)
    assert np.array_equal(shard.pull().values, weight.detach().numpy())


def test_a_gradient_is_applied_once_however_often_it_is_pushed():
    shard = Shard(FIRST, lr=0.1, most_stale=9)
    once = shard.push(0, 0, GRADIENTS[0], version=0)
    again = shard.push(0, 0, GRADIENTS[0], version=0)
    assert (again.is_taken, again.version) == (True, 1)
    assert np.array_equal(again.values, once.values)
    assert shard.push(1, 0, GRADIENTS[0], version=0).version == 2


def test_a_gradient_is_applied_even_after_a_later_one():
    """Calls of a replica that died may be made again out of their order."""
    shard = Shard(FIRST, lr=0.1, most_stale=9)
    shard.push(0, 1, GRADIENTS[1], version=0)
    assert shard.push(0, 0, GRADIENTS[0], version=0).version == 2


def test_a_gradient_older_than_the_most_is_refused_and_changes_nothing():
    shard = Shard(FIRST, lr=0.1, most_stale=2)
    for number in range(3):
        shard.push(0, number, GRADIENTS[number], version=number)
    before = shard.pull()
    refused = shard.push(1, 0, GRADIENTS[3], version=0)
    assert (refused.is_taken, refused.staleness, refused.version) == (False, 3, 3)
    assert np.array_equal(shard.pull().values, before.values)
    stale = shard.push(1, 0, GRADIENTS[3], version=1)
    assert (stale.is_taken, stale.staleness, stale.version) == (True, 2, 4)


def test_a_shard_that_begins_anew_goes_on_as_if_it_had_not_died(tmp_path: Path):
    file = tmp_path / "shard.safetensors"
    never_died, dies = Shard(FIRST, 0.1, 9), Shard(FIRST, 0.1, 9, file)
    for number, gradient in enumerate(GRADIENTS):
        never_died.push(0, number, gradient, version=number)
        acknowledged = dies.push(0, number, gradient, version=number)
        dies = Shard(FIRST, 0.1, 9, file)
        pulled = dies.pull()
        assert pulled.version == acknowledged.version == number + 1
        assert np.array_equal(pulled.values, never_died.pull().values)
        assert dies.push(0, number, gradient, version=number).version == number + 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_shard_that_never_took_a_gradient_begins_with_its_first_parameters(tmp_path: Path):
    assert np.array_equal(Shard(FIRST, 0.1, 0, tmp_path / "shard.safetensors").pull().values, FIRST)


def test_two_shards_learn_what_one_does():
    values = first_parameters(TINY, SMALL, 0)
    learnt = []
    for n_shards in (1, 2):
        shards = [Shard(values[owned], SMALL.lr, 0) for owned in slices(len(values), n_shards)]
        replica = Replica(0, TINY, SMALL, 0, LocalShards(shards))
        for number in range(4):
            replica.learn(number, some_episodes(TINY, number), 2)
        learnt.append(np.concatenate([shard.pull().values for shard in shards]))
    assert np.array_equal(*learnt)
    assert not np.allclose(learnt[0], values)


class Rush:
    """Shards at which others are faster: before each of the first pushes, each shard moves on by so many updates."""

    def __init__(self, shards: list[Shard], n_updates: list[tuple[int, ...]]):
        self._shards, self._n_updates, self._number = shards, n_updates, 0

    def pull(self) -> list:
        return LocalShards(self._shards).pull()

    def push(self, replica: int, number: int, parts: dict) -> dict:
        for shard, n_updates in zip(self._shards, self._n_updates.pop(0) if self._n_updates else (), strict=False):
            for _ in range(n_updates):
                self._number += 1
                now = shard.pull()
                shard.push(99, self._number, np.ones_like(now.values), now.version)
        return LocalShards(self._shards).push(replica, number, parts)


def test_what_a_shard_refuses_is_computed_anew_and_pushed_to_that_shard_alone():
    values = first_parameters(TINY, SMALL, 0)
    shards = [Shard(values[owned], SMALL.lr, most_stale=2) for owned in slices(len(values), 2)]
    replica = Replica(0, TINY, SMALL, 0, Rush(shards, [(2, 3), (1, 4), (1, 1)]))
    learnt = replica.learn(0, some_episodes(TINY, 0), 2)
    assert (learnt.staleness, learnt.n_refused) == (2, 2)
    assert [shard.pull().version for shard in shards] == [2 + 1 + 1 + 1, 3 + 4 + 1 + 1]


def test_a_child_is_drawn_until_it_keeps_the_limits():
    def is_gated(child: dict[str, Any]) -> bool:
        seen.append(child)
        return "glu" in child["architecture"]

    seen: list[dict[str, Any]] = []
    controller = LocalController(TINY, SMALL, 0, is_gated)
    children = [controller.draw(0, seed, 1) for seed in range(20)]
    assert all("glu" in child["architecture"] for child in children)
    assert len(seen) > 20
    seen.clear()
    assert LocalController(TINY, SMALL, 0, lambda child: bool(seen.append(child))).draw(0, 0, 1) is None
    assert len(seen) == MAX_REDRAWS


def play(seed: int, n_batches: int, reward: Callable[[dict[str, Any]], float]) -> tuple[list[float], list[UpdateStats]]:
    """Let a controller learn batches of four, and return the children's rewards."""
    controller, baseline = LocalController(SPACE, replace(SMALL, hidden=16), seed), Baseline()
    rewards: list[float] = []
    for number in range(n_batches):
        children = [controller.draw(0, 4 * number + place, 3) for place in range(4)]
        batch = [reward(child) for child in children]
        controller.learn(0, number, lessons_of(SPACE, children, baseline.advantages(batch)), 3)
        rewards += batch
    return rewards, controller.learnt()


def test_learning_raises_rewards_far_above_those_of_random_children():
    rewards, learnt = play(0, 38, height)
    start, end = np.mean(rewards[:32]), np.mean(rewards[-32:])
    assert end > start + 0.3
    assert [(update.staleness, update.n_refused) for update in learnt] == [(0, 0)] * 38


def test_a_search_follows_its_seed():
    assert play(1, 3, height) == play(1, 3, height)
    assert play(1, 3, height) != play(2, 3, height)


def test_updates_are_told_once():
    controller = LocalController(TINY, SMALL, 0)
    controller.learn(0, 0, some_episodes(TINY, 0), 2)
    controller.learn(0, 1, some_episodes(TINY, 1), 2)
    assert len(controller.learnt()) == 2
    assert controller.learnt() == []
