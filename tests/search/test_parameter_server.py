"""The controller on Ray: it learns what it does in one process, and an actor that dies loses nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from test_children import TINY
from test_controller import some_episodes

from stacktune.search.nas.controller import Controller, LocalController, Shard, UpdateStats, first_parameters
from stacktune.search.nas.parameter_server import RayController
from stacktune.search.nas.policy import PolicySettings
from stacktune.search.nas.settings import ControllerTopology

pytestmark = pytest.mark.usefixtures("cold_cluster")

# So many parameters that half of them would not travel as an actor's argument, but through the object store.
WIDE = PolicySettings(hidden=80)
EPISODES = [some_episodes(TINY, seed) for seed in range(6)]
WAIT_S = 60.0


def wait_until(is_so: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < WAIT_S
        time.sleep(0.01)


def process_of(actor: Any) -> int:
    return ray.get(actor.__ray_call__.remote(lambda self: os.getpid()))


def kill(actor: Any) -> None:
    ray.kill(actor, no_restart=False)


def state_of(controller: RayController) -> tuple[list[int], np.ndarray]:
    """Return the versions of all shards, and the parameters."""
    answers = ray.get([shard.pull.remote() for shard in controller.shards])
    return [answer.version for answer in answers], np.concatenate([answer.values for answer in answers])


def learn(controller: Controller, numbers: range) -> None:
    for number in numbers:
        controller.learn(0, number, EPISODES[number], 2)


def all_learnt(controller: RayController, n_updates: int) -> list[UpdateStats]:
    learnt: list[UpdateStats] = []
    wait_until(lambda: len(learnt.__iadd__(controller.learnt())) >= n_updates)
    assert len(learnt) == n_updates
    return learnt


def children_of(controller: Controller) -> list[dict[str, Any]]:
    return [controller.draw(0, seed, 2) for seed in range(4)]


def parameters_of(near: LocalController) -> np.ndarray:
    return near._replica._shards.pull()[0].values


def leave_state(folder: Path) -> None:
    """What a controller leaves that learnt before."""
    folder.mkdir()
    values = first_parameters(TINY, WIDE, 0)
    Shard(values, 0.1, 0, folder / "shard0.safetensors").push(0, 0, np.ones_like(values), 0)


def test_one_shard_and_one_replica_do_what_one_process_does_even_if_the_replica_dies(tmp_path, monkeypatch, capfd):
    """The folder may be named from where the driver stands, which is not where actors run, and may hold a state."""

    def is_short(child: dict[str, Any]) -> bool:
        return " " not in child["architecture"]

    monkeypatch.chdir(tmp_path)
    leave_state(tmp_path / "state")
    far = RayController(TINY, WIDE, 0, ControllerTopology(), Path("state"), is_short)
    near = LocalController(TINY, WIDE, 0, is_short)
    for number in range(3):
        children = children_of(far)
        assert children == children_of(near)
        assert all(is_short(child) for child in children)
        learn(far, range(number, number + 1))
        learn(near, range(number, number + 1))
    for update, expected in zip(all_learnt(far, 3), near.learnt(), strict=True):
        assert asdict(update) == pytest.approx(asdict(expected), nan_ok=True)
    process = process_of(far.replicas[0])
    learn(far, range(3, 4))
    kill(far.replicas[0])
    wait_until(lambda: process_of(far.replicas[0]) != process)
    learn(far, range(4, 6))
    learn(near, range(3, 6))
    all_learnt(far, 3)
    versions, values = state_of(far)
    assert versions == [6]
    np.testing.assert_allclose(values, parameters_of(near), atol=1e-6)
    assert children_of(far) == children_of(near)
    assert "constructor arguments" not in capfd.readouterr().err


def test_two_shards_do_what_one_does_and_lose_no_update_when_they_die(tmp_path: Path):
    controller, near = (
        RayController(TINY, WIDE, 0, ControllerTopology(n_shards=2), tmp_path),
        LocalController(TINY, WIDE, 0),
    )
    processes = list(map(process_of, controller.shards))
    learn(controller, range(1))
    all_learnt(controller, 1)
    kill(controller.shards[0])  # between updates
    learn(controller, range(1, 6))
    kill(controller.shards[1])  # while they are made
    assert {(update.staleness, update.n_refused) for update in all_learnt(controller, 5)} == {(0, 0)}
    wait_until(lambda: not set(map(process_of, controller.shards)) & set(processes))
    learn(near, range(6))
    versions, values = state_of(controller)
    assert versions == [6, 6]
    np.testing.assert_allclose(values, parameters_of(near), atol=1e-6)
    # Their names cannot be guessed, so that nobody can leave other states there.
    assert [path.name.partition("-")[0] for path in sorted(tmp_path.iterdir())] == ["shard0", "shard1"]


def test_replicas_learn_side_by_side_and_none_from_what_is_too_old(tmp_path: Path):
    topology = ControllerTopology(n_shards=1, n_replicas=3)
    controller = RayController(TINY, WIDE, 0, topology, tmp_path)
    children = [controller.draw(replica, 7, 2) for replica in range(3)]
    assert children[0] == children[1] == children[2]
    for number in range(3):
        for replica in (0, 1):
            controller.learn(replica, number, EPISODES[number], 2)
    early = all_learnt(controller, 6)
    controller.learn(2, 0, EPISODES[0], 2)
    (late,) = all_learnt(controller, 1)
    assert max(update.staleness for update in early) > 0
    assert max(update.staleness for update in early) <= topology.most_stale == 4
    assert (late.replica, late.staleness, late.n_refused) == (2, 0, 1)
    assert state_of(controller)[0] == [7]
