"""Going on with a run: what its folder must tell, and what may not have changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from stacktune.config import DEMO, URIS, RunConfig, load_config, parse_duration, to_yaml, without_secrets_in
from stacktune.errors import ConfigError
from stacktune.places import expanded
from stacktune.report.text import count
from stacktune.run.state import FOUND, FREE, RunState, plain, read_state
from stacktune.search.journal import elapsed_in, is_event, read_journal, runs_in
from stacktune.search.replay import replay
from stacktune.storage.lines import unread_lines, write_whole
from stacktune.storage.run_folder import JOURNAL, SPOOL, RunFolder
from stacktune.storage.uris import is_masked, masked
from stacktune.tracking.spool import is_noted
from stacktune.tracking.store import absolute

# With less left of its budget, a run that has its leader is not gone on with.
MIN_LEFT_S = 5.0


@dataclass(frozen=True)
class Past:
    """An earlier session of a run. elapsed_s: what the run has taken by now. notes: what is to be said of going on."""

    folder: Path
    state: RunState
    elapsed_s: float
    notes: tuple[str, ...] = ()

    @property
    def places(self) -> RunFolder:
        """The files in the run's folder."""
        return RunFolder(self.folder)


def write_config(folder: Path, config: RunConfig) -> None:
    """Write the settings, without the secrets in URIs."""
    write_whole(RunFolder(folder).config, to_yaml(without_secrets_in(config)))


def resume_config(folder: Path, flags: Mapping[str, Any]) -> tuple[RunConfig, Past]:
    """Return the settings of a run that goes on in `folder`, and what it left there.

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
    asked = load_config(flags, str(RunFolder(folder).config))
    _refuse_changes(past, asked, flags)
    past = replace(past, notes=(*_notes(folder, asked, given), *damage_notes(folder)))
    config = replace(asked, output=str(folder), experiment=past.state.experiment, register=past.state.model_name)
    if "address" not in given:
        config = replace(config, address=None)
    if "time_budget" in given:
        total_s = past.elapsed_s + parse_duration(flags["time_budget"])
        config = replace(config, time_budget_s=total_s, max_trials=asked.max_trials if "max_trials" in given else None)
    for name in ("data", "test_data"):
        place = str(Path.cwd()) if name in given else past.state.place
        if getattr(config, name) is not None:
            config = replace(config, **{name: _located(getattr(config, name), place)})
    _refuse_idle(config, past)
    return config, past


def saved_config(folder: Path) -> RunConfig:
    """Return the settings that a run wrote; ConfigError where its file is broken or gone."""
    path = str(RunFolder(folder).config)
    try:
        return load_config({}, path)
    except ConfigError as error:
        if path in str(error):
            raise
        raise ConfigError(f"{path!r} is not what a run wrote: {error}") from None


def damage_notes(folder: Path) -> list[str]:
    """Return what is to be said of the lines that are passed over."""
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


def _notes(folder: Path, asked: RunConfig, given: set[str]) -> list[str]:
    """Return what a folder, which may come from anywhere, makes the run do or not do elsewhere."""
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


def _refuse_changes(past: Past, asked: RunConfig, flags: Mapping[str, Any]) -> None:
    for name, before in _settings_of(past.state).items():
        after = getattr(asked, name)
        if (after is None and name in FOUND) or before == plain(after):
            continue
        flag = name.removeprefix("n_").removesuffix("_us")
        is_typed = flags.get(flag) is not None
        where = "" if is_typed else f" in {str(past.places.config)!r}"
        raise ConfigError(
            f"a resumed run keeps its settings, but --{flag.replace('_', '-')} is {_said(after)}{where} and was "
            f"{_said(before)}. {'Leave it out' if is_typed else 'Put it back'}, or begin a new run."
        )
    for name in URIS:
        check_whole(past.folder, name, getattr(asked, name))
    if flags.get("output") is not None and Path(flags["output"]).absolute() != past.folder:
        raise ConfigError(f"a resumed run writes into its own folder: leave --output {flags['output']!r} out.")


def check_whole(folder: Path, name: str, value: str | None) -> None:
    """Raise ConfigError where secrets of a setting, which was read from a run's folder, were left out there."""
    if value is not None and is_masked(value):
        flag = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
        raise ConfigError(f"the password of {value!r} was not kept in {str(folder)!r}: give {flag} again.")


def _settings_of(state: RunState) -> dict[str, Any]:
    """Return the settings that may not change as the run began with them; of one that has come since, the default."""
    defaults = {field.name: plain(field.default) for field in fields(RunConfig) if field.name not in FREE}
    found = {name: getattr(state, kept) for name, kept in FOUND.items()}
    return {name: state.settings.get(name, default) for name, default in defaults.items()} | found


def _said(value: Any) -> str:
    if value is None:
        return "left out"
    return repr(plain(",".join(map(str, value)) if isinstance(value, tuple | list) else value))


def _located(path: str, place: str) -> str:
    return path if path == DEMO or "://" in path else str(Path(place, expanded(path)))


def _refuse_idle(config: RunConfig, past: Past) -> None:
    """Raise ConfigError where the run has its leader and no time or trials left."""
    if not past.places.summary.exists():
        return
    if config.time_budget_s is not None and config.time_budget_s - past.elapsed_s < MIN_LEFT_S:
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
