"""Reads a search space from a Python file.

There, domains are Ray Tune's, as in `search_spaces/`. They become the plain values that a YAML file would hold, which
are what a run keeps: the file is run once, when it is named.
"""

from __future__ import annotations

import math
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.own_module import UsersCode

SPACES = "SPACES"


def read_spaces(file: str, what: str) -> Any:
    """Return a file's SPACES: domains by family and parameter.

    what: the file's role, as in "the search space".

    Raises:
        ConfigError: it cannot be read, raises, defines no SPACES, or has a domain that no YAML file could say.
    """
    if not Path(file).is_file():
        raise ConfigError(f"{what} {file!r} cannot be read: there is no such file.")
    with UsersCode(f"{what} {file!r} cannot be used"):
        found = runpy.run_path(file)
    if not isinstance(found.get(SPACES), Mapping):
        raise ConfigError(
            f"{what} {file!r} defines no {SPACES}: write {SPACES} = {{'lightgbm': {{'learning_rate': "
            "tune.loguniform(0.01, 0.1)}}."
        )
    return {
        family: {name: _plain(f"{what} {file!r}: {family}.{name}", one) for name, one in changes.items()}
        if isinstance(changes, Mapping)
        else changes
        for family, changes in found[SPACES].items()
    }


def _plain(name: str, domain: Any) -> Any:
    """Return what YAML says for a domain."""
    if hasattr(domain, "categories"):
        return list(domain.categories)
    if not hasattr(domain, "sampler"):
        return domain
    sampler, kind = type(domain.sampler).__name__, type(domain).__name__
    is_range = kind in ("Float", "Integer") and all(map(math.isfinite, (domain.lower, domain.upper)))
    if not is_range or sampler not in ("_Uniform", "_LogUniform"):
        raise ConfigError(
            f"{name} must be a value, a list, or Tune's choice, uniform, loguniform, randint or lograndint, not "
            f"{domain}."
        )
    high = domain.upper - 1 if kind == "Integer" else domain.upper  # which Tune leaves out
    return {"low": domain.lower, "high": high, "log": sampler == "_LogUniform"}
