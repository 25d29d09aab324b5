"""Starts or joins Ray, quietly.

It asks at once whether Ray has what the run needs.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace

from stacktune.data.memory import Memory, memory_here
from stacktune.environment import SET_BY_LIBRARIES, environment, set_defaults
from stacktune.errors import SearchError
from stacktune.garbage import imports, no_collection
from stacktune.host import SHARED_MEMORY, cores_here, shared_memory_free
from stacktune.logs import hear
from stacktune.search.cluster.address import VARIABLE, Address, find_address
from stacktune.search.cluster.joined_ray import VARIABLES, joined_ray
from stacktune.search.cluster.private_ray import private_ray, private_variables, read_token_again
from stacktune.search.cluster.ray_here import WHOSE, check_usable, is_up_here
from stacktune.search.plan.memory import Node
from stacktune.search.plan.plan import ClusterSize
from stacktune.text import size

_logger = logging.getLogger(__name__)
# What the search sets when it knows how many slots there are, whatever it was.
PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
# Read by Ray when it is imported or started; what a user has set stays.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Tune on its thread must not start a Ray of its own when ours has ended.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "3600",
    # Of Ray's 15, two trials beside one busy process get 0.35 of a core each, on two cores; of 0, 0.76.
    "RAY_worker_niceness": "0",
    # The run keeps its own state; Tune's snapshots of all trials would cost the event loop for nothing.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    PENDING: "auto",
}
# Room for the shared table; Ray's own default claims 30 % of the memory, and less than so many bytes it refuses.
OBJECT_STORE_BYTES, OBJECT_STORE_SHARE, MIN_OBJECT_STORE_BYTES = 2 * 1024**3, 0.2, 75 * 1024**2
# Ray's own margin below what shared memory has free.
SHARED_MEMORY_SHARE = 0.95
# What the driver takes of the memory of a machine that it shares with the trials, but never more than half.
DRIVER_BYTES = 800_000_000
MAX_FIRST_WORKER_S = 300.0
# Those of Ray to which parts of it may give handlers of their own.
LOGGERS = ("ray", "ray.tune", "ray.tune.analysis.experiment_analysis", "ray.train", "ray.data")
# The least demanding that Linux has: whatever else runs comes first.
NICENESS = 19

# What is let go of when this process leaves Ray, which a process has once.
_held = ExitStack()
_are_set: list[bool] = []
# Whether Ray was there before, and stays.
_is_borrowed: list[bool] = []


def start_ray(
    address: str | None, n_cpus: int | None, n_gpus: int | None, max_bytes: float | None = None
) -> ClusterSize:
    """Join or start Ray; return what is there.

    At `address` it joins the cluster. It returns what the run may use.

    Where this process has a Ray already, that is used, and `stop_ray` leaves it running.

    address: HOST:PORT, "auto" for this machine's cluster, or "local"; None leaves it to RAY_ADDRESS. Inside a job of a
        Ray cluster the job's own cluster is joined.
    max_bytes: of memory that a node's trials may ask for together; None for all that is free.

    Raises:
        SearchError: no cluster can be joined at `address`, or it has fewer cores or GPUs than were asked for.
    """
    set_variables(address, n_cpus)
    with imports():
        import ray  # noqa: F401
    hear(*LOGGERS)
    try:
        if _is_borrowed:
            return _within(max_bytes, _use(address, n_cpus, n_gpus))
        cluster = find_address(address, os.environ.get(VARIABLE))
        if cluster is None:
            return _start_here(n_cpus, n_gpus, max_bytes)
        return _within(max_bytes, _join(cluster, n_cpus, n_gpus))
    except SearchError:
        stop_ray()
        raise


def is_private(address: str | None) -> bool:
    """Return whether Ray is started for this run alone."""
    return not is_up_here() and find_address(address, os.environ.get(VARIABLE)) is None


def variables_of_run() -> dict[str, str]:
    """Return the environment variables that a run sets."""
    values = QUIET | SET_BY_LIBRARIES
    return {name: value for name, value in values.items() if name not in os.environ or name == PENDING}


def set_variables(address: str | None, n_cpus: int | None) -> None:
    """Set what Ray reads, until `stop_ray`.

    It does so once. The main thread calls it, before a run has others (see `stacktune.environment`).

    Raises:
        SearchError: no cluster can be at `address`.
    """
    if _are_set:
        return
    set_defaults(QUIET | SET_BY_LIBRARIES)
    if is_up_here():
        _is_borrowed.append(True)
        _held.callback(_is_borrowed.clear)
        return
    _held.callback(read_token_again)  # when the token that is set below is gone
    values = private_variables(cores_here().at_most(n_cpus).n) if is_private(address) else VARIABLES
    _held.enter_context(environment(values))
    _are_set.append(True)
    _held.callback(_are_set.clear)


def give_way() -> None:
    """Lower the priority of this process's Ray.

    Nothing needs it any more, and it may still be ending when this process is gone.
    """
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.nice(NICENESS)


def stop_ray(has_tune_ended: bool = True) -> None:
    """Leave the cluster; end an own one.

    A Ray that was here before the run stays. So does one under a Tune at work, with all that is set for it: Ray would
    end the process.

    Handles and references that Tune left in cycles are freed before, and none meanwhile: Ray ends the process, with
    status 1, when one is freed by another thread while it shuts down.
    """
    import ray

    if not has_tune_ended and not _is_borrowed:
        _logger.error("Ray stays up, as Ray Tune does not end; it ends with this process")
        return
    gc.collect()
    try:
        if not _is_borrowed:
            with no_collection():
                ray.shutdown()
    finally:
        _held.close()


def _start_here(n_cpus: int | None, n_gpus: int | None, max_bytes: float | None) -> ClusterSize:
    cores, memory = cores_here(), memory_here().at_most(max_bytes)
    for flag, what, wanted, available, limit in (
        ("--cpus", "cores", n_cpus, cores.n, cores.note),
        ("--gpus", "GPUs", n_gpus, _n_gpus_here() if n_gpus else 0, ""),
    ):
        if wanted and wanted > available:
            whose = f"the {available}{limit} that it may use" if limit else f"this machine's {available}"
            raise SearchError(
                f"{flag} {wanted} asks for more {what} than {whose}; "
                f"ask for at most {available}, or join a cluster with --address."
            )
    import ray

    cores = cores.at_most(n_cpus)
    n_cpus, shared_free = cores.n, shared_memory_free()
    store_bytes = object_store_bytes(memory, shared_free)
    # Ray looks at the topmost control group alone, which is not always the one that this process is in.
    n_bytes = max(memory.n_free - store_bytes, memory.n_free // 2)
    began_at = time.monotonic()
    _held.enter_context(private_ray(n_cpus, n_gpus, n_bytes, store_bytes))
    _heard(began_at)
    size = _size(ray.cluster_resources(), n_cpus, n_gpus)
    shared = [replace(node, n_bytes=max(node.n_bytes - DRIVER_BYTES, node.n_bytes // 2)) for node in size.nodes]
    limits = (cores.note, f", {memory.note}" if memory.note else "")
    return replace(size, nodes=tuple(shared), limits="".join(limits), store_note=_store_note(store_bytes, shared_free))


def _within(max_bytes: float | None, size: ClusterSize) -> ClusterSize:
    """Return what is left of a cluster within --max-memory."""
    if max_bytes is None:
        return size
    return replace(size, nodes=tuple(replace(one, n_bytes=min(one.n_bytes, int(max_bytes))) for one in size.nodes))


def _join(cluster: Address, n_cpus: int | None, n_gpus: int | None) -> ClusterSize:
    began_at = time.monotonic()
    _held.enter_context(joined_ray(cluster))
    _heard(began_at)
    return _size_of_others(f"the cluster at {cluster}", n_cpus, n_gpus)


def _use(address: str | None, n_cpus: int | None, n_gpus: int | None) -> ClusterSize:
    """Use the Ray of this process."""
    began_at = time.monotonic()
    check_usable(address)
    _heard(began_at)
    return _size_of_others(WHOSE, n_cpus, n_gpus)


def _size_of_others(whose: str, n_cpus: int | None, n_gpus: int | None) -> ClusterSize:
    """Return what a run may use of others' Ray."""
    resources = _resources_of_cluster()
    for name, wanted in (("CPU", n_cpus or 1), ("GPU", n_gpus)):
        if wanted and wanted > resources.get(name, 0):
            raise SearchError(
                f"--{name.lower()}s {wanted} asks for more than {whose} has "
                f"({resources.get(name, 0):g}); Ray would wait for ever. Ask for less, or add nodes."
            )
    return replace(_size(resources, n_cpus, n_gpus), is_local=False)


