"""The controller's net on spaces so small that every child can be gone through, and its gradients by other means."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_children import PLAIN, SPACE, TINY, WIRING, every_child

from stacktune.families.nets.architecture import from_line
from stacktune.search.nas.children import ChildSpace, Tokens
from stacktune.search.nas.policy import MAX_GRADIENT, Episode, Policy, PolicySettings, flat, gradient_of, load_flat

SMALL = PolicySettings(hidden=6)
TWO_OF_THREE = ChildSpace({"k": (1, 2, 3)}, (1,), {"kind": ("dense", "glu"), **PLAIN})


def opinionated(space: ChildSpace, seed: int = 0, settings: PolicySettings = SMALL) -> Policy:
    """A policy far from even chances, which a new one is near to."""
    policy = Policy(space, settings, seed)
    load_flat(policy, 8 * flat(policy))
    return policy


def is_thrifty(config: dict[str, Any]) -> bool:
    return config["k"] + 2 * config["architecture"].count("glu") < 4


@pytest.fixture
def doubles() -> Iterator[None]:
    """Double precision, which differences of a thousandth part of a millionth need."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@given(st.integers(0, 2**31), st.integers(1, len(SPACE.depths)))
@settings(max_examples=25, deadline=None)
def test_a_drawn_child_is_as_likely_on_the_way_back(seed, n_depths):
    policy = opinionated(SPACE)
    drawn = policy.draw(torch.Generator().manual_seed(seed), n_depths)
    tokens = SPACE.tokens(drawn.config)
    assert tokens == drawn.tokens
    back = policy.retrace(tokens, n_depths)
    assert back.config == drawn.config
    assert torch.stack([back.log_prob, back.entropy, back.skip_kl]).tolist() == pytest.approx(
        [drawn.log_prob.item(), drawn.entropy.item(), drawn.skip_kl.item()], abs=1e-5
    )


@pytest.mark.parametrize("space", [TINY, WIRING])
def test_the_chances_of_all_children_sum_to_one_and_their_entropies_to_that_of_the_whole(space):
    """By the chain rule, the mean over children of their decisions' entropies is the entropy of the children."""
    policy = opinionated(space, seed=1)
    for n_depths in range(1, len(space.depths) + 1):
        open_children = [child for child in every_child(space) if depth(child) <= space.depths[n_depths - 1]]
        with torch.no_grad():
            rollouts = [policy.retrace(space.tokens(child), n_depths) for child in open_children]
        logs = torch.stack([rollout.log_prob for rollout in rollouts])
        assert logs.exp().sum().item() == pytest.approx(1, abs=1e-5)
        mean = (logs.exp() * torch.stack([rollout.entropy for rollout in rollouts])).sum().item()
        assert mean == pytest.approx(-(logs.exp() * logs).sum().item(), abs=1e-4)
    assert logs.max() - logs.min() > 1


def depth(child: dict[str, Any]) -> int:
    return len(from_line(child["architecture"]))


@pytest.mark.parametrize("space", [TINY, WIRING])
def test_children_are_drawn_as_often_as_they_are_likely(space):
    policy = opinionated(space, seed=4)  # whose chances of reading are far from even
    generator, n_depths = torch.Generator().manual_seed(0), len(space.depths)
    drawn = Counter(policy.draw(generator, n_depths).tokens for _ in range(500))
    tokens = [space.tokens(child) for child in every_child(space)]
    with torch.no_grad():
        chances = [policy.retrace(each, n_depths).log_prob.exp().item() for each in tokens]
    off = [abs(drawn[each] / 500 - chance) for each, chance in zip(tokens, chances, strict=True)]
    assert sum(off) / 2 < 0.12


def test_a_layer_chooses_by_the_anchors_of_those_that_it_may_read():
    """The rollout of two layers, step by step, by the formula of Zoph and Le (2017, section 3.3)."""
    policy = opinionated(WIRING, 2)
    state = None

    def step(fed: torch.Tensor, place: int) -> torch.Tensor:
        nonlocal state
        state = policy.cell((fed + policy.places.weight[place])[None], state)
        return state[0][0]

    anchors, fed = [step(policy.start, 0)], policy.embeddings["n_layers"].weight[1]
    for place in (1, 2):
        for name in WIRING.layer:
            step(fed, place)
            fed = policy.embeddings[name].weight[0]
        anchors.append(step(fed, place))
    columns, first, second = anchors
    logits = [torch.tanh(policy.previous(h) + policy.current(second)) @ policy.v for h in (columns, first)]
    bent = [(2.5 * torch.tanh(logit)).sigmoid() for logit in logits]
    assert min(abs(chance - 0.5) for chance in bent) > 0.02
    chances = {reads: policy.retrace((1, *[0] * 10, reads), 3).log_prob.exp() for reads in ((0,), (1,), (0, 1))}
    depth_chance = sum(chances.values())
    assert (chances[0, 1] / depth_chance).item() == pytest.approx((bent[0] * bent[1]).item(), rel=1e-4)
    assert (chances[1,] / depth_chance).item() == pytest.approx(((1 - bent[0]) * bent[1]).item(), rel=1e-4)
    assert (chances[0,] / depth_chance).item() == pytest.approx((1 - bent[1]).item(), rel=1e-4)


