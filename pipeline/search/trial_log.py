"""Logs each step of a trial under its name."""

from __future__ import annotations

import logging

from stacktune.trials.result import FAILED, TrialResult
from stacktune.trials.trial import Progress, Trial

_logger = logging.getLogger(__name__)


def log_start(trial: Trial) -> None:
    """Log that a trial runs, with its configuration."""
    _logger.info("starts: %s %s", trial.family, dict(trial.config), extra=_named(trial.trial_id))


def log_rung(trial: Trial, progress: Progress) -> None:
    """Log a rung; a higher score is better."""
    what = (progress.rung, progress.n_rungs, progress.score, progress.fit_s)
    _logger.info("rung %d of %d: score %.6g after %.2f s", *what, extra=_named(trial.trial_id))


def log_again(trial: Trial, why: str) -> None:
    """Log that a trial restarts, or continues from elsewhere."""
    _logger.info("%s: %s", why, dict(trial.config), extra=_named(trial.trial_id))


def log_end(result: TrialResult) -> None:
    """Log a trial's end; of failures, the whole output."""
    if result.status == FAILED:
        _logger.warning("failed: %s", result.error, extra=_named(result.trial_id))
        return
    why = f" ({result.error})" if result.error else ""
    rungs, score, fit_s = f"{result.rungs_reached} of {result.n_rungs} rungs", result.score, result.fit_s
    _logger.info("%s: %s, score %.6g, %.2f s%s", result.status, rungs, score, fit_s, why, extra=_named(result.trial_id))


def log_broken(told: str) -> None:
    """Log all that Tune said when it broke off."""
    _logger.error("Ray Tune broke off: %s", told)


def _named(trial_id: str) -> dict[str, str]:
    return {"trial": trial_id}
