"""Uses a Ray that this process has already.

Runs leave it running.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from stacktune.errors import SearchError
from stacktune.search.cluster.address import AUTO, OPTION

WHOSE = "the Ray of this process"


def is_up_here() -> bool:
    """Return whether this process has a Ray now."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def check_usable(address: str | None) -> None:
    """Raise SearchError unless this process's Ray is usable.

    address: what the run was told, if anything; a process has one Ray.
    """
    import ray
    from ray.util.client import ray as client

    if client.is_connected():
        raise SearchError(
            f"{WHOSE} is a Ray Client's, through which a search cannot run: begin the run on a machine of the cluster, "
            "or end it with ray.shutdown() first."
        )
    place = ray.get_runtime_context().gcs_address
    if address not in (None, "", AUTO, place):
        raise SearchError(
            f"{OPTION} {address!r} cannot be joined: this process has a Ray already, at {place}, and can have one "
            f"only. Leave {OPTION} out to use that one, or end it with ray.shutdown() first."
        )
    if not ray.get(ray.remote(num_cpus=0)(_code_finder()).remote()):
        raise SearchError(
            f"workers of {WHOSE} do not find stacktune: install it where they run, begin that Ray with "
            'runtime_env={"py_modules": [stacktune]}, or end it with ray.shutdown(), so that the run begins its own.'
        )


def _code_finder() -> Callable[[], bool]:
    def finds_code() -> bool:  # inside, so that it travels whole
        from importlib.util import find_spec

        return find_spec("stacktune") is not None

    return finds_code
