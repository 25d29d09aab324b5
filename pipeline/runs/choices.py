"""Checks what a run was asked to try, and says what that does."""

from __future__ import annotations

from collections.abc import Collection

from stacktune.families.choice import exclusion_note
from stacktune.search.narrowing import change_notes, check_changes
from stacktune.settings.groups import SearchSettings


def check_choices(config: SearchSettings) -> None:
    """Refuse choices that cannot be followed.

    Raises:
        ConfigError: one names what is not there, or has a value of the wrong kind.
    """
    check_changes(config.search_space or {})


def choice_notes(config: SearchSettings, families: Collection[str]) -> list[str]:
    """Return a sentence on each choice.

    families: those that are tried.
    """
    notes = [note] if (note := exclusion_note(config.families, config.exclude)) else []
    changes = {name: one for name, one in (config.search_space or {}).items() if name in families}
    return notes + change_notes(changes)