def test_no_depth_is_drawn_that_is_not_open():
    policy = Policy(WIRING, SMALL, 0)
    generator = torch.Generator().manual_seed(0)
    for n_depths in (1, 2, 3):
        assert {depth(policy.draw(generator, n_depths).config) for _ in range(40)} == set(range(1, n_depths + 1))
    with pytest.raises(IndexError, match="out of bounds"):
        policy.retrace(WIRING.tokens(policy.retrace((2, 0, 0, 0, 0, 0) * 4, 3).config), 1)


def test_depths_open_one_after_the_other():
    curriculum = PolicySettings(first_depths=2, n_children_a_depth=10)
    assert [curriculum.n_depths(n_children) for n_children in (0, 9, 10, 19, 20)] == [2, 2, 3, 3, 4]


def test_even_chances_are_counted_by_hand():
    """With all parameters 0 every choice is as likely as its alternatives; what a layer reads is repaired."""
    policy = Policy(WIRING, SMALL, 0)
    load_flat(policy, torch.zeros_like(flat(policy)))
    for reads, share in (((0,), 2), ((1,), 1), ((0, 1), 1)):
        rollout = policy.retrace((1, *[0] * 5, *[0] * 5, reads), 3)
        assert rollout.log_prob.item() == pytest.approx(math.log(share / (3 * 4)))
        assert rollout.entropy.item() == pytest.approx(math.log(3) + 1.5 * math.log(2))


def test_reading_costs_nothing_at_the_target_and_its_divergence_elsewhere():
    for target in (0.5, 0.4):
        policy = Policy(WIRING, replace(SMALL, skip_target=target), 0)
        load_flat(policy, torch.zeros_like(flat(policy)))
        rollout = policy.retrace((2, *[0] * 5, *[0] * 5, (0, 1), *[0] * 5, (2,)), 3)
        of_one = 0.5 * math.log(0.5 / target) + 0.5 * math.log(0.5 / (1 - target))
        assert rollout.skip_kl.item() == pytest.approx((2 + 3) / 2 * of_one, abs=1e-6)
        assert (rollout.n_read, rollout.n_readable) == (3, 5)


@pytest.mark.parametrize("bias", [0.7, 1e4])
def test_logits_are_bent_by_the_temperature_and_bound(bias):
    policy = Policy(TINY, replace(SMALL, tanh_constant=1.5, temperature=2.0), 0)
    load_flat(policy, torch.zeros_like(flat(policy)))
    with torch.no_grad():
        policy.heads["k"].bias.copy_(torch.tensor([bias, -bias]))
    first, second = (policy.retrace((k, *[0] * 6), 1).log_prob.item() for k in (0, 1))
    assert first - second == pytest.approx(2 * 1.5 * math.tanh(bias / 2), abs=1e-5)


@pytest.mark.parametrize("limits", [None, is_thrifty])
def test_the_gradient_is_that_of_the_objective(doubles, limits):
    """Against central differences along random directions; what stops no gradient in P̂(V) stays where it is."""
    wishes = replace(SMALL, hidden=4, entropy_weight=0.1, skip_weight=0.7)
    policy = opinionated(TINY, 2, wishes)
    episodes = [Episode(TINY.tokens(child), 0.3 * place - 0.8) for place, child in enumerate(every_child(TINY)[::6])]
    assert {depth(every_child(TINY)[place]) for place in range(0, 28, 6)} == {1, 2}
    objective = objective_of(policy, episodes, limits, seed=5)
    gradient, here = gradient_of(policy, episodes, 2, limits, seed=5), flat(policy)
    assert gradient.values.norm() < MAX_GRADIENT
    assert gradient.loss == pytest.approx(objective(here))
    for seed in range(6):
        step = 1e-5 * torch.randn(len(here), generator=torch.Generator().manual_seed(seed))
        slope = objective(here + step) - objective(here - step)
        assert slope == pytest.approx(2 * (gradient.values @ step).item(), rel=1e-5, abs=1e-12)


