"""What Ray says of a process that it ended because a node's memory ran low, in a way that Tune understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.search.lean_ray import patched

# Where Ray tells Tune what a process has come to.
TELLS = "_actor_task_failed"
# How Ray names the processes that it ended at once: by their actor and what each took.
ENDED = re.compile(r"Selected to kill: \(Actor\((\w+)\).*?actual memory used=([\d.]+)GB")


@contextmanager
def kills_end_trials() -> Iterator[None]:
    """Let Ray's ending of a process for its memory end one trial: Tune knows no such error, and breaks off the search.

    Where Ray ended several at once, those that took less than the largest count as preempted.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError

    tell = getattr(RayActorManager, TELLS, None)

    def tell_as_death(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            held = manager._live_actors_to_ray_actors_resources.get(tracked_actor_task._tracked_actor)
            exception = death_of(held[0]._actor_id.hex() if held else "", str(exception))
        tell(manager, tracked_actor_task, exception)

    with patched(RayActorManager, {TELLS: tell_as_death}):
        yield


def death_of(actor_id: str, said: str) -> Exception:
    """Return the death of an actor that Ray ended, in one line."""
    from ray.exceptions import RayActorError

    ended = {ended_id: float(gigabytes) for ended_id, gigabytes in ENDED.findall(said)}
    used = ended.get(actor_id)
    amount = "" if used is None else f", which took {used} GB,"
    return RayActorError(
        error_msg=f"OutOfMemoryError: Ray ended its process{amount} because the memory of its node ran low",
        preempted=used is not None and used < max(ended.values()),
    )
