"""Population-based training: who copies whom, on a closed-form curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from stacktune.search.pbt import Population, Snapshot
from stacktune.search.space import SearchSpace, nudge

SPACE = SearchSpace(
    domains={
        "lr": tune.loguniform(1e-4, 1e-1),
        "dropout": tune.uniform(0.0, 0.5),
        "n_layers": tune.randint(1, 5),
        "activation": tune.choice(["relu", "silu", "mish"]),
    },
    portfolio=(),
    mutable=frozenset({"lr", "dropout", "activation"}),
)


def draw(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {name: domain.sample(random_state=rng) for name, domain in SPACE.domains.items()}


def snapshot(name: str, score: float, lr: float = 1e-2) -> Snapshot:
    config = {"lr": lr, "dropout": 0.1, "n_layers": 2, "activation": "silu"}
    return Snapshot(name, score, config, f"/states/{name}", ())


def test_two_members_are_too_few_to_copy():
    population = Population(SPACE, seed=0)
    population.record(1, snapshot("a", 1.0))
    assert population.record(1, snapshot("b", 0.0)) is None


def test_the_worst_copies_the_best_of_the_same_interval():
    population = Population(SPACE, seed=0)
    best = snapshot("a", 1.0)
    population.record(1, best)
    population.record(2, snapshot("a", 9.0))
    population.record(1, snapshot("b", 0.5))
    assert population.record(1, snapshot("c", 0.1)) == best


def test_of_members_with_the_same_score_the_one_that_is_copied_does_not_depend_on_who_came_first():
    """A search that goes on hears of members in another order, and copied another one."""
    donors = set()
    for names in ("ab", "ba"):
        population = Population(SPACE, seed=0)
        for name in names:
            population.record(1, snapshot(name, 0.5))
        donors.add(population.record(1, snapshot("c", 0.1)).trial_id)
    assert donors == {"b"}


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_a_nudge_stays_in_the_domains_and_keeps_what_is_fixed(draw_seed, nudge_seed):
    """Ray's own perturbation leaves the range."""
    config = draw(draw_seed)
    moved = nudge(config, SPACE, nudge_seed)
    assert moved["n_layers"] == config["n_layers"]
    assert all(SPACE.domains[name].is_valid(value) for name, value in moved.items())
    assert all(type(value) in (int, float, str) for value in moved.values())
    assert moved == nudge(config, SPACE, nudge_seed)


def test_exploiting_finds_a_better_rate_than_staying_put():
    """On score = -|log10 lr + 2| the population ends nearer to the best rate, 0.01, than its members began."""
    population = Population(SPACE, seed=1)
    rng = np.random.default_rng(0)
    rates = {f"m{place}": float(10 ** rng.uniform(-4, -1)) for place in range(8)}
    start = np.mean([abs(np.log10(rate) + 2) for rate in rates.values()])
    for interval in range(1, 16):
        for name, rate in rates.items():
            donor = population.record(interval, snapshot(name, -abs(np.log10(rate) + 2), rate))
            if donor is not None:
                rates[name] = population.explore(donor, name, interval)["lr"]
    assert np.mean([abs(np.log10(rate) + 2) for rate in rates.values()]) < 0.5 * start


def test_a_nudge_moves_a_choice_to_its_neighbour_or_anew():
    config = {"lr": 1e-2, "dropout": 0.1, "n_layers": 2, "activation": "relu"}
    seen = {nudge(config, SPACE, seed)["activation"] for seed in range(200)}
    assert seen == {"relu", "silu", "mish"}
    assert nudge(config, SPACE, 0)["lr"] != pytest.approx(1e-2)
