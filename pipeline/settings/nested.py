"""Defines settings that may have their own file.

Such a setting is the path of a file, or what that would hold. It is read at once, so that `config.yaml` and a
resumed run have what it said, whatever becomes of the file. What its names mean is checked by who knows them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from stacktune.errors import ConfigError, nearest
from stacktune.settings.kinds import TEXT, Kind, MisfitError
from stacktune.settings.python_file import read_spaces
from stacktune.settings.yaml_file import read_yaml

_STEP = ("family", "entries", "share", "search")
_RANGE = {"low", "high", "log"}


def _in_file(
    rule: str, what: str, shape: Callable[[Any], Any], in_python: Callable[[str, str], Any] | None = None
) -> Kind:
    """Return the kind of what a file holds.

    shape: returns plain values, or raises MisfitError. in_python: reads a file of Python, where such may be given.
    """

    def read(value: object) -> Any:
        if isinstance(value, str | os.PathLike) and value != "":
            file = str(os.fspath(value))
            return shape(in_python(file, what) if file.endswith(".py") and in_python else read_yaml(file, what))
        return shape(value)

    return Kind(rule, read)


def _spaces(value: object) -> dict[str, dict[str, Any]]:
    """Return changes of parameters' domains by family."""
    if not isinstance(value, Mapping) or not value:
        raise MisfitError(value)
    for changes in value.values():
        if not isinstance(changes, Mapping) or not changes:
            raise MisfitError({name: one for name, one in value.items() if one is changes})
    return {
        str(family): {str(name): _change(one) for name, one in changes.items()} for family, changes in value.items()
    }


def _change(value: object) -> Any:
    if isinstance(value, Mapping):
        is_range = {"low", "high"} <= set(value) <= _RANGE and isinstance(value.get("log", True), bool)
        if not is_range or not all(_is_number(value[end]) for end in ("low", "high")):
            raise MisfitError(dict(value))
        return dict(value)
    if isinstance(value, list | tuple):
        if not value or not all(_is_plain(one) for one in value):
            raise MisfitError(value)
        return list(value)
    if not _is_plain(value):
        raise MisfitError(value)
    return value


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool) or _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _steps(value: object) -> tuple[dict[str, Any], ...]:
    """Return the steps of a modelling plan."""
    if value == ():  # a program's way to say that there is none
        return ()
    if not isinstance(value, list | tuple) or not value:
        raise MisfitError(value)
    return tuple(map(_step, value))


def _step(value: object) -> dict[str, Any]:
    step = {"family": value} if isinstance(value, str) else value
    if not isinstance(step, Mapping) or not step:
        raise MisfitError(value)
    for name in map(str, step):
        if name not in _STEP:
            raise ConfigError(f"--plan: a step has no {name!r}.{nearest(name, _STEP)}")
    entries = step.get("entries", [1])
    entries = entries if isinstance(entries, list | tuple) else [entries]
    are_entries = entries and all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in entries)
    share = step.get("share", 1)
    is_sound = isinstance(step.get("family"), str) and isinstance(step.get("search", True), bool)
    if not (is_sound and are_entries and _is_number(share) and 0 < share <= 1):
        raise MisfitError(dict(step))
    return dict(step) | ({"entries": list(entries)} if "entries" in step else {})


def _start(value: object) -> Any:
    """Return a start, as typed or as found.

    A run finds the configuration when it begins, and keeps that.
    """
    if not isinstance(value, Mapping):
        return TEXT.read(value)
    is_found = set(value) == {"family", "config", "source"} and isinstance(value["config"], Mapping)
    if not is_found or not all(isinstance(value[name], str) for name in ("family", "source")):
        raise MisfitError(dict(value))
    return {**value, "config": {str(name): _change(one) for name, one in value["config"].items()}}


START = Kind("a run's folder, a trial's folder below it, a model's folder or models:/NAME@leader", _start)
STEPS = _in_file(
    "a YAML file of steps, each a family or {family: …, entries: [1, …], share: 0.…, search: true or false}",
    "the plan",
    _steps,
)
SPACES = _in_file(
    "a YAML file of families, each with parameters: a value, a list of values, or {low: …, high: …}",
    "the search space",
    _spaces,
    read_spaces,
)
