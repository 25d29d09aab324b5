"""Starting and joining Ray: what cannot be had is refused at once, and two nodes share a run."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
from neighbours import LIBRARIES, OURS, STANDARD, python_without_stacktune, set_traps, sprung
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from test_engine import run_search

from stacktune import host
from stacktune.data.folds import make_folds
from stacktune.data.memory import Memory
from stacktune.errors import SearchError
from stacktune.host import cores_here
from stacktune.package import copy_package, is_this_code
from stacktune.search.cluster.scratch import PREFIX
from stacktune.search.cluster.start import object_store_bytes, start_ray, stop_ray
from stacktune.search.cluster.trial_store import open_trial_store
from stacktune.search.journal import ENDED, read_journal
from stacktune.search.log import SearchListener
from stacktune.search.plan.plan import ClusterSize, make_plan
from stacktune.trials.checkpoint import Checkpoint
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import COMPLETED

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def test_more_cores_than_the_machine_has_are_refused_without_starting_ray():
    with pytest.raises(SearchError, match=r"--cpus 4096 asks for more cores than .*\d+.*; ask for at most"):
        start_ray(None, 4096, None)
    assert not ray.is_initialized()


def test_gpus_that_the_machine_has_not_are_refused_without_starting_ray():
    with pytest.raises(SearchError, match=r"--gpus 512 asks for more GPUs than this machine's \d+"):
        start_ray(None, cores_here().n, 512)
    assert not ray.is_initialized()


def test_cores_beyond_a_quota_are_refused_with_the_quota(monkeypatch):
    monkeypatch.setattr(host, "cpu_quota", lambda: 0.5)
    monkeypatch.setattr(host.os, "cpu_count", lambda: 64)
    with pytest.raises(SearchError, match=r"than the 1 \(of 64: a quota of 0\.5 cores\) that it may use; .* at most 1"):
        start_ray(None, 2, None)
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("memory", "shared", "size"),
    [
        (25e9, 25e9, 2 * 1024**3),
        (2e9, 25e9, 0.2 * 2e9),
        (25e9, 1e9, 0.95 * 1e9),
        (2e9, 64 * 1024**2, 0.2 * 2e9),
        (2e9, None, 0.2 * 2e9),
        (2e8, 25e9, 75 * 1024**2),
    ],
)
def test_the_object_store_is_as_large_as_the_containers_memory_and_shared_memory_allow(memory, shared, size):
    """Docker gives 64 MB of shared memory, less than Ray takes: the store is then on the disk, and so not bounded."""
    assert object_store_bytes(Memory(int(memory), int(memory), int(25e9)), shared) == int(size)


def test_an_address_where_nothing_answers_is_refused():
    with pytest.raises(SearchError, match=r"no Ray cluster answers at --address '127.0.0.1:1'.*ray start --head"):
        start_ray("127.0.0.1:1", None, None)
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    """Two raylets of one core each on this machine."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20})
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def joined(two_nodes) -> Iterator[ClusterSize]:
    """This process as a driver of the two nodes."""
    yield start_ray(two_nodes.address, None, None)
    stop_ray()


def test_a_cluster_with_too_few_cores_is_refused_at_once(two_nodes):
    with pytest.raises(SearchError, match=r"--cpus 50 asks for more than the cluster at --address .* has \(2\)"):
        start_ray(two_nodes.address, 50, None)


def test_workers_of_a_cluster_run_the_drivers_code_and_nothing_of_the_folder_that_it_stands_in(
    two_nodes, tmp_path, monkeypatch
):
    """Ray put the folder before all other paths: a user's pipeline.py, csv.py or numpy.py was run by every worker."""

    def imported() -> tuple[Path, set[str]]:
        """Return where a worker has our code from, and its paths."""
        import stacktune.search.tune.trainable

        return Path(stacktune.search.tune.trainable.__file__).parents[2], set(map(os.path.realpath, sys.path))

    monkeypatch.chdir(set_traps(tmp_path / "desk", "stacktune", *OURS, *STANDARD, *LIBRARIES))
    start_ray(two_nodes.address, None, None)
    try:
        everywhere = [
            NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]
        ]
        tasks = [ray.remote(imported).options(num_cpus=0, scheduling_strategy=node).remote() for node in everywhere]
        seen = ray.get(tasks)
    finally:
        stop_ray()
    for package, paths in seen:
        assert package != ROOT / "pipeline"
        assert is_this_code(package)
        assert not {str(ROOT), str(tmp_path / "desk")} & paths
    assert sprung(tmp_path) == []


