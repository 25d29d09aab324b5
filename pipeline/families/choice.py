"""Chooses a run's families by name."""

from __future__ import annotations

from collections.abc import Sequence

from stacktune.errors import ConfigError, nearest
from stacktune.families.registry import all_families, get_family, known_families


def chosen_families(wanted: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Return the families to try.

    wanted: in the order given; empty for all that are installed. exclude: those that are not tried whatever `wanted`
    says.

    Raises:
        ConfigError: a name is none, a library is missing, or nothing is left.
    """
    for name in exclude:
        if name not in known_families():
            raise ConfigError(f"there is no model family {name!r} to exclude.{nearest(name, known_families())}")
    names = [get_family(name).name for name in wanted] or list(all_families())
    left = [name for name in names if name not in exclude]
    if not left:
        raise ConfigError(f"--exclude {','.join(exclude)} leaves no model family of {', '.join(names)}: leave one out.")
    return left


def exclusion_note(wanted: Sequence[str], exclude: Sequence[str]) -> str | None:
    """Return a sentence on what was excluded, or None."""
    without = [name for name in wanted or all_families() if name in exclude]
    return f"without {' and '.join(without)}, as --exclude says" if without else None
