"""Folders that cross nodes: trials on other machines hand theirs to the driver's, so that no disk need be shared."""

from __future__ import annotations

import io
import math
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stacktune.data.archive import pack, unpack


@ray.remote(num_cpus=0)
class Vault:
    """Keeps folders on the driver's node."""

    def __init__(self, folder: str):
        self._folder = Path(folder)

    def put(self, name: str, packed: bytes) -> None:
        """Make the folder `name` of what `get` returns; it appears whole or not at all."""
        aside = self._folder / f".{name.replace('/', '-')}.arriving"
        shutil.rmtree(aside, ignore_errors=True)
        unpack(io.BytesIO(packed), aside)
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)

    def get(self, name: str) -> bytes:
        """Return the folder `name`, packed."""
        return _packed(self._folder / name)

    def left_s(self, deadline: float) -> float:
        """Return the seconds until `deadline`, which is on this machine's clock."""
        return deadline - time.monotonic()


def _packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    pack(folder, buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class Depot:
    """The run's folder of trials as any node sees it: the folder itself on the driver's node, the vault elsewhere.

    home: the driver's node. run: a name that no other run on the cluster has. vault: None where there is one node only.
    """

    folder: str
    home: str
    run: str
    vault: Any

    def is_home(self) -> bool:
        return ray.get_runtime_context().get_node_id() == self.home

    def deadline_here(self, deadline: float) -> float:
        """Return a time on `time.monotonic()`'s scale of the driver's machine on this one's."""
        if self.is_home() or math.isinf(deadline):
            return deadline
        return time.monotonic() + ray.get(self.vault.left_s.remote(deadline))

    def workplace(self) -> Path:
        """Return where trials of this process write: beside the final folders, or on this node's own disk."""
        return Path(self.folder) if self.is_home() else Path(tempfile.gettempdir()) / f"stacktune-{self.run}"

    def publish(self, folder: Path, name: str) -> None:
        """Give the finished `folder` its final `name` on the driver's node, in one step."""
        if self.is_home():
            folder.replace(Path(self.folder) / name)
        else:
            ray.get(self.vault.put.remote(name, _packed(folder)))
            shutil.rmtree(folder)

    def share(self, folder: Path, name: str) -> None:
        """Let other nodes have `folder` under `name`."""
        if not self.is_home():
            ray.get(self.vault.put.remote(name, _packed(folder)))

    def borrow(self, folder: Path, name: str) -> Path:
        """Return a folder here with what was shared as `name`: `folder` where it is there already."""
        if not folder.is_dir():
            aside = folder.with_name(f".{folder.name}-{os.getpid()}.arriving")
            shutil.rmtree(aside, ignore_errors=True)
            unpack(io.BytesIO(ray.get(self.vault.get.remote(name))), aside)
            with suppress(OSError):  # another process of this node was first
                aside.rename(folder)
            shutil.rmtree(aside, ignore_errors=True)
        return folder


def open_depot(folder: Path, has_many_nodes: bool) -> Depot:
    """Return the depot of a run whose driver is on this node."""
    context = ray.get_runtime_context()
    home = context.get_node_id()
    vault = None
    if has_many_nodes:
        here = NodeAffinitySchedulingStrategy(home, soft=False)
        vault = Vault.options(scheduling_strategy=here).remote(str(folder))
    return Depot(str(folder), home, context.get_job_id(), vault)