@pytest.fixture
def longer_trials(problem) -> Problem:
    """The same table twenty times over, so that no trial ends before the other node's process is up."""
    table = problem.table.take(np.tile(np.arange(problem.table.n_rows), 20)).sealed()
    return replace(problem, table=table, folds=make_folds(table, problem.task, 3, 0))


def test_two_nodes_share_a_run(two_nodes, joined, longer_trials, tmp_path):
    assert joined.n_cpus == 2
    nodes = set()

    class Where(SearchListener):
        """Notes on which nodes actors are alive while trials run."""

        def trial_progress(self, trial, rung, score):
            from ray.util.state import list_actors

            nodes.update(actor.node_id for actor in list_actors(address=two_nodes.address) if actor.state == "ALIVE")

    plan = make_plan(["lightgbm", "xgboost"], joined, 0, 6, None, time.monotonic())
    run = Provenance(secrets.token_hex(16), "rows")
    planted = plant(run, longer_trials)
    try:
        results = run_search(longer_trials, plan, tmp_path, Where(), run)
        assert sum(result.status == COMPLETED for result in results) >= 2
        assert len(nodes) == 2
        assert all(result.score < 1 for result in results)
        assert {path.name for path in planted.iterdir()} == {f".{trial_id}-999999999" for trial_id in PLANTED}
        assert list(planted.parent.glob(f"*{run.run}*")) == [planted]
    finally:
        shutil.rmtree(planted)


PLANTED = ("lightgbm-0000", "xgboost-0000")


def plant(run: Provenance, problem: Problem) -> Path:
    """Leave, under the name that the run's folder on nodes will have, trials that have done all but say so.

    Under a name that is known beforehand, as jobs' ids are, they were taken over: 1.0000 was registered.
    """
    truth = problem.table.target.astype(float)[:, None]
    predicted = np.hstack([1 - truth, truth])[:, -problem.task.n_outputs :]
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{run.run}-{run.digest}"
    folder.mkdir(mode=0o755)
    for trial_id in PLANTED:
        trial = folder / f".{trial_id}-999999999"
        for fold in range(problem.folds.n_folds):
            (trial / f"fold{fold}").mkdir(parents=True)
        done = Checkpoint(1, (1.0,), (), (1, 1, 1), (1.0, 1.0, 1.0), ((), (), ()), ("", "", ""))
        done.save(trial, predicted, "planted")
    return folder


def test_a_node_without_the_drivers_disk_hands_its_trials_over(joined, tmp_path):
    """Work done on the second node ends whole on the driver's, members' states included."""
    head, other = (node["NodeID"] for node in ray.nodes() if node["Alive"])
    folder = tmp_path / "trials"
    store = open_trial_store(folder, not joined.is_local, Provenance(secrets.token_hex(16), "rows"))
    folder.mkdir()
    away = other if store.driver_node == head else head

    @ray.remote(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(away, soft=False))
    def work() -> tuple[bool, str, bool]:
        place = store.scratch_dir()
        (place / "made" / "fold0").mkdir(parents=True)
        (place / "made" / "fold0" / "model.txt").write_text("tree")
        store.upload(place / "made", ".states/a-1")
        store.publish(place / "made", "a-0000")
        fetched = store.fetch(place / "lent", ".states/a-1")
        return store.is_on_driver(), (fetched / "fold0" / "model.txt").read_text(), place == folder

    assert ray.get(work.remote()) == (False, "tree", False)
    assert (folder / "a-0000" / "fold0" / "model.txt").read_text() == "tree"
    assert store.clear() == 0
    assert not list(Path(tempfile.gettempdir()).glob(f"*{store.made_by.run}*"))


@pytest.fixture(scope="module")
def job_server(tmp_path_factory) -> Iterator[str]:
    """`ray start --head` with its dashboard, where stacktune is not installed; its job server's address."""
    python = python_without_stacktune(tmp_path_factory.mktemp("nodes") / "python")
    # On a machine that is busy, Ray gives a node up that is not there in half a minute.
    for n_left in reversed(range(4)):
        # In Ray's usual folder it would leave its address behind, for every other Ray program to wait for.
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
            log, (port, dashboard, agent) = Path(folder) / "head.log", _free_ports(3)
            with (
                log.open("w") as told,
                subprocess.Popen(
                    _ray_start(python, port, dashboard, agent, folder),
                    env=_of_no_other_ray(python),
                    stdout=told,
                    stderr=told,
                ) as head,
            ):
                if _has_started(head, log):
                    yield f"http://127.0.0.1:{dashboard}"
                    head.terminate()  # `ray stop` would end every Ray of the machine, and this test with it
                    return
            assert n_left, log.read_text()


