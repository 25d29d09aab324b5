"""A Ray of one machine and one run that is up sooner: fewer processes, and those of trials at work before Tune asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

# `ray.init` has a flag for none of them: the dashboard's server starts even where there is no dashboard, and is waited
# for; the monitor scales clusters; the log monitor carries workers' output to a driver that does not listen.
NEEDLESS = ("start_api_server", "start_monitor", "start_log_monitor")


@contextmanager
def lean_start() -> Iterator[None]:
    """Let `ray.init` start nothing that a private Ray can do without."""
    from ray._private.node import Node

    with patched(Node, {name: lambda *_, **__: None for name in NEEDLESS}):
        yield


@contextmanager
def in_waiting_processes() -> Iterator[None]:
    """Let Tune start trials in the processes that wait.

    Tune gives its actors environment variables, and Ray a process of its own to whatever has some. On one machine every
    process has the driver's anyway.
    """
    from ray.tune.execution import class_cache

    with patched(class_cache, {"DEFAULT_ENV_VARS": {}, "ENV_VARS_TO_PROPAGATE": frozenset()}):
        yield


@contextmanager
def patched(owner: Any, changes: dict[str, Any]) -> Iterator[None]:
    """Change what is there, and leave alone what another Ray does not have: it does as it pleases."""
    with ExitStack() as stack:
        for name, value in changes.items():
            if hasattr(owner, name):
                stack.enter_context(patch.object(owner, name, value))
        yield
