"""The families, found by walking this folder: every module that has no leading underscore and defines FAMILY."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import pipeline.families as package
from pipeline.errors import ConfigError, nearest
from pipeline.families.base import Family


@cache
def all_families() -> dict[str, Family]:
    """Return every family by name, in alphabetical order."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("_") or module.name in ("base", "registry"):
            continue
        family = importlib.import_module(f"{package.__name__}.{module.name}").FAMILY
        if family.name != module.name:
            raise ValueError(f"a family is named after its file, but {module.name}.py defines {family.name!r}")
        found[family.name] = family
    return found


def get_family(name: str) -> Family:
    """Return the family called `name`, or raise ConfigError with the nearest name."""
    families = all_families()
    if name not in families:
        raise ConfigError(f"there is no model family {name!r}.{nearest(name, families)}")
    return families[name]
