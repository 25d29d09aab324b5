"""Disturb runs in many ways, many times, and count what was lost.

    python tests/benchmarks/faults.py --work DIR [--tries 20] [--faults kill,interrupt,worker,node,mlflow] [--seed 0]
        [--trials 14]

Every try is a run with a number of trials (breast cancer, three families) in a folder of its own. A fault strikes at
random moments, nodes and workers once for every four trials at most; a run that it ends is resumed until it has its
leader. What came out is held against the same run left in peace: a trial is lost when its row on the leaderboard is
missing or differs, a row of MLflow when a run, a param or a point of the chosen metric is missing or there twice.
(`interrupt` sends SIGTERM, after which the leader is made of fewer trials: there the reference is the run's own
leaderboard.)

Each try appends a line to DIR/faults.jsonl; the table at the end is over all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))

from conftest import Server
from whole_runs import STACKTUNE, mixed_table

FAMILIES = "lightgbm,xgboost,linear"
MAX_SESSIONS = 12
SESSION_S = 600


@dataclass(frozen=True)
class Try:
    """What became of one run. n_sessions: one, and one for each time that it had to be resumed."""

    fault: str
    number: int
    has_leader: bool
    n_strikes: int
    n_sessions: int
    n_trials_lost: int
    n_rows_lost: int
    wall_s: float


class Place:
    """A folder with a table, and the runs of `n_trials` in it."""

    def __init__(self, folder: Path, n_trials: int, uri: str | None = None, address: str | None = None):
        self.folder, self.run, self._n_trials = folder, folder / "run", n_trials
        self.uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        self._options = ["--tracking-uri", self.uri, *(["--address", address] if address else [])]
        folder.mkdir(parents=True)
        mixed_table().to_parquet(folder / "table.parquet")

    def start(self) -> subprocess.Popen:
        """Begin the run, or go on with it."""
        if (self.run / "state.json").exists():
            words = ["--resume", "run", *self._options]
        else:
            shutil.rmtree(self.run, ignore_errors=True)
            words = ["table.parquet", "--target", "diagnosis", "--families", FAMILIES, "--folds", "3"]
            words += ["--max-trials", str(self._n_trials), "--output", "run", *self._options]
        log = (self.folder / "log").open("a")
        return subprocess.Popen([*STACKTUNE, "run", *words], cwd=self.folder, stdout=log, stderr=log)

    @property
    def has_leader(self) -> bool:
        return (self.run / "run.json").exists() and (self.run / "leader" / "MLmodel").exists()

    def trials(self) -> dict[str, tuple]:
        """Return each trial's row of the leaderboard, less what was timed."""
        frame = pd.read_parquet(self.run / "leaderboard.parquet")
        frame = frame[frame["kind"] == "trial"]
        return {row["name"]: (row["status"], row["score"], row["rungs"]) for row in frame.to_dict("records")}

    def rows(self) -> dict[str, tuple]:
        """Return what MLflow has of each trial: its params, and its steps of the metric; a double has no name."""
        from mlflow.tracking import MlflowClient

        facts = json.loads((self.run / "run.json").read_text())
        client, found = MlflowClient(self.uri), {}
        query = f"tags.`mlflow.parentRunId` = '{facts['parent_run_id']}' AND tags.kind = 'trial'"
        for run in client.search_runs([facts["experiment_id"]], query):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, facts["metric"])]
            params = tuple(sorted(run.data.params.items()))
            found[run.info.run_name if run.info.run_name not in found else None] = (params, steps, run.info.status)
        return found


def left_in_peace(place: Place) -> tuple[dict, dict]:
    """Return the trials and rows of a run that nothing disturbs."""
    assert place.start().wait(SESSION_S) == 0, (place.folder / "log").read_text()
    return place.trials(), place.rows()


def n_lost(expected: dict, found: dict) -> int:
    """Count what is missing, there for no reason, or otherwise than it should be."""
    return sum(expected.get(name) != found.get(name) for name in expected.keys() | found.keys())


Strike = Callable[[subprocess.Popen, random.Random], bool]


def kill(command: subprocess.Popen, chance: random.Random) -> bool:
    """Kill the driver."""
    command.kill()
    return True


def interrupt(command: subprocess.Popen, chance: random.Random) -> bool:
    """Ask the run to end."""
    command.send_signal(signal.SIGTERM)
    return True


