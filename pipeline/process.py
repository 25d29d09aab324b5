"""Begins and ends a command's process.

It minds its streams, the signals that it hears, and the job that it is in.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from stacktune.job import heed_job, leave_status, outlive_job
from stacktune.stop import Stopped, hear, listen, unlisten
from stacktune.streams import lost, steady_streams

# Python and the imports of the command, on a usual machine and on one that is slow.
USUAL_COMMAND_START_S, MAX_COMMAND_START_S = 0.3, 2.0


def process_age_s() -> float:
    """Return the seconds since this process began.

    By these, starting Python and importing count towards the budget.
    """
    try:
        # Ticks of 10 ms since boot. psutil adds them to a boot time in whole seconds, and is up to one second off.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        import psutil

        return time.time() - psutil.Process().create_time()


def starting_s(age_s: float) -> float:
    """Return how long the command took so far.

    It is told in a process of this age. A shell may become its last command (`sh -c "pip install . && stacktune demo"`,
    `exec`): the process is then older than the command by whatever the shell did before, which no budget should pay
    for.
    """
    return age_s if age_s < MAX_COMMAND_START_S else USUAL_COMMAND_START_S


STARTED_AT = time.monotonic() - starting_s(process_age_s())
_has_begun: list[bool] = []


def begin() -> None:
    """Do what comes first, before anything slow is imported.

    It is called once, and before there are threads.
    """
    if _has_begun:
        return
    _has_begun.append(True)
    steady_streams()
    _let_warnings_be()
    outlive_job()
    listen(_leave)
    heed_job(hear)


def _let_warnings_be() -> None:
    """Let no warning be an error.

    Libraries warn while they are imported, and end so.
    """
    warnings.filters[:] = [one for one in warnings.filters if one[0] != "error"]  # type: ignore[index]


def become(command: Sequence[str]) -> NoReturn:
    """Replace this process by a command.

    The command hears signals as ever.
    """
    sys.stdout.flush()
    unlisten()
    os.execvp(command[0], list(command))


def end(status: int) -> None:
    """End the process at once with `status`.

    The status is 1 where what it showed could not be written. Everything is written and closed by then; to free what
    torch, Ray and MLflow hold takes Python 1.5 s more, which a budget would have to pay.
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
    """End the process from another thread.

    The main one may be at work on the streams.
    """
    with suppress(OSError):
        os.write(2, f"{stopped}\n".encode())
    leave_status(stopped.status)
    os._exit(stopped.status)
