"""A command in a Ray job outlives the processes that `ray job stop` kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stacktune.job import JOB

# Ends when its file `go` is there, so that its end comes after whatever the test did.
# The first process looks away for as long as `AWAY_S` says, so that the one that works is ahead of it.
PROGRAM = """
import os, pathlib, time
from stacktune.process import begin, end
from stacktune.stop import StopRequest, interruptible
wait = os.waitpid
os.waitpid = lambda *of: time.sleep(float(os.environ["AWAY_S"])) or wait(*of)
begin()
def tell(line): print(line, flush=True)
with interruptible(), StopRequest(tell) as stop:
    tell(f"ready {os.getpid()}")
    while not stop.is_made: time.sleep(0.01)
    while not pathlib.Path("go").exists(): time.sleep(0.01)
    pathlib.Path("done").touch()
end(7)
"""


@pytest.fixture(params=["0"])
def front(request, tmp_path):
    """The first process of a job, which has begun, with its log."""
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=tmp_path,
            stdout=log,
            env={**os.environ, JOB: "{}", "AWAY_S": request.param},
            start_new_session=True,
        )
    wait_until(lambda: log_of(tmp_path).endswith("\n"))
    yield process
    (tmp_path / "go").touch()
    process.kill()
    process.wait()


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def wait_until(is_so, timeout_s: float = 60.0) -> None:
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.01)


def test_the_process_that_works_is_none_of_those_that_are_killed(front, tmp_path):
    assert psutil.Process(front.pid).children(recursive=True) == []
    front.send_signal(signal.SIGTERM)
    wait_until(lambda: "SIGTERM: the run ends" in log_of(tmp_path))
    os.killpg(front.pid, signal.SIGKILL)
    front.wait()
    (tmp_path / "go").touch()
    wait_until((tmp_path / "done").exists)


@pytest.mark.parametrize("front", ["0", "0.5"], indirect=True)
def test_a_job_that_may_end_in_peace_ends_with_the_status_of_its_run(front, tmp_path):
    """The first process died of a signal that it got before it could pass one on."""
    front.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert front.wait(timeout=60) == 7
    assert (tmp_path / "done").exists()


def test_a_job_whose_first_process_is_killed_ends_as_if_it_was_asked_to(front, tmp_path):
    front.kill()
    wait_until(lambda: "SIGTERM: the run ends" in log_of(tmp_path))


def test_a_run_that_is_killed_ends_its_job(front, tmp_path):
    os.kill(int(log_of(tmp_path).removeprefix("ready ")), signal.SIGKILL)
    assert front.wait(timeout=60) == 128 + signal.SIGKILL
