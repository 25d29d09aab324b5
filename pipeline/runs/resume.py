"""Goes on with a run from its folder.

Some of what that tells may not have changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.families.choice import chosen_families
from stacktune.places import expanded
from stacktune.runs.state import RunState, read_state
from stacktune.search.journal import elapsed_in, is_event, read_journal, runs_in
from stacktune.search.replay import replay
from stacktune.settings.groups import SETTINGS, Settings
from stacktune.settings.kinds import TABLE, parse_duration
from stacktune.settings.problem import DEMO, IN_MEMORY
from stacktune.settings.read import load_settings, to_yaml, without_secrets_in
from stacktune.settings.resuming import resumed
from stacktune.storage.lines import unread_lines, write_whole
from stacktune.storage.run_folder import JOURNAL, SPOOL, RunFolder
from stacktune.storage.uris import masked
from stacktune.text import count
from stacktune.tracking.spool import is_noted
from stacktune.tracking.store import absolute

# With less left of its budget, a run that has its leader is not gone on with.
MIN_REMAINING_S = 5.0


@dataclass(frozen=True)
class Past:
    """An earlier session of a run.

    elapsed_s: what the run has taken by now. notes: sentences on going on.
    """

    folder: Path
    state: RunState
    elapsed_s: float
    notes: tuple[str, ...] = ()

    @property
    def places(self) -> RunFolder:
        """The files in the run's folder."""
        return RunFolder(self.folder)


def write_config(folder: Path, config: Settings) -> None:
    """Write the settings, without the secrets in URIs."""
    write_whole(RunFolder(folder).config, to_yaml(without_secrets_in(config)))


def resume_config(folder: Path, flags: Mapping[str, Any]) -> tuple[Settings, Past]:
    """Return a run's settings, and what it left.

    folder: in which it goes on.

    flags: those that were typed. A time budget among them is time on top of what the run has taken.

    Raises:
        ConfigError: there is no run; a flag says something else than the run began with; nothing is left to do.
    """
    folder = folder.absolute()
    past = Past(folder, read_state(folder), _elapsed_s(folder))
    _refuse_other_journal(past)
    if flags.get("tracking_uri"):
        flags = {**flags, "tracking_uri": absolute(flags["tracking_uri"])}
    given = {name for name, value in flags.items() if value is not None}
    saved_config(folder)
    asked = load_settings(flags, str(RunFolder(folder).config))
    config = resumed(asked, flags, folder, past.state.settings, past.state.found)
    past = replace(past, notes=(*_notes(folder, asked, given), *damage_notes(folder)))
    if "time_budget" in given:
        total_s = past.elapsed_s + parse_duration(flags["time_budget"])
        config = replace(config, time_budget_s=total_s, max_trials=asked.max_trials if "max_trials" in given else None)
    for table in (one for one in SETTINGS if one.spec.kind is TABLE and getattr(config, one.name) is not None):
        place = str(Path.cwd()) if table.key in given else past.state.place
        change: dict[str, Any] = {table.name: _located(getattr(config, table.name), place)}
        config = replace(config, **change)
    chosen_families(config.families, config.exclude)  # a name that is none is told before there is nothing to do
    _refuse_idle(config, past)
    return config, past


def saved_config(folder: Path) -> Settings:
    """Return the settings that a run wrote.

    Raises ConfigError where their file is broken or gone.
    """
    path = str(RunFolder(folder).config)
    try:
        return load_settings({}, path)
    except ConfigError as error:
        if path in str(error):
            raise
        raise ConfigError(f"{path!r} is not what a run wrote: {error}") from None


def damage_notes(folder: Path) -> list[str]:
    """Return sentences on lines that are passed over."""
    notes = []
    for name, is_one, what in (
        (JOURNAL, is_event, "what they tell of trials is lost, and done anew where it must be"),
        (SPOOL, is_noted, "MLflow may miss what they hold"),
    ):
        numbers = unread_lines(folder / name, is_one)
        if numbers:
            lines = f"{count(len(numbers), 'line')} of {str(folder / name)!r} cannot be read"
            notes.append(f"{lines} (the first is line {numbers[0]:,}): {what}")
    return notes


def _notes(folder: Path, asked: Settings, given: set[str]) -> list[str]:
    """Return sentences on what the folder's settings do elsewhere.

    A folder may come from anywhere.
    """
    notes = []
    if asked.address and "address" not in given:
        notes.append(
            f"the run was on the Ray cluster at {asked.address}, which is joined again only where --address or "
            "RAY_ADDRESS says so"
        )
    elsewhere = [f"logs to {asked.tracking_uri}"] if asked.tracking_uri and "tracking_uri" not in given else []
    elsewhere += [f"keeps its copy below {asked.storage}"] if asked.storage and "storage" not in given else []
    if elsewhere:
        notes.append(f"as {RunFolder(folder).config} says, the run {masked(' and '.join(elsewhere))}")
    return notes


def _refuse_other_journal(past: Past) -> None:
    others = runs_in(past.places.journal) - {past.state.run}
    if others:
        raise ConfigError(
            f"{str(past.folder)!r} holds the state of one run and the journal of another: neither can be gone on with. "
            "Take the folder from where it came from once more."
        )


def _elapsed_s(folder: Path) -> float:
    places = RunFolder(folder)
    in_summary = places.read_summary()["wall_s"] if places.summary.exists() else 0.0
    return max(in_summary, elapsed_in(places.journal))


def _located(path: str, place: str) -> str:
    return path if path in (DEMO, IN_MEMORY) or "://" in path else str(Path(place, expanded(path)))


def _refuse_idle(config: Settings, past: Past) -> None:
    """Raise ConfigError where nothing is left to do.

    The run then has its leader, and no time or trials are left.
    """
    if not past.places.is_finished:
        return
    if config.time_budget_s is not None and config.time_budget_s - past.elapsed_s < MIN_REMAINING_S:
        raise ConfigError(
            f"the run in {str(past.folder)!r} has ended, and its {config.time_budget_s:g} s are used; "
            "--time-budget 10m gives it ten minutes more."
        )
    entries = replay(read_journal(past.places.journal), past.places.trials, past.state.made_by)
    is_done = config.max_trials is not None and len(entries) >= config.max_trials
    if is_done and all(entry.result is not None for entry in entries):
        raise ConfigError(
            f"the run in {str(past.folder)!r} has ended with its {len(entries)} trials; "
            f"a --max-trials above that lets it go on."
        )
