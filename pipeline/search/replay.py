"""Rebuilds a search from its journal and its folder.

The problem: a run that is killed, by whatever and whenever, goes on as if it had not been. That asks for the state of
the searcher, of rungs and populations, of an architecture search's controller, and of each trial under way.

What does not work well: to write that state as it is. Tune's snapshots hold pickled objects of every library involved,
which another version does not read; they are as old as the last one, and each costs its event loop the more the longer
the run is.

The solution: all of that state follows from what was asked and what came of it, in order. So only that is written, a
line an event (`journal`), and everything is computed anew from it: sources are told what they were told before, and
answer as they did. What cannot be computed, models and members' states, lies in folders that say whose they are.

What is guaranteed: a reproducible run that was killed any number of times has the leaderboard that it would have had.
Nothing is taken from a disk that this run did not leave there, with the data that it has now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stacktune.search.journal import ASKED, ENDED, PROGRESSED, TOOK_UP
from stacktune.search.log import STATES, Entry
from stacktune.trials.provenance import NO_RUN, Provenance, is_same, is_state
from stacktune.trials.result import COMPLETED, TrialResult, load_result, result_from
from stacktune.trials.trial import Progress, Resume, progress_from, trial_from


def replay(events: Iterable[tuple[str, dict[str, Any]]], folder: Path, made_by: Provenance = NO_RUN) -> list[Entry]:
    """Return every trial that was asked for, in order.

    Each is as far along as it had come.

    Those without a result are ready to run again, also where their folder is not what the run `made_by` left there.
    folder: where completed trials lie; it may have moved since.
    """
    entries: dict[str, Entry] = {}
    for event, what in events:
        if event == ASKED:
            trial = trial_from(what)
            entries[trial.trial_id] = Entry(len(entries), trial)
        elif what.get("trial_id") in entries:  # where the disk was full, a trial may have been asked for unnoted
            _take_in(entries[what["trial_id"]], event, what)
    for entry in entries.values():
        _find(entry, folder, made_by)
    return list(entries.values())


def _find(entry: Entry, folder: Path, made_by: Provenance) -> None:
    """Load a trial's result; without one, queue the trial."""
    entry.progress = [_with_state_if_there(progress, folder, made_by) for progress in entry.progress]
    if entry.result is not None and entry.result.status == COMPLETED:
        found = load_result(folder / entry.trial.trial_id, made_by)
        entry.is_lost = found is None or not _is_same_result(found, entry.result)
    if entry.result is None or entry.is_lost:
        make_ready(entry, folder, made_by)
    elif entry.result.folder is not None:
        entry.result = replace(entry.result, folder=str(folder / entry.trial.trial_id))


def _with_state_if_there(progress: Progress, folder: Path, made_by: Provenance) -> Progress:
    is_gone = progress.state is not None and not _has_state(folder, progress.state, made_by)
    return replace(progress, state=None) if is_gone else progress


def finished_since(entries: Iterable[Entry], folder: Path, made_by: Provenance = NO_RUN) -> list[TrialResult]:
    """Return results of completed trials missing in the journal."""
    finished = []
    for entry in entries:
        if entry.result is None and (folder / entry.trial.trial_id).exists():
            found = load_result(folder / entry.trial.trial_id, made_by)
            if found is not None and _is_of(found, entry):
                finished.append(found)
    return finished


def _is_of(found: TrialResult, entry: Entry) -> bool:
    trial = entry.trial
    return (found.trial_id, found.family) == (trial.trial_id, trial.family) and is_same(found.config, trial.config)


def _is_same_result(found: TrialResult, noted: TrialResult) -> bool:
    is_same_trial = found.trial_id == noted.trial_id and is_same(found.config, noted.config)
    return is_same_trial and found.fold_scores == noted.fold_scores


def _take_in(entry: Entry, event: str, what: dict[str, Any]) -> None:
    if event == PROGRESSED:
        entry.reached(progress_from({name: value for name, value in what.items() if name != "trial_id"}))
    elif event == TOOK_UP:
        entry.discard_state()
        entry.trial = trial_from(what)
    elif event == ENDED:
        entry.result = result_from(what)


def _has_state(folder: Path, state: str, made_by: Provenance) -> bool:
    return is_state(folder / STATES / Path(state).name, made_by)


def make_ready(entry: Entry, folder: Path, made_by: Provenance) -> None:
    """Let a trial that was cut off run again.

    A member of a population goes on from its last state, any other trial from its finished folds.
    """
    entry.result = None
    entry.is_running = False
    took_up = entry.trial.resume if entry.has_discarded_state else None
    entry.discard_state()
    if took_up is not None and _has_state(folder, took_up.folder, made_by):
        return
    last = entry.progress[-1] if entry.progress else None
    if last is not None and last.state is not None:
        entry.trial = replace(entry.trial, resume=Resume(last.state, last.rung, last.lineage))
    else:
        entry.trial = replace(entry.trial, resume=None)