def _resources_of_cluster() -> Mapping[str, float]:
    """Return the cluster's resources, once it has a CPU.

    The first worker of a new cluster may still be booting.
    """
    import ray

    started = time.monotonic()
    while not ray.cluster_resources().get("CPU") and time.monotonic() - started < MAX_FIRST_WORKER_S:
        time.sleep(1)
    return ray.cluster_resources()


def _size(resources: Mapping[str, float], n_cpus: int | None, n_gpus: int | None) -> ClusterSize:
    gpus = resources.get("GPU", 0) if n_gpus is None else n_gpus
    return ClusterSize(n_cpus=int(n_cpus or resources["CPU"]), n_gpus=int(gpus), nodes=_nodes())


def _nodes() -> tuple[Node, ...]:
    import ray

    has = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return tuple(Node(int(one["CPU"]), int(one.get("memory", 0))) for one in has if one.get("CPU"))


def _n_gpus_here() -> int:
    import torch

    return torch.cuda.device_count()


def object_store_bytes(memory: Memory, shared_free: int | None) -> int:
    """Return the size of Ray's object store.

    Beyond it, and where shared memory is too small, Ray takes to the disk.
    """
    size = max(MIN_OBJECT_STORE_BYTES, min(OBJECT_STORE_BYTES, OBJECT_STORE_SHARE * memory.n_bytes))
    in_shared = SHARED_MEMORY_SHARE * (shared_free or 0)
    return int(min(size, in_shared) if in_shared >= MIN_OBJECT_STORE_BYTES else size)


def _store_note(store_bytes: int, shared_free: int | None) -> str | None:
    """Say if the object store is on disk.

    It is there where it is not in shared memory; else None is returned.
    """
    if shared_free is None or shared_free >= store_bytes:
        return None
    enough = math.ceil(store_bytes / SHARED_MEMORY_SHARE / 2**20)
    return (
        f"{SHARED_MEMORY} has {size(shared_free)} free, too little for the table that all trials share: it "
        f"lies on the disk, which is slower; docker's --shm-size {enough}m gives it room"
    )


def _heard(began_at: float) -> None:
    """Quiet Ray's loggers again, and note its start time.

    Ray has set up its loggers by then.
    """
    import ray

    hear(*LOGGERS)
    _logger.info("Ray is up after %.1f s, with %s", time.monotonic() - began_at, ray.cluster_resources())
