"""Names what is checked.

It is a family and its search space, by the names of their modules.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from stacktune.errors import ConfigError
from stacktune.families._unseen import with_unseen
from stacktune.families.base import Config, Family
from stacktune.families.registry import all_families

if TYPE_CHECKING:
    from stacktune.search.space import SearchSpace


@dataclass(frozen=True)
class Subject:
    """A family to check.

    family_module: the dotted name of a module that defines FAMILY. space_module: that of one that defines SPACE and
    PORTFOLIO. They are names, since some checks import the family anew in a process of their own.
    """

    family_module: str
    space_module: str

    @property
    def family(self) -> Family:
        """Return the family as a run has it.

        Its models are never asked about levels that they do not know.
        """
        return _family(self.family_module)

    @property
    def name(self) -> str:
        return self.family.name

    @property
    def kinds(self) -> tuple[str, ...]:
        """The tasks that the family claims, in alphabetical order."""
        return tuple(sorted(self.family.tasks))

    @property
    def space(self) -> SearchSpace:
        return _space(self.space_module)

    @property
    def default(self) -> Config:
        """The configuration that is tried first."""
        return self.space.portfolio[0]


@cache
def subject_of(name: str) -> Subject:
    """Return this package's family of that name."""
    return Subject(f"stacktune.families.{name}", f"stacktune.search_spaces.{name}")


def house_subjects() -> tuple[Subject, ...]:
    """Return this package's families with installed libraries."""
    return tuple(subject_of(name) for name in all_families())


@cache
def _family(module: str) -> Family:
    return with_unseen(_defined(module, "FAMILY"))


@cache
def _space(module: str) -> SearchSpace:
    for name in ("SPACE", "PORTFOLIO"):
        _defined(module, name)
    from stacktune.search.space import space_in  # Ray's, which takes longer to import than all that is here

    return space_in(importlib.import_module(module))


def _defined(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    if not hasattr(found, name):
        raise ConfigError(f"the module {module} defines no {name}; pipeline/README.md says what a family is made of")
    return getattr(found, name)
