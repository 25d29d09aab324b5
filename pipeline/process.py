"""How a command's process begins and ends: its streams, the signals that it hears, the job that it is in."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from stacktune.job import heed_job, leave_status, outlive_job
from stacktune.stop import Stopped, hear, listen
from stacktune.streams import lost, steady_streams

_has_begun: list[bool] = []


def begin() -> None:
    """Do what comes first, before anything slow is imported; once, and before there are threads."""
    if _has_begun:
        return
    _has_begun.append(True)
    steady_streams()
    outlive_job()
    listen(_leave)
    heed_job(hear)


def end(status: int) -> None:
    """End the process at once with `status`, or with 1 where what it showed could not be written.

    Everything is written and closed by then; to free what torch, Ray and MLflow hold takes Python 1.5 s more, which a
    budget would have to pay.
    """
    sys.stdout.flush()
    trouble = lost(sys.stdout)
    if trouble:
        sys.stderr.write(f"Error: what was to be shown could not be written: {trouble}.\n")
        status = status or 1
    sys.stderr.flush()
    leave_status(status)
    os._exit(status)


def _leave(stopped: Stopped) -> None:
    """End the process from another thread: the main one may be at work on the streams."""
    with suppress(OSError):
        os.write(2, f"{stopped}\n".encode())
    leave_status(stopped.status)
    os._exit(stopped.status)