def _ray_start(python: Path, port: int, dashboard: int, agent: int, folder: str) -> list[str]:
    return [
        *(str(python), "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *(f"--port={port}", f"--dashboard-port={dashboard}"),
        f"--dashboard-agent-listen-port={agent}",  # each node's agent takes jobs; that of another Ray has the usual one
        *("--num-cpus=2", "--object-store-memory=200000000", "--disable-usage-stats", "--temp-dir", folder),
    ]


def _of_no_other_ray(python: Path) -> dict[str, str]:
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    return environment


def _has_started(head: subprocess.Popen, log: Path) -> bool:
    while "Ray runtime started" not in log.read_text():
        if head.poll() is not None:
            return False
        time.sleep(0.1)
    return True


def _free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(n)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """The code as a user has it, beside files of unlucky names, in a folder that is small to upload."""
    folder = tmp_path_factory.mktemp("job") / "checkout"
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "search_spaces", folder / "search_spaces", ignore=shutil.ignore_patterns("__pycache__"))
    return set_traps(folder, "conftest", "stacktune", "lightgbm", "sklearn", "mlflow", "torch")


def job(server: str, *words: object) -> subprocess.CompletedProcess:
    """`ray job …`, once more where the server is not all there yet."""
    command = [BIN / "ray", "job", words[0], "--address", server, *words[1:]]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    started = time.monotonic()
    while True:
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=400, env=environment)
        if "No available agent" not in ended.stderr or time.monotonic() - started > 60:
            return ended


def test_a_submitted_job_runs_on_the_cluster_that_it_was_submitted_to(job_server, checkout, tmp_path):
    """`ray job submit --working-dir . -- python -m pipeline run …`, as the README says.

    Workers found no stacktune where the nodes have none, and files of the folder in place of libraries.
    """
    output = tmp_path / "runs" / "job"
    words = ["python", "-m", "pipeline", "demo", "--max-trials", "2", "--cpus", "1", "--output", output]
    ended = job(job_server, "submit", "--working-dir", checkout, "--", *words)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert (output / "run.json").is_file()
    assert "succeeded" in ended.stdout
    assert "ImportError" not in ended.stdout


# The command on a machine where an end takes longer than the job server waits: until there is a file.
SLOW_TO_END = """
import time
from pathlib import Path
import stacktune.cli, stacktune.runs.driver
conclude = stacktune.runs.driver.conclude

def wait_and_conclude(*those):
    while not Path({gate!r}).exists():
        time.sleep(0.1)
    return conclude(*those)

stacktune.runs.driver.conclude = wait_and_conclude
stacktune.cli.main()
"""


def test_a_job_that_is_stopped_ends_with_its_leader_also_after_it_was_killed(job_server, tmp_path):
    """`ray job stop` kills after three seconds: see RAY_JOB_STOP_WAIT_TIME_S."""
    copy_package(tmp_path / "code")
    gate = tmp_path / "may-end"
    (tmp_path / "code" / "slow.py").write_text(SLOW_TO_END.format(gate=str(gate)))
    output = tmp_path / "runs" / "job"
    words = ["python", "slow.py", "demo", "--time-budget", "10m", "--cpus", "1", "--output", output]
    begun = job(
        job_server, "submit", "--no-wait", "--submission-id", "one", "--working-dir", tmp_path / "code", "--", *words
    )
    assert begun.returncode == 0, begun.stdout + begun.stderr
    _wait_until(lambda: _has_model(output))
    stopped = job(job_server, "stop", "one")
    assert "was stopped" in stopped.stdout, stopped.stdout + stopped.stderr
    assert not (output / "run.json").exists()
    gate.touch()
    _wait_until((output / "run.json").exists)
    said = job(job_server, "logs", "one").stdout
    assert "SIGTERM: the run ends with what it has; once more ends it at once" in said
    assert "stopping as asked: the leader is made of the" in said


def _has_model(output: Path) -> bool:
    events = read_journal(output / "journal.jsonl")
    return any(event == ENDED and what["status"] == COMPLETED for event, what in events)


def _wait_until(is_so: Callable[[], bool], timeout_s: float = 400.0) -> None:
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.2)


def test_without_an_address_a_run_has_a_ray_of_its_own_beside_another(job_server):
    """`ray.init` alone would join the cluster that `ray start` left running, and refuse a number of cores."""
    assert start_ray(None, 1, 0).n_cpus == 1
    stop_ray()
