"""Runs the controller on a cluster, as Ray actors.

It has S shards and K replicas, as in Zoph and Le (2017, section 3.2).

All of them live on the driver's node, whose disk keeps the shards' state: they are small, and children are what a
cluster is for. An actor that dies is begun anew by Ray; a shard then reads the state that it had written before it
acknowledged its last update, and a call that was cut off is made again, which changes nothing where it had been done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stacktune.search.nas.children import ChildSpace
from stacktune.search.nas.controller import PushReply, Replica, Shard, UpdateStats, first_parameters, slices
from stacktune.search.nas.policy import Episode, PolicySettings
from stacktune.search.nas.settings import ControllerTopology
from stacktune.storage.folders import remove


class ShardActor(Shard):
    """A shard that finds its first parameters by itself.

    Ray begins an actor anew with its first arguments, but loses those that were so large that it put them into the
    object store (ray-project/ray#53727), and warns of it where they hold an actor.
    """

    def __init__(
        self,
        place: int,
        space: ChildSpace,
        settings: PolicySettings,
        seed: int,
        topology: ControllerTopology,
        file: Path,
    ):
        values = first_parameters(space, settings, seed)
        owned = slices(len(values), topology.n_shards)[place]
        super().__init__(values[owned], settings.lr, topology.most_stale, file)


class RayShards:
    """Shards that are Ray actors of these names.

    All are asked before any is waited for.
    """

    def __init__(self, names: Sequence[str]):
        self._names = names

    @cached_property
    def _actors(self) -> list[Any]:
        return [ray.get_actor(name) for name in self._names]

    def pull(self) -> list[PushReply]:
        return ray.get([actor.pull.remote() for actor in self._actors])

    def push(self, replica: int, number: int, parts: dict[int, tuple[np.ndarray, int]]) -> dict[int, PushReply]:
        asked = [self._actors[place].push.remote(replica, number, *part) for place, part in parts.items()]
        return dict(zip(parts, ray.get(asked), strict=True))


class RayController:
    """A controller of Ray actors.

    `learn` returns at once, and a replica draws with what it was told before.

    folder: where shards keep their state; that of an earlier controller is removed. is_feasible: see `gradient_of`; it
    goes to every replica and must be small, see `ShardActor`.
    """

    def __init__(
        self,
        space: ChildSpace,
        settings: PolicySettings,
        seed: int,
        topology: ControllerTopology,
        folder: Path,
        is_feasible: Callable[[dict[str, Any]], bool] | None = None,
    ):
        folder = folder.resolve()  # actors may run elsewhere
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("shard*"):
            remove(stale)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        lasting = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
        names = [f"shard{place}-{uuid4().hex}" for place in range(topology.n_shards)]
        # Of a name that was not known before, a file is this controller's.
        files = [folder / f"{name}.safetensors" for name in names]
        self.shards = [
            ray.remote(ShardActor).options(name=name, **lasting).remote(place, space, settings, seed, topology, file)
            for place, (name, file) in enumerate(zip(names, files, strict=True))
        ]
        shards = RayShards(names)
        self.replicas: list[Any] = [
            ray.remote(Replica).options(**lasting).remote(place, space, settings, seed, shards, is_feasible)
            for place in range(topology.n_replicas)
        ]
        self._learning: list[Any] = []

    def draw(self, replica: int, seed: int, n_depths: int) -> dict[str, Any] | None:
        return ray.get(self.replicas[replica].draw.remote(seed, n_depths))

    def learn(self, replica: int, number: int, episodes: Sequence[Episode], n_depths: int) -> None:
        self._learning.append(self.replicas[replica].learn.remote(number, list(episodes), n_depths))

    def learnt(self) -> list[UpdateStats]:
        if not self._learning:
            return []
        done, self._learning = ray.wait(self._learning, num_returns=len(self._learning), timeout=0)
        return ray.get(done)
