"""Releases the parameters that Tune keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stacktune.search.ray_patches.patching import missing

HOOKS = "_post_init_hooks"


@contextmanager
def parameters_let_go() -> Iterator[None]:
    """Let go of what `tune.with_parameters` is given meanwhile.

    Tune hangs it on a hook of `ray.init` that is never taken away: in a Ray that outlives the run, the table would stay
    in the memory of all nodes.
    """
    from ray._private import worker

    if not hasattr(worker, HOOKS):
        missing.add(f"{worker.__name__}.{HOOKS}")
    hooks = getattr(worker, HOOKS, [])
    n_before = len(hooks)
    try:
        yield
    finally:
        for flush in hooks[n_before:]:
            flush.__self__.references.clear()
        del hooks[n_before:]
