"""Lets a program start a run.

It hands over settings and a table, in memory or at a path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from stacktune.data.in_memory import ArrowStream, Rows, Tables, as_rows
from stacktune.errors import ConfigError, SearchError
from stacktune.observers import Observer, Observers
from stacktune.report.outputs import RunSummary
from stacktune.runs import driver
from stacktune.runs.mirror import downloaded
from stacktune.runs.resume import Past, resume_config
from stacktune.settings.groups import Settings
from stacktune.settings.problem import IN_MEMORY
from stacktune.settings.read import check_together, load_settings
from stacktune.stop import Stopped, StopSignal
from stacktune.storage.uris import masked_uri

Table: TypeAlias = str | os.PathLike[str] | Rows | ArrowStream


def run(
    settings: Settings | Mapping[str, Any],
    table: Table | None = None,
    observers: Iterable[Observer] = (),
    *,
    test_table: Table | None = None,
    stop: StopSignal | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> RunSummary:
    """Find and register the best model of a table.

    Returns what `run.json` says.

        summary = run({"target": "income", "time_budget": "10m"}, frame)

    Any thread may call it, one run at a time. The table is not changed. A Ray that the process has already is used and
    left running.

    settings: those of `load_settings`, or its keys, which are those of `config.yaml`.
    table: a path, a URI, a pandas DataFrame, or what exports Arrow (pyarrow, Polars); left out where the settings name
        one. test_table: labelled rows on which the leader is judged, once.
    observers: hear what happens; see `Observer`.
    stop: a `threading.Event`, say. Once it is set, by an observer or by another thread, the run ends with the leader of
        the trials completed by then.
    resume: the folder or URI of a run to go on with; settings are then those that are given anew. A table that was in
        memory is handed over again.

    Raises:
        ConfigError, DataError: the settings or the table cannot be used. SearchError: no trial was completed.
    """
    observers = _checked_observers(observers)
    _check_kinds(settings, stop, resume)
    places, tables = _places_of(table, test_table)
    if resume is None:
        config, past = _settings_of(settings, places), None
    else:
        config, past = _past_of(settings, places, os.fspath(resume), observers)
    try:
        return driver.run(config, observers, None, past, tables, stop)
    except Stopped as stopped:
        if stopped.number is not None:
            raise
        raise SearchError("the run was stopped before a trial was completed: there is no leader.") from None


def _checked_observers(observers: Iterable[Observer]) -> list[Observer]:
    given = list(observers) if isinstance(observers, Iterable) else [observers]
    for one in given:
        if not isinstance(one, Observer):
            raise ConfigError(
                f"observers are objects of subclasses of stacktune.Observer, in a list; {one!r:.100} is none."
            )
    return given


def _check_kinds(settings: object, stop: object, resume: object) -> None:
    """Refuse values of kinds the signature lacks."""
    for name, given, kinds, wanted in (
        ("settings", settings, (Settings, Mapping), "a mapping such as {'target': 'income'}, or of load_settings"),
        ("resume", resume, (str, os.PathLike, type(None)), "the folder or URI of a run"),
        ("stop", stop, (StopSignal, type(None)), "a threading.Event, or anything else with is_set()"),
    ):
        if not isinstance(given, kinds):
            raise ConfigError(f"{name} must be {wanted}, not {given!r:.100}.")


def _places_of(table: Table | None, test_table: Table | None) -> tuple[dict[str, str], Tables]:
    """Return where the tables are, and those in memory.

    Places are by the keys of settings.
    """
    places: dict[str, str] = {}
    in_memory: dict[str, Rows] = {}
    for key, role, one in (("data", "training", table), ("test_data", "test", test_table)):
        if isinstance(one, str | os.PathLike):
            places[key] = os.fspath(one)
        elif one is not None:
            places[key], in_memory[role] = IN_MEMORY, as_rows(one)
    return places, Tables(**in_memory)


def _settings_of(settings: Settings | Mapping[str, Any], places: Mapping[str, str]) -> Settings:
    if isinstance(settings, Settings):
        given: Mapping[str, Any] = {"data": settings.data, "test_data": settings.test_data}
    else:
        given = settings
    for key, place in places.items():
        if given.get(key) not in (None, place, IN_MEMORY):
            raise ConfigError(
                f"the settings name a table, {masked_uri(str(given[key]))!r}, and another is handed over: leave "
                f"{key!r} out, or the other."
            )
    if not isinstance(settings, Settings):
        return load_settings({**settings, **places})
    changes: dict[str, Any] = dict(places)
    changed = replace(settings, **changes)
    check_together(changed)
    return changed


def _past_of(
    settings: Settings | Mapping[str, Any], places: Mapping[str, str], resume: str, observers: Iterable[Observer]
) -> tuple[Settings, Past]:
    """Return the settings of a run that goes on.

    Beside them stands what it left; observers are told what is to be said of that.
    """
    if isinstance(settings, Settings):
        raise ConfigError(
            "a run that goes on keeps its settings: give a mapping of those that may change, e.g. {'max_trials': 40}."
        )
    note = Observers(observers).note
    folder, _ = downloaded(resume, settings.get("output"), note)
    config, past = resume_config(Path(folder), {**settings, **places})
    for text in past.notes:
        note(text)
    return config, past
