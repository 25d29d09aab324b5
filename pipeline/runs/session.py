"""A run while it lasts, for its parts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from stacktune.data.dataset import Dataset
from stacktune.data.table import Table
from stacktune.explain.held_out import Looked
from stacktune.observers import Observers
from stacktune.runs.deadline import search_ends_at
from stacktune.runs.pace import MIN_STACKING_S, Clock, Pace, telling_s
from stacktune.search.journal import Journal
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.tracker import Tracker
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance


@dataclass(frozen=True)
class Session:
    """One run, from table to registered leader.

    made_by: what all files of its trials bear. looked: rows with features by which the leader is explained.
    """

    config: Settings
    clock: Clock
    pace: Pace
    dataset: Dataset
    test: Table | None
    problem: Problem
    made_by: Provenance
    folder: Path
    journal: Journal
    tracker: Tracker
    observers: Observers
    looked: Looked | None = None

    @property
    def places(self) -> RunFolder:
        """The files in the run's folder."""
        return RunFolder(self.folder)

    def begin(self, phase: str) -> None:
        """Tell observers and the journal the new phase."""
        self.journal.beat()
        self.observers.begin(phase, self.clock.elapsed_s)

    def note(self, text: str) -> None:
        """Tell observers what the user should know."""
        self.observers.note(text)

    def search_ends_at(self, n_trials: int) -> float:
        """Return when searching must end, as known now.

        See `search_ends_at` of deadline.py.
        """
        is_open, reports = self.tracker.has_tried, not self.config.no_report
        return search_ends_at(self.clock, self.pace, self.problem, self.test, n_trials, is_open, reports)

    @property
    def telling_s(self) -> float:
        """Return the seconds kept to explain and to report."""
        if self.config.no_report or self.clock.budget_s is None:
            return 0.0
        return telling_s(self.pace, self.clock.budget_s)

    def remaining_stacking_s(self, began_at: float) -> float:
        """Return the usual seconds left for ensembles.

        began_at: when they were begun (`time.monotonic()`).
        """
        remaining_s = self.clock.remaining_s() - self.pace.ending_s() - self.telling_s
        at_least_s = began_at + MIN_STACKING_S - time.monotonic()
        return max(remaining_s, at_least_s) / self.pace.usual_s
