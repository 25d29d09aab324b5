"""Carries trials' folders between nodes.

Trials on other machines hand theirs to the driver's, so that no disk need be shared.
"""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stacktune.search.cluster.scratch import remove_scratch, scratch_here
from stacktune.storage.archive import pack, unpack
from stacktune.storage.atomic import making, replacing
from stacktune.storage.folders import is_folder, remove
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import load_result

# How long the nodes of a run that is over are waited for; what is left then, a later run on them removes.
MAX_CLEARING_S = 10.0


class FolderActor:
    """Keeps folders on the driver's node."""

    def __init__(self, folder: str):
        self._folder = Path(folder)

    def put(self, name: str, packed: bytes) -> None:
        """Write the folder `name`, whole or not at all.

        Its content is what `get` returns.
        """
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as aside:
            unpack(io.BytesIO(packed), aside)

    def get(self, name: str) -> bytes:
        """Return the folder `name`, packed."""
        return _packed(self._folder / name)

    def remaining_s(self, deadline: float) -> float:
        """Return the seconds until `deadline`, by this clock."""
        return deadline - time.monotonic()


def _packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    pack(folder, buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class TrialStore:
    """The run's folder of trials, from any node.

    It is the folder itself on the driver's node, an actor elsewhere.

    driver_node: its id. made_by: the run. actor: on the driver's node; None where there is no other.
    """

    folder: str
    driver_node: str
    made_by: Provenance
    actor: Any

    def is_on_driver(self) -> bool:
        return ray.get_runtime_context().get_node_id() == self.driver_node

    def deadline_here(self, deadline: float) -> float:
        """Return the driver's `deadline` on this machine's clock.

        Both are on `time.monotonic()`'s scale.
        """
        if self.is_on_driver() or math.isinf(deadline):
            return deadline
        return time.monotonic() + ray.get(self.actor.remaining_s.remote(deadline))

    def scratch_dir(self) -> Path:
        """Return where trials of this process write.

        It lies beside the final folders, or on this node's own disk.
        """
        return Path(self.folder) if self.is_on_driver() else scratch_here(self.made_by)

    def publish(self, folder: Path, name: str) -> None:
        """Publish the finished `folder` as `name`.

        It appears in one step, on the driver's node.
        """
        if self.is_on_driver():
            place = Path(self.folder) / name
            if load_result(place, self.made_by) is None:
                remove(place)  # of another run
                folder.replace(place)
            remove(folder)  # of a second attempt at the same trial
        else:
            ray.get(self.actor.put.remote(name, _packed(folder)))
            remove(folder)

    def upload(self, folder: Path, name: str) -> None:
        """Let other nodes have `folder` under `name`."""
        if not self.is_on_driver():
            ray.get(self.actor.put.remote(name, _packed(folder)))

    def fetch(self, folder: Path, name: str) -> Path:
        """Return a local folder with the shared `name`.

        It is `folder` where it is there already.
        """
        if not is_folder(folder):
            with making(folder) as aside:  # another process of this node may be first
                unpack(io.BytesIO(ray.get(self.actor.get.remote(name))), aside)
        return folder

    def clear(self) -> int:
        """Remove scratch on other nodes, and end the actor.

        Returns on how many of the nodes that are there it failed.
        """
        if self.actor is None:
            return 0
        away = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != self.driver_node]
        asked = [_clear_node.options(scheduling_strategy=_on(node)).remote(self.made_by) for node in away]
        answered, late = ray.wait(asked, num_returns=len(asked), timeout=MAX_CLEARING_S) if asked else ([], [])
        ray.kill(self.actor)
        return len(late) + sum(not _is_cleared(answer) for answer in answered)


@ray.remote(num_cpus=0, max_retries=0)
def _clear_node(made_by: Provenance) -> int:
    return remove_scratch(made_by)


def _is_cleared(answer: Any) -> bool:
    try:
        return ray.get(answer) == 0
    except RayError:  # the node has gone meanwhile
        return False


def _on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


def open_trial_store(folder: Path, has_many_nodes: bool, made_by: Provenance) -> TrialStore:
    """Return the store of this node's driver."""
    context = ray.get_runtime_context()
    driver_node = context.get_node_id()
    actor = None
    if has_many_nodes:
        options = {"num_cpus": 0, "scheduling_strategy": _on(driver_node)}
        actor = ray.remote(FolderActor).options(**options).remote(str(folder))
    return TrialStore(str(folder), driver_node, made_by, actor)
