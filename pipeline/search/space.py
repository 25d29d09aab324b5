"""Search spaces, and steps of a configuration in them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform

from stacktune.search.nas.domain import Architectures

# PBT's explore step (Jaderberg et al. 2017, section 4.1): draw anew with this probability, else multiply by one factor.
RESAMPLE_PROBABILITY = 0.25
NUDGES = (0.8, 1.25)


@dataclass(frozen=True)
class SearchSpace:
    """One family's space, as `search_spaces/NAME.py` has it.

    is_closed: whether nothing but the portfolio is to be tried.
    """

    domains: Mapping[str, Domain]
    portfolio: tuple[Mapping[str, Any], ...]
    mutable: frozenset[str]
    is_closed: bool = False


def load_space(family: str, is_large: bool = False) -> SearchSpace:
    """Read `search_spaces/<family>.py`.

    Where the table is large its LARGE_PORTFOLIO, if it has one, comes first.
    """
    return space_in(importlib.import_module(f"stacktune.search_spaces.{family}"), is_large)


def space_in(module: Any, is_large: bool = False) -> SearchSpace:
    """Return the space that a module defines.

    It has SPACE and PORTFOLIO and may have LARGE_PORTFOLIO and MUTABLE.
    """
    domains = {
        name: Architectures(domain) if isinstance(domain, Mapping) else domain for name, domain in module.SPACE.items()
    }
    heads = getattr(module, "LARGE_PORTFOLIO", ()) if is_large else ()
    portfolio = (*heads, *(entry for entry in module.PORTFOLIO if entry not in heads))
    return SearchSpace(domains, portfolio, frozenset(getattr(module, "MUTABLE", ())))


def highest(domain: Float | Integer) -> float:
    """Return the largest value, also of integers."""
    return domain.upper - 1 if isinstance(domain, Integer) else domain.upper


def between(domain: Float | Integer, low: float, high: float, is_log: bool) -> Domain:
    """Return a domain of the kind, ends included."""
    if isinstance(domain, Integer):
        return (tune.lograndint if is_log else tune.randint)(int(low), int(high) + 1)
    return (tune.loguniform if is_log else tune.uniform)(float(low), float(high))


def nudge(config: Mapping[str, Any], space: SearchSpace, seed: int) -> dict[str, Any]:
    """Return `config` with its mutable parameters changed.

    Each is drawn anew or moved a step, and never out of its domain.
    """
    rng = np.random.default_rng(seed)
    moved = dict(config)
    for name in sorted(space.mutable):
        domain = space.domains[name]
        if rng.random() < RESAMPLE_PROBABILITY:
            moved[name] = _plain(domain.sample(random_state=rng))
        else:
            moved[name] = _step(config[name], domain, rng)
    return moved


def _step(value: Any, domain: Domain, rng: np.random.Generator) -> Any:
    if isinstance(domain, Categorical):
        choices = list(domain.categories)
        place = choices.index(value) + int(rng.choice([-1, 1]))
        return choices[min(max(place, 0), len(choices) - 1)]
    if not isinstance(domain, Integer | Float):
        raise TypeError(f"a {type(domain).__name__} has no bounds to be moved within")
    factor = float(rng.choice(NUDGES))
    width = domain.upper - domain.lower
    is_logarithmic = isinstance(domain.sampler, LogUniform)
    moved = value * factor if is_logarithmic else value + math.copysign(0.2 * width, factor - 1)
    if isinstance(domain, Integer):
        return int(min(max(round(moved), domain.lower), highest(domain)))
    return float(min(max(moved, domain.lower), domain.upper))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
