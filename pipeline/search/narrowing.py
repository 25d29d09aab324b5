"""Changes search spaces as a user wants them.

A parameter's domain gives way to a value, a list or a range. Entries of the portfolio are moved into what is left, so
that nothing outside it is tried; what is left is tried point by point where it is a small grid.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ray import tune
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform

from stacktune.errors import ConfigError, nearest
from stacktune.families.registry import get_family
from stacktune.search.around import MAX_GRID, StartingPoint
from stacktune.search.space import SearchSpace, between, highest, load_space

Change = Any  # a value, a list of them, or a mapping with "low" and "high"


@dataclass(frozen=True)
class Spaces:
    """The search spaces of a run.

    changes: of parameters' domains, by family. entries: of portfolios, counted from 1, where not all are to be tried.
    closed: families of which nothing but these is to be tried. start: what the search of its family is around.
    """

    changes: Mapping[str, Mapping[str, Change]] = field(default_factory=dict)
    entries: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    start: StartingPoint | None = None

    def load(self, family: str, is_large: bool = False) -> SearchSpace:
        """Return a family's space, changed as asked.

        See `load_space`.
        """
        space = load_space(family, is_large)
        if family in self.entries:
            portfolio = load_space(family).portfolio
            space = replace(space, portfolio=tuple(portfolio[entry - 1] for entry in self.entries[family]))
        if family in self.changes:
            space = narrowed(family, space, self.changes[family])
        if self.start is not None and self.start.family == family:
            return self.start.within(space)
        return replace(space, is_closed=True) if family in self.closed else space


USUAL_SPACES = Spaces()


def check_changes(changes: Mapping[str, Mapping[str, Change]]) -> None:
    """Refuse changes that a family's space does not allow.

    Raises:
        ConfigError: a family or a parameter is none, or a value is of another kind than the parameter's.
    """
    for family, of_family in changes.items():
        if get_family(family).searcher != "bayesian":
            raise ConfigError(f"--search-space has {family}, which searches in its own way and cannot be changed.")
        narrowed(family, load_space(family), of_family)


def change_notes(changes: Mapping[str, Mapping[str, Change]]) -> list[str]:
    """Return a sentence a family on what was changed."""
    notes = []
    for family, of_family in changes.items():
        own = load_space(family)
        moved = [entry for entry in own.portfolio if entry not in narrowed(family, own, of_family).portfolio]
        beyond = [name for name, change in of_family.items() if _goes_beyond(own.domains[name], change)]
        note = f"{family} is searched in --search-space's {', '.join(of_family)}"
        if moved:
            are = "is" if len(moved) == 1 else "are"
            note += f"; {len(moved)} of the {len(own.portfolio)} first configurations {are} moved into it"
        if beyond:
            note += f"; {' and '.join(beyond)} beyond what {family} is known to be good in"
        notes.append(note)
    return notes


def narrowed(family: str, space: SearchSpace, changes: Mapping[str, Change]) -> SearchSpace:
    """Return a space with some of its domains changed."""
    domains = dict(space.domains)
    for name, change in changes.items():
        if name not in domains:
            raise ConfigError(f"--search-space: {family} has no parameter {name!r}.{nearest(name, domains)}")
        domains[name] = _changed(f"{family}.{name}", domains[name], change)
    moved = [{name: _into(domains[name], value) for name, value in entry.items()} for entry in space.portfolio]
    portfolio = [entry for place, entry in enumerate(moved) if entry not in moved[:place]]
    grid = list(_grid(domains))
    portfolio += [point for point in grid if point not in portfolio]
    return replace(space, domains=domains, portfolio=tuple(portfolio), is_closed=bool(grid))


def _changed(name: str, own: Domain, change: Change) -> Domain:
    if isinstance(own, Categorical):
        return _choice(name, own, change)
    if not isinstance(own, Float | Integer):
        raise ConfigError(f"--search-space: {name} cannot be changed.")
    if isinstance(change, Mapping):
        return _range(name, own, change)
    values = change if isinstance(change, list) else [change]
    for value in values:
        _check_number(name, own, value)
    return tune.choice([_as_number(own, value) for value in values])


def _choice(name: str, own: Categorical, change: Change) -> Domain:
    among = ", ".join(map(str, own.categories))
    if isinstance(change, Mapping):
        raise ConfigError(f"--search-space: {name} is one of {among}: give a value or a list, not a range.")
    values = change if isinstance(change, list) else [change]
    for value in values:
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in own.categories):
            hint = nearest(str(value), map(str, own.categories)) if isinstance(value, str) else ""
            raise ConfigError(f"--search-space: {name} must be among {among}, not {value!r}.{hint}")
    return tune.choice([one for one in own.categories if one in values])


def _range(name: str, own: Float | Integer, change: Mapping[str, Any]) -> Domain:
    low, high = change["low"], change["high"]
    for value in (low, high):
        _check_number(name, own, value)
    if low > high:
        raise ConfigError(f"--search-space: {name} has a low of {low:g} above its high of {high:g}.")
    if low == high:
        return tune.choice([_as_number(own, low)])
    is_log = change.get("log", isinstance(own.sampler, LogUniform))
    if is_log and low <= 0:
        raise ConfigError(f"--search-space: {name} is searched by its logarithm: its low must be above 0, not {low:g}.")
    return between(own, low, high, is_log)


def _check_number(name: str, own: Float | Integer, value: Any) -> None:
    what = "a whole number" if isinstance(own, Integer) else "a number"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (isinstance(own, Integer) and value % 1):
        raise ConfigError(f"--search-space: {name} must be {what}, as in {_bounds(own)}, not {value!r}.")
    if own.lower > 0 >= value:
        raise ConfigError(f"--search-space: {name} must be above 0, as in {_bounds(own)}, not {value!r}.")


def _as_number(own: Float | Integer, value: float) -> int | float:
    return int(value) if isinstance(own, Integer) else float(value)


def _bounds(own: Float | Integer) -> str:
    return f"{own.lower:g} to {highest(own):g}"


def _goes_beyond(own: Domain, change: Change) -> bool:
    if not isinstance(own, Float | Integer):
        return False
    ends = [change["low"], change["high"]] if isinstance(change, Mapping) else change
    values = ends if isinstance(ends, list) else [ends]
    return min(values) < own.lower or max(values) > highest(own)


def _into(domain: Domain, value: Any) -> Any:
    """Return a domain's nearest to a value."""
    if isinstance(domain, Categorical):
        if value in domain.categories:
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return min(domain.categories, key=lambda one: abs(one - value)) if is_number else domain.categories[0]
    return min(max(value, domain.lower), highest(domain)) if isinstance(domain, Float | Integer) else value


def _grid(domains: Mapping[str, Domain]) -> Iterator[dict[str, Any]]:
    """Yield each point of a small grid."""
    lists = [domain.categories for domain in domains.values() if isinstance(domain, Categorical)]
    if len(lists) == len(domains) and math.prod(map(len, lists)) <= MAX_GRID:
        for values in itertools.product(*lists):
            yield dict(zip(domains, values, strict=True))
