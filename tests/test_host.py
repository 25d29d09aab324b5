"""Cores are those that this process may use, not the machine's, for each library."""

from __future__ import annotations

import json
import os
import sys

import pytest
from control_groups import control_group, output_of

from stacktune import host
from stacktune.host import Cores, cores_here, n_cores
from stacktune.tracking.requirements import requirements_for


@pytest.fixture
def machine(monkeypatch):
    """64 cores, of which the process is bound to so many, under a quota."""

    def make(n_bound: int, quota: float | None) -> None:
        monkeypatch.setattr(host.os, "cpu_count", lambda: 64)
        monkeypatch.setattr(host.os, "sched_getaffinity", lambda _: set(range(n_bound)))
        monkeypatch.setattr(host, "cpu_quota", lambda: quota)

    return make


@pytest.mark.parametrize(
    ("n_bound", "quota", "n", "note"),
    [
        (64, None, 64, ""),
        (64, 100.0, 64, ""),
        (64, 64.0, 64, ""),
        (64, 0.05, 1, " (of 64: a quota of 0.05 cores)"),
        (64, 0.5, 1, " (of 64: a quota of 0.5 cores)"),
        (64, 1.0, 1, " (of 64: a quota of 1 core)"),
        (64, 1.5, 1, " (of 64: a quota of 1.5 cores)"),
        (64, 2.999, 2, " (of 64: a quota of 3 cores)"),
        (4, 8.0, 4, " (of 64: those that this process is bound to)"),
        (4, 2.0, 2, " (of 64: a quota of 2 cores)"),
        (1, 0.5, 1, " (of 64: a quota of 0.5 cores)"),
    ],
)
def test_the_cores_are_the_least_of_affinity_and_quota(machine, n_bound, quota, n, note):
    machine(n_bound, quota)
    assert (cores_here().n, cores_here().note) == (n, note)


def test_fewer_cores_may_be_asked_for():
    cores = Cores(4, 64, "a quota of 4 cores")
    assert cores.at_most(2) == Cores(2, 64, "--cpus")
    assert cores.at_most(2).note == " (of 64: --cpus)"
    assert cores.at_most(4) == cores.at_most(None) == cores.at_most(9) == cores


FOUND = """
import json, os, sys
from dataclasses import asdict
from stacktune.data.memory import memory_here
from stacktune.host import cores_here, use_cores
with open(sys.argv[1], "wb+") as file:
    file.write(bytes(150 * 2**20))
    os.fsync(file)
    file.seek(0)
    while file.read(2**20):
        pass
print(json.dumps([asdict(cores_here()), asdict(memory_here()), use_cores(8), os.environ["OMP_NUM_THREADS"]]))
"""


def test_a_real_group_is_found_and_pages_of_files_are_free(tmp_path):
    """A file that fills the group is written and read: the kernel drops it when a process wants the memory."""
    limit = 200 * 2**20
    with control_group(0.5, limit) as group:
        command = [*group.command, sys.executable, "-c", FOUND, str(tmp_path / "file")]
        cores, memory, n_used, n_threads = json.loads(output_of(command))
        assert group.used > 0.5 * limit
    assert cores == {"n": 1, "n_of_machine": os.cpu_count(), "limited_by": "a quota of 0.5 cores"}
    assert (n_used, n_threads) == (1, "1")
    assert memory["n_bytes"] == limit
    assert 0.6 * limit < memory["n_free"] < limit


COUNTS = """
import json, threading
from stacktune.host import n_cores, use_cores
before = use_cores(1)
import numpy, scipy.linalg, sklearn.linear_model, torch, lightgbm, xgboost, pyarrow, joblib
from threadpoolctl import threadpool_info
counts = []
def count():
    counts.extend([torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())])
count()
thread = threading.Thread(target=count)
thread.start()
thread.join()
print(json.dumps([before, n_cores(), pyarrow.cpu_count(), joblib.cpu_count(), *counts]))
"""


def test_every_library_keeps_to_the_cores_asked_for_on_every_thread():
    assert set(json.loads(output_of([sys.executable, "-c", COUNTS]))) == {1}


def test_what_a_user_has_set_lower_stays(monkeypatch):
    for name in host.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(host, "_kept_to", None)
    monkeypatch.setattr(host, "cores_here", lambda: Cores(4, 64))
    monkeypatch.setattr("threadpoolctl.threadpool_limits", lambda limits: limits)
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    monkeypatch.setenv("MKL_NUM_THREADS", "16")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "no number")
    assert host.use_cores(3) == n_cores() == 3
    found = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    assert found == {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}


def test_a_served_model_needs_nothing_more_installed_to_know_its_cores():
    assert {pin.partition("==")[0] for pin in requirements_for(["stacktune.host"])} == {"mlflow", "threadpoolctl"}
