"""Starts a private Ray sooner, privately and patiently.

Each patch says what breaks, or is slower, without it. A name that another Ray does not have is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stacktune.search.ray_patches.patching import patched

# `ray.init` has a flag for none of them: the dashboard's server starts even where there is no dashboard, and is waited
# for; the monitor scales clusters; the log monitor carries workers' output to a driver that does not listen.
NEEDLESS = ("start_api_server", "start_monitor", "start_log_monitor")
# On two cores with a load of 190, the raylet took above a minute.
MAX_RAYLET_START_S, NODE_ASKED_EVERY_S = 180.0, 0.1


@contextmanager
def lean_start() -> Iterator[None]:
    """Let `ray.init` start only what is needed.

    It imports 200 modules only to see whether the dashboard could run here: as where it could not, none are.
    """
    from ray._private import utils
    from ray._private.node import Node

    no_dashboard = ImportError("a private Ray has no dashboard")
    with (
        patched(Node, {name: lambda *_, **__: None for name in NEEDLESS}),
        patched(utils, {"get_dashboard_dependency_error": lambda: no_dashboard}),
    ):
        yield


@contextmanager
def patient_start() -> Iterator[None]:
    """Let `ray.init` wait on busy machines.

    It waits as long as its own processes take, where it would give up after 30 s.
    """
    from ray._private import services

    get_node = services.get_node

    def get_node_in_time(*of: Any) -> Any:
        until = time.monotonic() + MAX_RAYLET_START_S
        while True:
            try:
                return get_node(*of)
            except RuntimeError:  # it has not registered yet
                if time.monotonic() > until:
                    raise
            time.sleep(NODE_ASKED_EVERY_S)

    with patched(services, {"get_node": get_node_in_time}):
        yield


@contextmanager
def on_loopback() -> Iterator[None]:
    """Let `ray.init` use this machine's loopback address.

    All its servers then bind to it.

    Ray does so itself on macOS and Windows; an address that it is given as 127.0.0.1 it replaces.
    """
    from ray._private import ray_constants

    with patched(ray_constants, {"ENABLE_RAY_CLUSTER": False}):
        yield


@contextmanager
def no_working_folder() -> Iterator[None]:
    """Keep the working folder off workers' paths.

    It is the one that the command stands in; the workers are of a Ray that is started meanwhile.

    Ray would put it before all others, where a `csv.py` of the user's is imported as Python's own; it does not where it
    is told of another folder.
    """
    from ray.job_config import JobConfig

    with patched(JobConfig, {"_runtime_env_has_working_dir": lambda _: True}):
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
