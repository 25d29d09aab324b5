"""The families, found by walking this folder: every module that has no leading underscore and defines FAMILY."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.util import find_spec

import pipeline.families as package
from pipeline.errors import ConfigError, nearest
from pipeline.families._unseen import with_unseen
from pipeline.families.base import Family

NO_FAMILIES = ("architecture", "base", "registry")


@cache
def all_families() -> dict[str, Family]:
    """Return every family whose library is installed, by name, in alphabetical order."""
    return {name: family for name, family in known_families().items() if _is_installed(family)}


@cache
def known_families() -> dict[str, Family]:
    """Return every family by name, whether or not its library is installed."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("_") or module.name in NO_FAMILIES:
            continue
        family = importlib.import_module(f"{package.__name__}.{module.name}").FAMILY
        if family.name != module.name:
            raise ValueError(f"a family is named after its file, but {module.name}.py defines {family.name!r}")
        found[family.name] = with_unseen(family)
    return found


def _is_installed(family: Family) -> bool:
    return family.requires is None or find_spec(family.requires) is not None


def get_family(name: str) -> Family:
    """Return the family called `name`, or raise ConfigError with the nearest name, or with what is to be installed."""
    families, known = all_families(), known_families()
    if name not in known:
        raise ConfigError(f"there is no model family {name!r}.{nearest(name, families)}")
    if name not in families:
        library = known[name].requires
        raise ConfigError(
            f"the model family {name!r} needs the library {library!r}, which is not installed; "
            f'install it with: pip install "stacktune[{name}]"'
        )
    return families[name]