def objective_of(
    policy: Policy, episodes: list[Episode], limits: Callable[[dict[str, Any]], bool] | None, seed: int
) -> Callable[[torch.Tensor], float]:
    """Return the documented loss as a function of the parameters."""
    wishes, generator = policy.settings, torch.Generator().manual_seed(seed)
    probes = [policy.draw(generator, 2) for _ in range(wishes.n_probes)] if limits else []
    kept = [probe for probe in probes if limits(probe.config)]
    assert limits is None or 0 < len(kept) < len(probes)

    @torch.no_grad()
    def objective(values: torch.Tensor) -> float:
        load_flat(policy, values)
        rollouts = [policy.retrace(episode.tokens, 2) for episode in episodes]
        ratios = [(policy.retrace(probe.tokens, 2).log_prob - probe.log_prob).exp().item() for probe in kept]
        log_chance = math.log(sum(ratios) / len(probes)) if kept else 0.0
        terms = [
            episode.advantage * (rollout.log_prob.item() - log_chance)
            + wishes.entropy_weight * rollout.entropy.item()
            - wishes.skip_weight * rollout.skip_kl.item()
            for episode, rollout in zip(episodes, rollouts, strict=True)
        ]
        return -sum(terms) / len(terms)

    return objective


def test_a_gradient_is_no_longer_than_the_most():
    policy = opinionated(TINY)
    gradient = gradient_of(policy, [Episode(TINY.tokens(every_child(TINY)[0]), 1e4)], 2)
    assert gradient.values.norm().item() == pytest.approx(MAX_GRADIENT, rel=1e-4)


def test_probes_that_keep_no_limit_correct_nothing():
    policy, episodes = opinionated(TINY), [Episode(TINY.tokens(every_child(TINY)[0]), 1.0)]
    plain = gradient_of(policy, episodes, 2).values
    assert torch.equal(gradient_of(policy, episodes, 2, lambda config: False).values, plain)
    assert not torch.allclose(gradient_of(policy, episodes, 2, is_thrifty).values, plain)


def test_under_limits_the_correction_points_to_what_the_children_that_keep_them_gain():
    """TabNAS, section 3.3: without it, rewards above their average also push towards the limits, and those below away.

    A episode of the same child as another has the same gradient, so that one with the sum of their advantages will do.
    """
    policy = opinionated(TWO_OF_THREE, 2, replace(SMALL, entropy_weight=0.0, n_probes=500))
    generator, drawn = torch.Generator().manual_seed(0), Counter[Tokens]()
    while drawn.total() < 300:
        rollout = policy.draw(generator, 1)
        drawn[rollout.tokens] += is_modest(rollout.config)
    kept = [child for child in every_child(TWO_OF_THREE) if is_modest(child)]
    assert {tokens for tokens, n_drawn in drawn.items() if n_drawn} == set(map(TWO_OF_THREE.tokens, kept))
    episodes = [
        Episode(TWO_OF_THREE.tokens(child), advantage_of(child) * drawn[TWO_OF_THREE.tokens(child)] / drawn.total())
        for child in kept
    ]
    exact = gradient_of_mean(policy, kept)
    corrected = -gradient_of(policy, episodes, 1, is_modest, seed=1).values
    uncorrected = -gradient_of(policy, episodes, 1).values
    assert torch.cosine_similarity(corrected, exact, dim=0) > 0.95
    assert torch.cosine_similarity(uncorrected, exact, dim=0) < 0.8


def is_modest(config: dict[str, Any]) -> bool:
    return config["architecture"].count("glu") < config["k"] - 1


def advantage_of(child: dict[str, Any]) -> float:
    return 0.5 - child["k"] / 4


def gradient_of_mean(policy: Policy, kept: list[dict[str, Any]]) -> torch.Tensor:
    """Return the gradient of the mean advantage under P(child) / P(V), where V is what is `kept`."""
    logs = torch.stack([policy.retrace(policy.space.tokens(child), 1).log_prob for child in kept])
    mean = logs.softmax(0) @ torch.tensor([advantage_of(child) for child in kept])
    weights = list(policy.parameters())
    slopes = torch.autograd.grad(mean, weights, allow_unused=True)
    filled = [
        torch.zeros_like(weight) if slope is None else slope for weight, slope in zip(weights, slopes, strict=True)
    ]
    return torch.nn.utils.parameters_to_vector(filled)


def test_a_policy_follows_its_seed_and_is_given_back_whole():
    policy = Policy(TINY, SMALL, 3)
    assert torch.equal(flat(policy), flat(Policy(TINY, SMALL, 3)))
    other = Policy(TINY, SMALL, 4)
    assert not torch.equal(flat(policy), flat(other))
    load_flat(other, flat(policy))
    assert all(torch.equal(*pair) for pair in zip(policy.parameters(), other.parameters(), strict=True))