def kill_worker(command: subprocess.Popen, chance: random.Random) -> bool:
    """Kill a process in which trials run."""
    workers = []
    for process in psutil.Process(command.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "Trainable" in " ".join(process.cmdline()):
                workers.append(process.pid)
    if workers:
        os.kill(chance.choice(workers), signal.SIGKILL)
    return bool(workers)


def disturb(place: Place, strike: Strike, chance: random.Random, n_most: int) -> tuple[int, int]:
    """Run to the end, struck at random moments `n_most` times at most; return (strikes, sessions)."""
    n_strikes = 0
    for session in range(1, MAX_SESSIONS + 1):
        command, began = place.start(), time.monotonic()
        while command.poll() is None and time.monotonic() - began < SESSION_S:
            with suppress(subprocess.TimeoutExpired):
                command.wait(chance.uniform(0.5, 6.0))
            if command.poll() is None and n_strikes < n_most:
                n_strikes += strike(command, chance)
        command.kill()
        command.wait()
        if place.has_leader:
            return n_strikes, session
    return n_strikes, MAX_SESSIONS


class Faults:
    """Each fault as a function of a fresh folder and a source of chance."""

    def __init__(self, work: Path, n_trials: int):
        self.work, self._n_trials = work, n_trials
        self.trials, self.rows = left_in_peace(Place(work / f"peace-{os.getpid()}", n_trials))

    def run(self, fault: str, number: int, seed: int) -> Try:
        folder, chance = self.work / f"{fault}-{number}", random.Random(f"{fault} {number} {seed}")
        shutil.rmtree(folder, ignore_errors=True)
        began = time.monotonic()
        place, (n_strikes, n_sessions) = getattr(self, fault)(folder, chance)
        trials, rows = (place.trials(), place.rows()) if place.has_leader else ({}, {})
        is_shorter = fault == "interrupt"
        expected = {name: self.trials[name] for name in trials if name in self.trials} if is_shorter else self.trials
        expected_rows = {name: self.rows[name] for name in rows if name in self.rows} if is_shorter else self.rows
        if is_shorter:  # trials that were under way have stopped where they were
            expected |= {name: row for name, row in trials.items() if row[0] == "stopped"}
            expected_rows |= {name: row for name, row in rows.items() if trials.get(name, ("",))[0] == "stopped"}
        return Try(
            *(fault, number, place.has_leader, n_strikes, n_sessions),
            n_trials_lost=n_lost(expected, trials),
            n_rows_lost=n_lost(expected_rows, rows),
            wall_s=round(time.monotonic() - began, 1),
        )

    def kill(self, folder: Path, chance: random.Random) -> tuple[Place, tuple[int, int]]:
        place = Place(folder, self._n_trials)
        return place, disturb(place, kill, chance, 6)

    def interrupt(self, folder: Path, chance: random.Random) -> tuple[Place, tuple[int, int]]:
        place = Place(folder, self._n_trials)
        return place, disturb(place, interrupt, chance, 1)

    def worker(self, folder: Path, chance: random.Random) -> tuple[Place, tuple[int, int]]:
        place = Place(folder, self._n_trials)
        return place, disturb(place, kill_worker, chance, self._n_trials // 4)

    def mlflow(self, folder: Path, chance: random.Random) -> tuple[Place, tuple[int, int]]:
        (folder.parent / f"{folder.name}-server").mkdir(exist_ok=True)
        server = Server(folder.parent / f"{folder.name}-server")
        server.start()
        place = Place(folder, self._n_trials, server.uri)

        def outage(command: subprocess.Popen, chance: random.Random) -> bool:
            server.stop()
            time.sleep(chance.uniform(0, 4))
            server.start()
            return True

        try:
            struck = disturb(place, outage, chance, 2)
            subprocess.run([*STACKTUNE, "sync", "run"], cwd=folder, check=True, capture_output=True)
            rows = place.rows()
            place.rows = lambda: rows
            return place, struck
        finally:
            server.stop()

    def node(self, folder: Path, chance: random.Random) -> tuple[Place, tuple[int, int]]:
        from ray.cluster_utils import Cluster

        size = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args={**size, "num_cpus": 0})
        nodes = [cluster.add_node(**size) for _ in range(2)]
        place = Place(folder, self._n_trials, address=cluster.address)

        def lose_a_node(command: subprocess.Popen, chance: random.Random) -> bool:
            cluster.remove_node(nodes.pop(chance.randrange(2)), allow_graceful=False)
            time.sleep(chance.uniform(0, 2))
            nodes.append(cluster.add_node(**size))
            return True

        try:
            return place, disturb(place, lose_a_node, chance, self._n_trials // 4)
        finally:
            cluster.shutdown()


def table(path: Path) -> str:
    """Return what all tries so far came to, a line a fault."""
    frame = pd.read_json(path, lines=True)
    counted = frame.groupby("fault", sort=False).agg(
        tries=("number", "count"),
        strikes=("n_strikes", "sum"),
        leaders=("has_leader", "sum"),
        trials_lost=("n_trials_lost", "sum"),
        mlflow_rows_lost=("n_rows_lost", "sum"),
        sessions=("n_sessions", "mean"),
    )
    return counted.round(1).to_string()


def main() -> None:
    """Strike and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--faults", default="kill,interrupt,worker,node,mlflow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=14)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    faults, results = Faults(args.work, args.trials), args.work / "faults.jsonl"
    for number in range(args.tries):
        for fault in args.faults.split(","):
            outcome = faults.run(fault, number, args.seed)
            with results.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            print(outcome, flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
