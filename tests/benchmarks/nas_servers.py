"""Teach a controller from children that only sleep: updates a second, and how stale their gradients are.

python tests/benchmarks/nas_servers.py [--shards 1,4] [--replicas 1,4,16] [--sleep 1] [--seconds 20]
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from stacktune.search.cluster.start import start_ray, stop_ray
from stacktune.search.nas.children import child_space
from stacktune.search.nas.controller import UpdateStats
from stacktune.search.nas.parameter_server import RayController
from stacktune.search.nas.policy import Episode, PolicySettings
from stacktune.search.nas.settings import ControllerTopology
from stacktune.search.space import load_space


def measure(topology: ControllerTopology, sleep_s: float, seconds: float) -> dict[str, object]:
    """Return the updates a second of a controller, and how stale their gradients were."""
    space, settings = child_space(load_space("nas").domains), PolicySettings()
    n_depths, is_over, learnt = len(space.depths), threading.Event(), []
    asking = threading.Lock()  # a search has one thread for both

    def teach(replica: int) -> None:
        number = 0
        while not is_over.is_set():
            seeds = [(replica * 10_000 + number) * topology.n_children + child for child in range(topology.n_children)]
            children = [controller.draw(replica, seed, n_depths) for seed in seeds]
            time.sleep(sleep_s)
            episodes = [Episode(space.tokens(child), float(place % 2)) for place, child in enumerate(children)]
            with asking:
                controller.learn(replica, number, episodes, n_depths)
            number += 1

    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(topology.n_replicas) as pool,
    ):
        controller = RayController(space, settings, 0, topology, Path(folder))
        for replica in range(topology.n_replicas):
            controller.draw(replica, 0, n_depths)
        teachers = [pool.submit(teach, replica) for replica in range(topology.n_replicas)]
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(0.2)
            with asking:
                learnt += controller.learnt()
        is_over.set()
        for teacher in teachers:
            teacher.result()
        return _row(topology, learnt, seconds, sleep_s)


def _row(topology: ControllerTopology, learnt: list[UpdateStats], seconds: float, sleep_s: float) -> dict[str, object]:
    stale = pd.Series([update.staleness for update in learnt])
    return {
        "shards": topology.n_shards,
        "replicas": topology.n_replicas,
        "updates/s": round(len(learnt) / seconds, 2),
        "of children alone": round(topology.n_replicas / sleep_s, 2),
        "staleness mean": round(stale.mean(), 2),
        "most": stale.max(),
        "bound": topology.most_stale,
        "refused": sum(update.n_refused for update in learnt),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1,4", help="with commas between them")
    parser.add_argument("--replicas", default="1,4,16", help="with commas between them")
    parser.add_argument("--sleep", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    rows = []
    for n_replicas in map(int, args.replicas.split(",")):
        for n_shards in map(int, args.shards.split(",")):
            start_ray(None, 2, 0)
            rows.append(measure(ControllerTopology(n_shards, n_replicas), args.sleep, args.seconds))
            stop_ray()
            print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
