"""Tells observers what a search tells."""

from __future__ import annotations

from pathlib import Path

from stacktune.observers import Observer
from stacktune.search.decisions import DecisionRecord
from stacktune.search.events import Event
from stacktune.search.source_kinds import drawings_of_series, drawings_of_trial
from stacktune.storage.run_folder import RunFolder
from stacktune.storage.uris import masked
from stacktune.streams import visible_lines
from stacktune.text import as_typed
from stacktune.trials.result import TrialResult
from stacktune.trials.trial import Trial


class SearchNews:
    """Listens to a run's search for its observers.

    What the user should know becomes a note. folder: the run's.
    """

    def __init__(self, observer: Observer, folder: Path):
        self._observer, self._folder = observer, folder
        # By name, and there by what makes an event another one: a search that begins again tells all of them once more.
        self._series: dict[str, dict[tuple[int, frozenset[str]], Event]] = {}

    def trial_started(self, trial: Trial) -> None:
        self._observer.trial_started(trial)
        for drawing in drawings_of_trial(trial):
            self._observer.drawing(trial.trial_id, drawing)

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        self._observer.trial_progress(trial, rung, score)

    def trial_finished(self, result: TrialResult) -> None:
        self._observer.trial_finished(result)

    def trial_retried_after_oom(self, trial: Trial) -> None:
        rows = f"{trial.rows_share:.3g}" if trial.rows_share < 1 else "all"
        self._observer.note(f"{trial.trial_id} ran out of memory and begins again on {rows} of its rows")

    def family_set_aside(self, family: str, reason: str) -> None:
        self._observer.note(f"{family} is set aside, as {reason}")

    def search_has_enough(self, reason: str) -> None:
        self._observer.note(f"the search ends: {reason}")

    def tune_broke_off(self, reason: str, told: str, *, goes_on: bool) -> None:
        account = RunFolder(self._folder).broken_off
        account.write_text(visible_lines(masked(told)), encoding="utf-8")
        what = "goes on with a new one" if goes_on else "ends"
        self._observer.note(f"Ray Tune broke off: {reason}; {as_typed(account)} has all of it, and the search {what}")

    def scratch_not_removed(self, n_nodes: int) -> None:
        what = "a node was" if n_nodes == 1 else f"{n_nodes} nodes were"
        self._observer.note(f"{what} not cleared of what trials wrote there; a later run on it removes it")

    def event(self, event: Event) -> None:
        self._series.setdefault(event.name, {})[event.step, frozenset(event.values)] = event
        self._observer.event(event)

    def decided(self, decision: DecisionRecord) -> None:
        self._observer.decided(decision)

    def close(self) -> None:
        """Draw what the sources have told."""
        for name, events in self._series.items():
            for drawing in drawings_of_series(name, list(events.values())):
                self._observer.drawing(name, drawing)
