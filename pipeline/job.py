"""Lets a command outlive its Ray job's processes.

A command inside a job goes on in a process of its own, as `ray job stop` gives the job's processes three seconds. Those
seconds are the job server's setting (RAY_JOB_STOP_WAIT_TIME_S where `ray start` was typed), which a job cannot change,
and less than a run takes to end with its leader. What is killed are the job's first process and its descendants: the
process that works is none of them any more. The first one passes signals on, and waits.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

# Ray's job server sets it for the processes of a job.
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
# Once nobody waits for it any more, a run has so long to end: it must not hold the cluster for ever.
MAX_ENDING_S = 180.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KILLED = 128 + signal.SIGKILL

# In the process that works: where it leaves its status, and where it is told of signals.
_pipes: list[tuple[int, int]] = []


def outlive_job() -> None:
    """Return in a process that outlives the job.

    Where there is no job, nothing happens. The first process ends when the one that works does. It is called before
    there are threads.
    """
    if JOB not in os.environ:
        return
    (status, status_outlet), (told, told_outlet) = os.pipe(), os.pipe()
    # Until the first process can pass them on: the one that works may be ahead of it.
    heard_before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    middle = os.fork()
    if middle:
        os.close(status_outlet)
        os.close(told)
        os.waitpid(middle, 0)
        _wait_for(status, told_outlet, heard_before)
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, heard_before)
    os.close(status)
    os.close(told_outlet)
    _pipes.append((status_outlet, told))


def heed_job(hear: Callable[[int], None]) -> None:
    """Tell `hear` of the job's signals, on a thread.

    It hears each signal that the job's first process gets, and SIGTERM once that was killed.
    """
    for _, told in _pipes:
        threading.Thread(target=_heed, args=(told, hear), name="job", daemon=True).start()


def leave_status(status: int) -> None:
    """Let the job's first process end with `status`.

    Nothing happens outside a job.
    """
    for outlet, _ in _pipes:
        with suppress(BrokenPipeError):
            os.write(outlet, str(status).encode())


def _wait_for(status: int, told_outlet: int, heard_before: set[int]) -> None:
    """Pass on signals, then end as the worker did.

    The worker is the process that does the work.
    """

    def pass_on(number: int, _frame: FrameType | None) -> None:
        with suppress(BrokenPipeError):
            os.write(told_outlet, bytes([number]))

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, heard_before)
    left = b"".join(iter(lambda: os.read(status, 16), b""))
    os._exit(int(left) if left else _KILLED)


def _heed(told: int, hear: Callable[[int], None]) -> None:
    n_told = 0
    while number := os.read(told, 1):
        n_told += 1
        hear(number[0])
    if not n_told:
        hear(signal.SIGTERM)
    end = threading.Timer(MAX_ENDING_S, os._exit, (_KILLED,))
    end.daemon = True
    end.start()
