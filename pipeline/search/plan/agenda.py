"""Follows a modelling plan.

A plan is a list of steps. Each names a family, and may name entries of its portfolio, whether its search goes on after
them, and its share of the budget. First all entries are asked for, step by step; then the families share what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacktune.errors import ConfigError
from stacktune.families.registry import get_family
from stacktune.search.narrowing import Spaces
from stacktune.search.space import load_space

# A family, and perhaps "entries" (numbers from 1), "share" and "search", as settings have them.
Step = Mapping[str, Any]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Agenda:
    """The order and the shares of a plan.

    opening: the family of each first trial. shares: of the budget, by family, one in all; empty where the search
    decides by itself what comes after the opening.
    """

    opening: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)

    def next_in_opening(self, n_asked: Mapping[str, int], candidates: Collection[str]) -> str | None:
        """Return the next family of the opening, or None.

        n_asked: trials that families were asked for. candidates: families that may be asked; others are passed over.
        """
        seen: Counter[str] = Counter()
        for family in self.opening:
            seen[family] += 1
            if seen[family] > n_asked.get(family, 0) and family in candidates:
                return family
        return None

    def furthest_behind(self, spent: Mapping[str, float], candidates: Sequence[str]) -> str | None:
        """Return the family furthest behind its share.

        It is None where there are no shares. spent: what families have had, in any unit.
        """
        if not self.shares:
            return None
        return min(candidates, key=lambda name: spent[name] / self.shares[name])


NO_AGENDA = Agenda()


def families_of(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return a plan's families, in order."""
    return tuple(dict.fromkeys(step["family"] for step in steps))


def check_steps(steps: Sequence[Step]) -> None:
    """Refuse a plan that cannot be followed.

    Raises:
        ConfigError: a family or an entry is none, or the shares are more than all.
    """
    for step in steps:
        family = get_family(step["family"])
        if family.searcher != "bayesian" and ("entries" in step or not step.get("search", True)):
            raise ConfigError(f"--plan: {family.name} searches in its own way, so a step of it has a share at most.")
        n_entries = len(load_space(family.name).portfolio)
        for entry in step.get("entries", ()):
            if entry > n_entries:
                raise ConfigError(f"--plan: the entries of {family.name} are 1 to {n_entries}, not {entry}.")
    for name, n_steps in Counter(step["family"] for step in steps if "share" in step).items():
        if n_steps > 1:
            raise ConfigError(f"--plan gives {name} {n_steps} shares: give one, in any of its steps.")
    total = sum(step.get("share", 0.0) for step in steps)
    n_without = len(set(families_of(steps)) - {step["family"] for step in steps if "share" in step})
    if total > 1 + _ROUNDING or (n_without and total > 1 - _ROUNDING):
        left = f", which leaves nothing for {n_without} others" if n_without else ""
        raise ConfigError(f"--plan deals out {total:g} of the budget{left}: let all shares be at most 1 together.")


def selected(steps: Sequence[Step], changes: Mapping[str, Mapping[str, Any]]) -> Spaces:
    """Return the spaces that a plan searches.

    changes: of parameters, see `Spaces`.
    """
    entries: dict[str, tuple[int, ...]] = {}
    for family in families_of(steps):
        of_family = [step for step in steps if step["family"] == family]
        if all("entries" in step for step in of_family):
            entries[family] = tuple(dict.fromkeys(entry for step in of_family for entry in step["entries"]))
    closed = frozenset(step["family"] for step in steps if not step.get("search", True))
    return Spaces(changes, entries, closed)


def agenda_of(steps: Sequence[Step], spaces: Spaces, is_large: bool) -> Agenda:
    """Return the order and the shares of a plan."""
    opening: list[str] = []
    for step in steps:
        whole = len(spaces.load(step["family"], is_large).portfolio)
        n_before = opening.count(step["family"])
        opening += [step["family"]] * min(len(step.get("entries", ())) or whole, whole - n_before)
    given = {step["family"]: step["share"] for step in steps if "share" in step}
    others = [family for family in families_of(steps) if family not in given]
    shares = given | {family: (1 - sum(given.values())) / len(others) for family in others} if given else {}
    return Agenda(tuple(opening), shares)


def plan_note(steps: Sequence[Step]) -> str:
    """Return a sentence on what a plan asks for."""
    said = []
    for step in steps:
        entries = f" {','.join(map(str, step['entries']))}" if "entries" in step else ""
        share = f" for {100 * step['share']:g} % of the budget" if "share" in step else ""
        said.append(f"{step['family']}{entries}{share}{'' if step.get('search', True) else ' and no search'}")
    return f"--plan: {'; '.join(said)}"
