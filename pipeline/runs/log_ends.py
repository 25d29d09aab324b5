"""Begins and ends a run's log with the essentials.

They are what ran where, what it was asked to do, and what came of it.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections.abc import Sequence
from pathlib import Path

from stacktune.report.outputs import RunSummary, library_versions
from stacktune.settings.groups import Settings
from stacktune.settings.read import to_yaml, without_secrets_in

_logger = logging.getLogger(__name__)


def log_beginning(settings: Settings, run_id: str, folder: Path, notes: Sequence[str] | None) -> None:
    """Log the run, its process, versions and settings.

    notes: what was said of going on with the run; None for a new one.
    """
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    what = "begins" if notes is None else "goes on"
    _logger.info("run %s %s in %s, process %d on %s", run_id, what, folder, os.getpid(), socket.gethostname())
    _logger.info("Python %s on %s; %s", platform.python_version(), platform.platform(), versions)
    _logger.info("settings\n%s", to_yaml(without_secrets_in(settings)))
    for note in notes or ():
        _logger.info("%s", note)


def log_ending(summary: RunSummary) -> None:
    """Log the leader and how many trials there were."""
    counts = f"{summary.n_completed} trials completed, {summary.n_stopped} stopped, {summary.n_failed} failed"
    _logger.info("%s leads with %s %.6g; %s", summary.leader, summary.metric, summary.cv_score, counts)
    _logger.info("the run has ended after %.1f s", summary.wall_s)
