"""Kinds of settings that give names numbers or groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stacktune.settings.kinds import Kind, MisfitError, number_in


def values_by_name(pairs: Sequence[str]) -> dict[str, float]:
    """Return the numbers of a `numbers_by_name` setting."""
    found = (pair.rpartition("=") for pair in pairs)
    return {name: float(number) for name, _, number in found}


def groups_of(groups: Sequence[str]) -> list[list[str]]:
    """Return the names of each group."""
    return [group.split(",") for group in groups]


def numbers_by_name(example: str) -> Kind:
    """Return the kind of names with a number each.

    Settings of it are texts as in "fn=10": see `values_by_name`. A file may also have a mapping, and a list of such
    texts, which names with commas need.
    """
    return Kind(f"names with a number each, as in {example}", _numbers_by_name)


def _numbers_by_name(value: object) -> tuple[str, ...]:
    numbers: dict[str, float] = {}
    for name, number in _pairs(value):
        if not name or name in numbers:
            raise MisfitError(value)
        numbers[name] = number_in(number)
        if not math.isfinite(numbers[name]):
            raise MisfitError(value)
    return tuple(f"{name}={number}" for name, number in numbers.items())


def _pairs(value: object) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(name).strip(), number) for name, number in value.items()]
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and "=" in text for text in texts):
        raise MisfitError(value)
    parts = (text.rpartition("=") for text in texts)
    return [(name.strip(), number.strip()) for name, _, number in parts]


def _name_groups(value: object) -> tuple[str, ...]:
    """Return each group as names with commas between them."""
    groups = value.split(";") if isinstance(value, str) else value
    if not isinstance(groups, list | tuple):
        raise MisfitError(value)
    names = [group.split(",") if isinstance(group, str) else group for group in groups]
    if not all(isinstance(group, list | tuple) and all(isinstance(name, str) for name in group) for group in names):
        raise MisfitError(value)
    kept = [[name.strip() for name in group if name.strip()] for group in names]
    if not all(kept):
        raise MisfitError(value)
    return tuple(",".join(dict.fromkeys(group)) for group in kept)


NAME_GROUPS = Kind("groups of names, with commas in a group and semicolons between groups, as in a,b;c", _name_groups)
