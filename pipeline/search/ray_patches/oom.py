"""Turns out-of-memory kills into errors Tune handles.

Ray, or the kernel, may have killed the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stacktune.cgroups import n_killed
from stacktune.search.plan.memory import PROCESS_BYTES
from stacktune.search.ray_patches.patching import patched

# How Ray names the processes that it ended at once: by their actor, unless it was only starting, and what each took.
ENDED = re.compile(r"Selected to kill: \((?:Actor\((\w+)\)|Task).*?actual memory used=([\d.]+)GB")


class KernelKills:
    """Tells which dead processes the kernel ended.

    It ends one when its control group is full.

    Ray watches the memory of the machine or of a container, not that of a group inside, as systemd and Slurm make them.
    What the kernel ends there is the largest trial, as Ray offers it the processes of trials before any other.
    """

    def __init__(self) -> None:
        self._n_known = n_killed()

    def has_new(self) -> bool:
        """Return whether the kernel ended another process.

        Each counts once.
        """
        is_new = n_killed() > self._n_known
        self._n_known += is_new
        return is_new


@contextmanager
def kills_end_trials() -> Iterator[None]:
    """Turn Ray's out-of-memory kills into actors' deaths.

    Tune does not know the error, and would break off the search.

    Where Ray ended several at once, those that took less than the largest count as preempted; so does any that took no
    more than a process with all libraries loaded: fewer rows would not have spared it, for others filled the node.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.tune.experiment import Trial

    # Tune itself runs preempted trials again, whatever it is told; the scheduler does too, and each would run twice.
    once = {"should_recover": lambda _: False}
    with patched(RayActorManager, _deaths_told(RayActorManager)), patched(Trial, _no_first_result(Trial) | once):
        yield


def _deaths_told(manager_class: Any) -> dict[str, Any]:
    """Return patches that report dead actors to Tune.

    They do so whether the actors were at work or just starting.
    """
    kills = KernelKills()
    at_work, starting = "_actor_task_failed", "_actor_start_failed"
    # None where a Ray has no such method: then `patched` adds none either, and nobody calls these.
    task_failed: Any = getattr(manager_class, at_work, None)
    start_failed: Any = getattr(manager_class, starting, None)

    def tell_of_task(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        task_failed(
            manager, tracked_actor_task, _as_death(manager, tracked_actor_task._tracked_actor, exception, kills)
        )

    def tell_of_start(manager: Any, tracked_actor: Any, exception: Exception) -> None:
        start_failed(manager, tracked_actor, _as_death(manager, tracked_actor, exception, kills))

    return {at_work: tell_of_task, starting: tell_of_start}


def _no_first_result(trial_class: Any) -> dict[str, Any]:
    """Return a patch for actors dead before reporting.

    Their trial has no result then.
    """
    from ray.exceptions import OutOfMemoryError

    name = "_get_default_result_or_future"
    first_result: Any = getattr(trial_class, name, None)  # None is never called, see `_deaths_told`

    def result_or_none(trial: Any) -> dict[str, Any] | None:
        try:
            return first_result(trial)
        except OutOfMemoryError:
            trial._default_result_or_future = None
            return None

    return {name: result_or_none}


def _as_death(manager: Any, tracked_actor: Any, exception: Exception, kills: KernelKills) -> Exception:
    from ray.exceptions import OutOfMemoryError, RayActorError

    if isinstance(exception, RayActorError) and kills.has_new():
        return RayActorError(
            error_msg="OutOfMemoryError: the kernel ended its process because its control group had no memory left"
        )
    if not isinstance(exception, OutOfMemoryError):
        return exception
    held = manager._live_actors_to_ray_actors_resources.get(tracked_actor)
    return death_of(held[0]._actor_id.hex() if held else "", str(exception))


def death_of(actor_id: str, message: str) -> Exception:
    """Return an actor's death, in one line."""
    from ray.exceptions import RayActorError

    ended = [(ended_id, float(gigabytes)) for ended_id, gigabytes in ENDED.findall(message)]
    named = [gigabytes for ended_id, gigabytes in ended if ended_id == actor_id]
    starting = [gigabytes for ended_id, gigabytes in ended if not ended_id]
    used = max(named or starting, default=None)
    enough = max([PROCESS_BYTES / 1e9, *(gigabytes for _, gigabytes in ended)])
    amount = "" if used is None else f", which took {used} GB,"
    return RayActorError(
        error_msg=f"OutOfMemoryError: Ray ended its process{amount} because the memory of its node ran low",
        preempted=used is not None and used < enough,
    )
