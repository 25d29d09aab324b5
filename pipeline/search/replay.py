"""The trials of a search that was cut off, as its journal and its folder tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stacktune.search.journal import ASKED, ENDED, PROGRESSED, TOOK_UP
from stacktune.search.log import STATES, Entry
from stacktune.trials.result import COMPLETED, TrialResult, result_from
from stacktune.trials.trial import Resume, progress_from, trial_from


def replay(events: Iterable[tuple[str, dict[str, Any]]], folder: Path) -> list[Entry]:
    """Return every trial that was asked for, in order, as far as it had come.

    Those without a result are ready to run again. folder: where completed trials lie; it may have moved since.
    """
    entries: dict[str, Entry] = {}
    for event, what in events:
        if event == ASKED:
            trial = trial_from(what)
            entries[trial.trial_id] = Entry(len(entries), trial)
        elif what.get("trial_id") in entries:  # where the disk was full, a trial may have been asked for unnoted
            _take_in(entries[what["trial_id"]], event, what, folder)
    for entry in entries.values():
        if entry.result is None or not _is_there(entry.result, folder):
            make_ready(entry, folder)
        elif entry.result.folder is not None:
            entry.result = replace(entry.result, folder=str(folder / entry.trial.trial_id))
    return list(entries.values())


def finished_since(entries: Iterable[Entry], folder: Path) -> list[TrialResult]:
    """Return the results of trials that were completed although the journal does not say so."""
    open_ids = [entry.trial.trial_id for entry in entries if entry.result is None]
    return [result for trial_id in open_ids if (result := _whole(folder / trial_id)) is not None]


def _is_there(result: TrialResult, folder: Path) -> bool:
    return result.status != COMPLETED or _whole(folder / result.trial_id) is not None


def _whole(place: Path) -> TrialResult | None:
    """Return the result of a trial whose files are complete; None where they are not, or were damaged since."""
    try:
        return TrialResult.load(place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _take_in(entry: Entry, event: str, what: dict[str, Any], folder: Path) -> None:
    if event == PROGRESSED:
        progress = progress_from({name: value for name, value in what.items() if name != "trial_id"})
        if progress.state is not None and not _has_state(folder, progress.state):
            progress = replace(progress, state=None)
        entry.reached(progress)
    elif event == TOOK_UP:
        entry.leave_state()
        entry.trial = trial_from(what)
    elif event == ENDED:
        entry.result = result_from(what)


def _has_state(folder: Path, state: str) -> bool:
    return (folder / STATES / Path(state).name).is_dir()


def make_ready(entry: Entry, folder: Path) -> None:
    """Let a trial that was cut off run again: a member of a population from its last state, any from finished folds."""
    entry.result = None
    entry.is_running = False
    took_up = entry.trial.resume is not None and entry.has_left_state
    entry.leave_state()
    if took_up and _has_state(folder, entry.trial.resume.folder):
        return
    last = entry.progress[-1] if entry.progress else None
    if last is not None and last.state is not None:
        entry.trial = replace(entry.trial, resume=Resume(last.state, last.rung, last.lineage))
    else:
        entry.trial = replace(entry.trial, resume=None)
