"""Whole runs whose Ray Tune breaks off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Ended, several
from whole_runs import mixed_table

from stacktune.search.tune.scheduler import FamilyScheduler

# A search goes on with a new Tune twice, so that one which is broken off for good is so three times.
BREAKS = [0, 0, 0, 2, 2, 2]


def break_tune() -> None:
    """Let the scheduler break Tune at each of the breaks, once so many trials have ended."""
    chooses, left = FamilyScheduler.choose_trial_to_run, BREAKS.copy()

    def breaks(self: FamilyScheduler, controller: object) -> object:
        if left and len(self._log.results()) >= left[0]:
            left.pop(0)
            raise LookupError("no such rung")
        return chooses(self, controller)

    FamilyScheduler.choose_trial_to_run = breaks


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> tuple[Path, list[Ended]]:
    """The folder of a run that is broken off after two trials, and what it ended with and what came after it.

    Before it comes one that is broken off at once.
    """
    desk = tmp_path_factory.mktemp("broken")
    mixed_table().to_parquet(desk / "table.parquet")
    words = ["run", "table.parquet", "--target", "diagnosis", "--families", "linear", "--max-trials", 4, "--cpus", 1]
    words += ["--no-report"]
    commands = [
        [*words, "--output", "runs/none"],
        [*words, "--output", "runs/one"],
        ["predict", "runs/one", "table.parquet"],
        ["run", "--resume", "runs/one", "--cpus", 1],
    ]
    return desk / "runs/one", several([(of, desk) for of in commands], prepare=break_tune)


def test_a_search_that_ray_tune_breaks_off_at_once_says_why(broken):
    _, (ended, *_) = broken
    assert ended.status == 2
    assert "Error: Ray Tune broke off the search: LookupError: no such rung" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_search_that_ray_tune_breaks_off_ends_with_the_leader_that_it_has_and_can_go_on(broken):
    folder, (_, ended, predicted, resumed) = broken
    assert (ended.status, ended.stderr) == (0, "")
    said = "Ray Tune broke off: LookupError: no such rung; runs/one/broken-off.txt has all of it, and the search"
    assert ended.stdout.count(f"{said} goes on with a new one") == 2
    assert ended.stdout.count(f"{said} ends") == 1
    assert "in breaks" in (folder / "broken-off.txt").read_text()
    assert "the leader is made of the 2 trials completed by now; stacktune run --resume runs/one goes" in ended.stdout
    assert (predicted.status, resumed.status) == (0, 0), resumed.stdout + resumed.stderr
    assert json.loads((folder / "run.json").read_text())["n_completed"] == 4
    log = (folder / "run.log").read_text()
    assert (log.count(" begins in "), log.count(" goes on in ")) == (1, 1)
    assert "    LookupError: no such rung" in log
