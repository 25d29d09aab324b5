"""Hears from Tune which actor a trial started in."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback

from stacktune.search.log import SearchLog
from stacktune.search.tune.searcher import TRIAL


class StartCallback(Callback):
    """Passes starts on to the log."""

    def __init__(self, log: SearchLog):
        self._log = log

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial starts, or runs again."""
        self._log.started(trial.config[TRIAL]["trial_id"], trial.temporary_state.ray_actor)
