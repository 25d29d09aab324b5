"""Every search space is data that its family understands: domains, and portfolios that lie within them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.families.registry import all_families
from stacktune.search.nas.domain import Architectures
from stacktune.search.space import load_space

NAMES = sorted(all_families())
every_space = pytest.mark.parametrize("name", NAMES)


def space_of(name: str) -> Any:
    return importlib.import_module(f"stacktune.search_spaces.{name}")


def entries() -> list[Any]:
    return [
        pytest.param(name, entry, id=f"{name}-{index}")
        for name in NAMES
        for index, entry in enumerate((*space_of(name).PORTFOLIO, *getattr(space_of(name), "LARGE_PORTFOLIO", ())))
    ]


def lies_in(domain: Any, value: Any) -> bool:
    """Whether `value` is one that `domain` draws: of its type, and integers below the excluded upper end."""
    if isinstance(domain, Architectures):
        return domain.is_valid(value)
    if hasattr(domain, "categories"):
        return any(value == choice and type(value) is type(choice) for choice in domain.categories)
    if isinstance(domain.lower, int) and isinstance(domain.upper, int):
        return type(value) is int and domain.lower <= value < domain.upper
    return isinstance(value, float) and domain.lower <= value <= domain.upper


@every_space
def test_a_space_offers_a_choice_in_each_parameter(name: str) -> None:
    space = load_space(name).domains
    assert space
    for key, domain in space.items():
        assert isinstance(key, str)
        if isinstance(domain, Architectures):
            assert all(len(set(values)) == len(values) > 1 for values in domain.parts.values())
        elif hasattr(domain, "categories"):
            assert len(set(domain.categories)) == len(domain.categories) > 1
        else:
            assert domain.lower < domain.upper


@every_space
@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=25, deadline=None)
def test_draws_lie_in_their_domains_and_follow_the_seed(name: str, seed: int) -> None:
    for domain in load_space(name).domains.values():
        drawn = domain.sample(random_state=seed)
        value = drawn.item() if hasattr(drawn, "item") else drawn
        assert lies_in(domain, value)
        assert domain.sample(random_state=seed) == drawn


@every_space
@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=25, deadline=None)
def test_a_family_says_how_far_any_draw_may_grow(name: str, seed: int) -> None:
    drawn = {key: domain.sample(random_state=seed) for key, domain in load_space(name).domains.items()}
    assert all_families()[name].max_units(drawn) >= 1


@pytest.mark.parametrize(("name", "entry"), entries())
def test_a_portfolio_entry_is_complete_and_within_the_space(name: str, entry: dict[str, Any]) -> None:
    space = load_space(name).domains
    assert entry.keys() == space.keys()
    outside = {key: value for key, value in entry.items() if not lies_in(space[key], value)}
    assert outside == {}


@pytest.mark.parametrize("is_large", [False, True])
@every_space
def test_a_portfolio_says_nothing_twice(name: str, is_large: bool) -> None:
    portfolio = load_space(name, is_large).portfolio
    assert len(portfolio) >= 3
    assert all(entry not in portfolio[:index] for index, entry in enumerate(portfolio))


@every_space
def test_mutable_parameters_are_those_of_population_families(name: str) -> None:
    space = space_of(name)
    mutable = getattr(space, "MUTABLE", set())
    assert mutable <= space.SPACE.keys()
    assert bool(mutable) == (all_families()[name].scheduler == "pbt")
