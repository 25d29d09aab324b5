"""Checks what a run was asked to try."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from stacktune.families.choice import exclusion_note
from stacktune.runs.starting_point import starting_point
from stacktune.search.narrowing import Spaces, change_notes, check_changes
from stacktune.search.plan.agenda import check_steps, families_of, plan_note, selected
from stacktune.settings.groups import BY_KEY, SearchSettings, Settings
from stacktune.settings.presets import PRESETS


def wanted_families(config: SearchSettings) -> Sequence[str]:
    """Return the families that were asked for.

    There are none where all are to be tried.
    """
    start = starting_point(config)
    if start is not None:
        return (start.family,)
    return families_of(config.plan) if config.plan else config.families


def spaces_of(config: SearchSettings) -> Spaces:
    """Return the spaces that are to be searched."""
    spaces = selected(config.plan, config.search_space or {})
    return replace(spaces, start=starting_point(config))


def check_choices(config: SearchSettings) -> None:
    """Refuse choices that cannot be followed.

    Raises:
        ConfigError: one names what is not there, or has a value of the wrong kind.
    """
    check_changes(config.search_space or {})
    check_steps(config.plan)
    start = starting_point(config)
    if start is not None:
        start.check(selected((), config.search_space or {}).load(start.family))


def choice_notes(config: Settings, families: Collection[str]) -> list[str]:
    """Return a sentence on each choice.

    families: those that are tried.
    """
    notes = [note] if (note := _preset_note(config)) else []
    notes += [note] if (note := exclusion_note(config.families, config.exclude)) else []
    notes += [plan_note(config.plan)] if config.plan else []
    if start := starting_point(config):
        notes.append(start.note(len(spaces_of(config).load(start.family).portfolio)))
    return notes + change_notes({name: one for name, one in (config.search_space or {}).items() if name in families})


def _preset_note(config: Settings) -> str | None:
    """Return what a preset has set, or None."""
    if config.preset is None:
        return None
    held = []
    for key, choice in PRESETS[config.preset].choices.items():
        if getattr(config, BY_KEY[key].name) == BY_KEY[key].spec.kind.read(choice.value):
            value = ",".join(choice.value) if isinstance(choice.value, list) else choice.value
            held.append(f"{BY_KEY[key].flag} {value}")
    return f"--preset {config.preset} stands for {' '.join(held) or 'nothing here: all of it was given otherwise'}"
