"""The budget is kept by runs whose trials hang and whose searcher is slow.

How late a run may be is told in starts of a bare Ray, as this machine makes them beside whatever else it does. To
begin, to fit a first model and to end takes a few of them: more than the budget where a machine is busy enough.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import stacktune
from whole_runs import lend_store, mixed_table

from stacktune.package import copy_package
from stacktune.runs import ray_session
from stacktune.search.sources import BayesianSource

# A family whose every fit sleeps for ever, as one that waits for a lock would.
SLEEPER = """
import time
from stacktune.families.base import Family

class Learner:
    n_units = 0
    def __init__(self, job, config): ...
    def advance(self, units):
        time.sleep(10**6)

FAMILY = Family("sleeper", "fit", lambda config: 1, Learner, lambda folder: None)
"""
# One that leaves threads at work behind it, eight for each fit, whatever number it was told to keep to: beside it all
# else is several times slower than was estimated.
GREEDY = """
import hashlib
from threading import Thread
from stacktune.families.base import Family
from stacktune.families.linear import LinearLearner, load
from stacktune.search_spaces.linear import PORTFOLIO

def burn():
    while True:
        hashlib.sha256(bytes(10**7))

class Learner(LinearLearner):
    def __init__(self, job, config):
        super().__init__(job, PORTFOLIO[0])

    def advance(self, units):
        for _ in range(8):
            Thread(target=burn, daemon=True).start()
        super().advance(units)

FAMILY = Family("greedy", "fit", lambda config: 1, Learner, load)
"""
SPACE = "from ray import tune\nSPACE = {'x': tune.uniform(0, 1)}\nPORTFOLIO = ({'x': 0.5},)\n"
# Half a minute is what a first model is waited for; here five seconds.
IMPATIENT = """
import stacktune.search.tune.engine
stacktune.search.tune.engine.MAX_LATE_WITHOUT_MODEL_S = 5.0
from stacktune.cli import main
main()
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project with the families that keep no rules."""
    folder = tmp_path_factory.mktemp("copy")
    package = copy_package(folder)
    for name, family in (("sleeper", SLEEPER), ("greedy", GREEDY)):
        (package / "families" / f"{name}.py").write_text(family)
        (package / "search_spaces" / f"{name}.py").write_text(SPACE)
    mixed_table().to_parquet(folder / "table.parquet")
    return folder


BARE_RAY = """
from stacktune.search.cluster.start import start_ray, stop_ray
start_ray(None, None, 0)
stop_ray()
"""


@pytest.fixture(scope="module")
def most_late_s(copy) -> float:
    """What a process takes four times that starts and ends Ray, and nothing else."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    subprocess.run([sys.executable, "-c", BARE_RAY], cwd=copy, env=environment, check=True, capture_output=True)
    return 4 * (time.monotonic() - started)


def run(copy: Path, *words: object, program: tuple[str, ...] = ("-m", "stacktune")) -> tuple[float, str, str, int]:
    """Return the seconds that it took, what it said and its status."""
    lend_store(words, copy)
    started = time.monotonic()
    command = [sys.executable, *program, "run", "table.parquet", "--target", "diagnosis", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(copy)}
    ended = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=180)
    return time.monotonic() - started, ended.stdout, ended.stderr, ended.returncode


def test_trials_that_hang_cost_their_cores_and_no_second_more(copy, most_late_s):
    took_s, said, errors, status = run(copy, "--families", "sleeper,linear", "--time-budget", 9, "--output", "one")
    assert (status, errors) == (0, ""), said
    assert took_s < 9 + most_late_s
    facts = json.loads((copy / "one" / "run.json").read_text())
    assert facts["n_completed"] > 0


def test_trials_that_take_more_threads_than_they_may_slow_the_run_and_cost_no_second_more(copy, most_late_s):
    took_s, said, errors, status = run(copy, "--families", "greedy,lightgbm", "--time-budget", 15, "--output", "four")
    assert (status, errors) == (0, ""), said
    assert took_s < 15 + most_late_s
    facts = json.loads((copy / "four" / "run.json").read_text())
    assert facts["n_completed"] > 0


def test_where_every_trial_hangs_the_run_says_so_and_ends(copy, most_late_s):
    words = ["--families", "sleeper", "--time-budget", 8, "--cpus", 1, "--output", "two"]
    took_s, _, errors, status = run(copy, *words, program=("-c", IMPATIENT))
    assert status == 2
    assert "no trial could be completed in the time given" in errors
    assert took_s < 8 + 5 + most_late_s
    assert not (copy / "two").exists()


def search_slowly() -> None:
    """Let a search be asked for ten seconds before each answer."""
    ask = BayesianSource.ask
    BayesianSource.ask = lambda source, trial_id: time.sleep(10) or ask(source, trial_id)


def test_a_searcher_that_takes_ten_seconds_costs_trials_and_not_the_budget(copy, most_late_s):
    words = ["run", "table.parquet", "--target", "diagnosis", "--families", "linear", "--time-budget", 20, "--cpus", 1]
    started = time.monotonic()
    ended = stacktune(*words, "--output", "three", cwd=copy, prepare=search_slowly)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert time.monotonic() - started < 20 + most_late_s


def start_ray_late() -> None:
    """Let Ray come up after the budget is over, as on a machine that has no core to spare for it."""
    start = ray_session.start_ray
    ray_session.start_ray = lambda *asked: time.sleep(20) or start(*asked)


def test_where_ray_is_not_up_in_time_the_first_model_leads(copy, most_late_s):
    """Beside other work six of six runs of 15 to 20 s ended without a model, after 17 to 45 s."""
    words = ["run", "table.parquet", "--target", "diagnosis", "--time-budget", 10, "--test-size", 0.2]
    started = time.monotonic()
    ended = stacktune(*words, "--output", "five", cwd=copy, prepare=start_ray_late)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "Ray was not up in time to search" in ended.stdout
    facts = json.loads((copy / "five" / "run.json").read_text())
    assert (facts["n_completed"], facts["leader"]) == (1, "linear-0000")
    assert facts["registered_version"] is not None
    assert facts["test_score"] > 0.9
    assert time.monotonic() - started < 10 + most_late_s
