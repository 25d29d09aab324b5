"""Hears from Tune which actor a trial started in.

What Tune itself would tell of a search, it tells nobody: observers do.
"""

from __future__ import annotations

from typing import Any

from ray.tune import Callback, ProgressReporter

from stacktune.search.log import SearchLog
from stacktune.search.tune.searcher import TRIAL


class StartCallback(Callback):
    """Passes starts on to the log."""

    def __init__(self, log: SearchLog):
        self._log = log

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial starts, or runs again."""
        self._log.started(trial.config[TRIAL]["trial_id"], trial.temporary_state.ray_actor)


class SilentReporter(ProgressReporter):
    """Keeps Tune from clearing a notebook's cell.

    It does so whatever its verbosity.
    """

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Return that it is never time to."""
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: str) -> None:
        """Report nothing."""
