"""Tries whether Ray works here, or in a cluster."""

from __future__ import annotations

import platform
import time
from contextlib import suppress

from stacktune.errors import SearchError
from stacktune.search.cluster.start import start_ray, stop_ray

# A worker that is there already answers in milliseconds, and one that has to be begun in seconds.
MAX_ANSWERING_S = 20.0


def check_ray(address: str | None) -> str:
    """Start or join Ray, and let a worker answer.

    Returns what it offers, in words. `start.set_variables` must have been called on the main thread.

    Raises:
        SearchError: it does not start, cannot be joined, or none of its workers answers.
    """
    import ray

    began_at = time.monotonic()
    size = start_ray(address, None, None)
    try:
        up_s = time.monotonic() - began_at
        answer = ray.remote(platform.python_version).options(num_cpus=0).remote()
        done, _ = ray.wait([answer], timeout=MAX_ANSWERING_S)
        if not done:
            raise SearchError(f"Ray is up, but none of its workers answers in {MAX_ANSWERING_S:g} s.")
        python = ray.get(answer)
    finally:
        with suppress(SearchError):
            stop_ray()
    where = "started here" if size.is_local else "joined a cluster"
    cores = f"{size.n_cpus} core{'s' if size.n_cpus != 1 else ''}{size.limits}"
    gpus = f", {size.n_gpus} GPU{'s' if size.n_gpus != 1 else ''}"
    answered = f"a worker answered (Python {python})"
    return f"{where} in {up_s:.1f} s: {cores}{gpus}, {len(size.nodes)} node(s) with cores; {answered}"
