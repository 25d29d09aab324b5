"""Searches around a configuration known to be good.

Each range becomes the quarter of it, on its own scale, that has the start in the middle. What is tried first is the
start itself, so that all else is compared with it on the same folds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ray import tune
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform

from stacktune.errors import ConfigError, nearest
from stacktune.search.space import SearchSpace, between, highest

# Of a domain's width; a quarter is wide enough that eight or so random draws before the model differ.
SPAN = 0.25
# Of an axis of numbers: the start, and two to each side.
N_POINTS = 5
MAX_GRID = 200


@dataclass(frozen=True)
class StartingPoint:
    """A configuration to search around.

    source: where it comes from, for people. axes: the parameters that a grid varies; None for a Bayesian search of all.
    """

    family: str
    config: Mapping[str, Any]
    source: str
    axes: tuple[str, ...] | None = None

    @property
    def is_grid(self) -> bool:
        return self.axes is not None

    def check(self, space: SearchSpace) -> None:
        """Refuse what the family's space lacks.

        Raises:
            ConfigError: a parameter is none of the family's, one is missing, or the grid is too large.
        """
        for name in self.axes or ():
            if name not in space.domains:
                raise ConfigError(f"--axes: {self.family} has no parameter {name!r}.{nearest(name, space.domains)}")
        if set(self.config) != set(space.domains):
            odd = sorted(set(self.config) ^ set(space.domains))
            raise ConfigError(
                f"--start-from {self.source} has other parameters of {self.family} than this version of stacktune "
                f"({', '.join(odd)}): start from a run of this version."
            )
        if self.axes is not None:
            sizes = [len(_points(space.domains[name], self.config[name])) for name in self.axes]
            if math.prod(sizes) > MAX_GRID:
                raise ConfigError(
                    f"--axes {','.join(self.axes)} make a grid of {' x '.join(map(str, sizes))} = "
                    f"{math.prod(sizes):,} points, and {MAX_GRID} is the most: name fewer, or list their values in "
                    "--search-space."
                )

    def within(self, space: SearchSpace) -> SearchSpace:
        """Return the space around the start."""
        if self.axes is None:
            domains = {name: _near(domain, self.config[name]) for name, domain in space.domains.items()}
            return replace(space, domains=domains, portfolio=(dict(self.config),))
        axes = {name: _points(space.domains[name], self.config[name]) for name in self.axes}
        domains = {name: tune.choice(axes.get(name, [self.config[name]])) for name in space.domains}
        return SearchSpace(domains, tuple(self._grid(axes)), frozenset(), is_closed=True)

    def _grid(self, axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
        """Return all points, those next to the start first."""
        middle = [values.index(self.config[name]) for name, values in axes.items()]
        places = itertools.product(*(range(len(values)) for values in axes.values()))
        steps = sorted(places, key=lambda place: sum(abs(at - of) for at, of in zip(place, middle, strict=True)))
        return [
            {**self.config, **{name: values[at] for at, (name, values) in zip(place, axes.items(), strict=True)}}
            for place in steps
        ]

    def note(self, n_points: int) -> str:
        """Return a sentence on what is searched."""
        how = f"Bayesian optimisation of all parameters within {SPAN:g} of their ranges"
        if self.axes is not None:
            how = f"a grid of {n_points:,} points over {', '.join(self.axes)}"
        return f"--start-from {self.source}: {self.family} is searched by {how}, the start first"


def _near(domain: Domain, value: Any) -> Domain:
    """Return the part of a domain around a value."""
    if isinstance(domain, Categorical):
        return domain if value in domain.categories else tune.choice([*domain.categories, value])
    if not isinstance(domain, Float | Integer):
        raise TypeError(f"a {type(domain).__name__} has no neighbourhood")
    low, high = _ends(domain, value)
    if low == high:
        return tune.choice([value])
    return between(domain, low, high, isinstance(domain.sampler, LogUniform))


def _points(domain: Domain, value: Any) -> list[Any]:
    """Return an axis's values, the start among them."""
    if isinstance(domain, Categorical):
        return list(domain.categories) if value in domain.categories else [*domain.categories, value]
    if not isinstance(domain, Float | Integer):
        raise TypeError(f"a {type(domain).__name__} has no neighbourhood")
    to, back = _scale(domain)
    low, high = _ends(domain, value)
    half = _half_width(domain)
    tried = [back(to(value) + half * step / (N_POINTS // 2)) for step in range(-(N_POINTS // 2), N_POINTS // 2 + 1)]
    if isinstance(domain, Integer):
        tried = [round(one) for one in tried]
        tried += [value - 1, value + 1] if len(set(tried)) < 3 else []
    inside = {_rounded(one) for one in tried if low <= one <= high}
    return sorted({one for one in inside if not math.isclose(one, value, rel_tol=1e-9)} | {value})


def _rounded(value: float) -> int | float:
    """Return a number of four digits."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _ends(domain: Float | Integer, value: float) -> tuple[float, float]:
    """Return the bounds around a value, inclusive."""
    to, back = _scale(domain)
    least, most = domain.lower, highest(domain)
    half = _half_width(domain)
    low, high = back(to(value) - half), back(to(value) + half)
    if isinstance(domain, Integer):
        low, high = min(math.floor(low), value - 1), max(math.ceil(high), value + 1)
    return min(max(low, least), value), max(min(high, most), value)


def _half_width(domain: Float | Integer) -> float:
    to, _ = _scale(domain)
    return SPAN / 2 * float(to(highest(domain)) - to(domain.lower))


def _scale(domain: Float | Integer) -> tuple[Any, Any]:
    """Return the way to a domain's scale, and back."""
    if isinstance(domain.sampler, LogUniform):
        return (lambda value: math.log(value) if value > 0 else -math.inf), math.exp
    return float, float
