"""A run leaves its program as it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

from stacktune.environment import environment
from stacktune.errors import ConfigError
from stacktune.garbage import thawed
from stacktune.logs import hear, put_back
from stacktune.search.cluster.start import LOGGERS, variables_of_run
from stacktune.tracking.client import LOUD_LOGGERS, quiet_environment

_at_work = Lock()


@contextmanager
def only_run() -> Iterator[None]:
    """Keep other runs out of this process meanwhile.

    A process can have one Ray, and patches of it hold for all threads.

    Raises:
        ConfigError: another run is at work.
    """
    if not _at_work.acquire(blocking=False):
        raise ConfigError(
            "another run is at work in this process: wait for its end, or begin this one in a process of its own."
        )
    try:
        yield
    finally:
        _at_work.release()


@contextmanager
def isolated() -> Iterator[None]:
    """Set back at the end what libraries go by.

    These are variables, loggers, filters of warnings, and what the garbage collector leaves out.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(thawed())
        stack.enter_context(environment(variables_of_run() | quiet_environment()))
        stack.callback(put_back)
        hear(*LOGGERS, *LOUD_LOGGERS, "optuna")
        yield
