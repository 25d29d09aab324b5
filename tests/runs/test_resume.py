"""Runs that are killed at any moment, and go on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from commands import Command, Ended, begun, several, stacktune
from mlflow.tracking import MlflowClient
from whole_runs import mixed_table, rays

from stacktune.runs import watch
from stacktune.storage.lines import read_lines

FAMILIES = "lightgbm,linear,extra_trees"
TRIALS = ["--max-trials", "9", "--families", FAMILIES, "--folds", "3", "--seed", "1", "--weight", "weight"]
TIMED = ["fit_s", "predict_us"]
REPORTED = ("report.html", "report.json", "plots", "explanation")


def n_events(folder: Path) -> int:
    return sum(1 for _ in read_lines(folder / "journal.jsonl"))


def wait_for_events(command: Command, folder: Path, n_events_noted: int) -> None:
    patience_ends = time.monotonic() + 120
    while n_events(folder) < n_events_noted:
        assert command.poll() is None
        assert time.monotonic() < patience_ends
        time.sleep(0.02)


def decisions_of(folder: Path) -> Counter:
    """Return how often each step of a trial is told in the run's events."""
    steps = ("asked", "rung", "exploited", "completed", "stopped", "failed")
    lines = (line for line in read_lines(folder / "events.jsonl") if line["event"] in steps)
    return Counter((line["event"], line["of"], line.get("rung"), line.get("score")) for line in lines)


def trials_of(folder: Path) -> dict[str, list[tuple[str, list[int]]]]:
    """Return every nested run's steps of the chosen metric, by name; fails on a name that occurs twice."""
    facts = json.loads((folder / "run.json").read_text())
    client = MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    runs = client.search_runs([facts["experiment_id"]], f"tags.`mlflow.parentRunId` = '{facts['parent_run_id']}'")
    assert max(Counter(run.info.run_name for run in runs).values()) == 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    return {
        run.info.run_name: [point.step for point in client.get_metric_history(run.info.run_id, facts["metric"])]
        for run in runs
    }


def be_patient() -> None:
    """Look at a search only when that is over, and note what other threads add to the environment."""

    def note(event: str, args: tuple) -> None:
        is_new = event == "os.putenv" and args[0] not in os.environb
        if is_new and threading.current_thread() is not threading.main_thread():
            os.write(added, args[0] + b"\n")

    added = os.open("added.txt", os.O_WRONLY | os.O_CREAT)
    sys.addaudithook(note)
    watch.LOOK_EVERY_S = 200


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with a table and a finished run of it."""
    desk = tmp_path_factory.mktemp("desk")
    mixed_table().to_parquet(desk / "tumours.parquet")
    words = ["run", "tumours.parquet", "--target", "diagnosis", *TRIALS, "--output", "one"]
    ended = stacktune(*words, cwd=desk, prepare=be_patient)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return desk


def test_a_search_that_is_over_before_anybody_looked_is_among_the_phases(desk):
    began_s = json.loads((desk / "one" / "run.json").read_text())["phase_began_s"]
    assert list(began_s) == ["reading", "searching", "stacking", "registering", "explaining"]


def test_no_thread_adds_a_variable_to_the_environment(desk):
    """C code that read another one meanwhile took the process down, see `environment`."""
    assert (desk / "added.txt").read_text() == ""


def test_a_run_killed_twice_ends_as_if_it_had_not_been_on_fewer_cores_too(desk, tmp_path):
    """Once amid its search, when no other may go on with it, and once while it registers; on one core, not on all.

    `search/test_replay.py` cuts a search off anywhere.
    """
    shutil.copy(desk / "tumours.parquet", tmp_path)
    folder, chance, ours = tmp_path / "cut" / "run", random.Random(0), rays()
    words = [
        "run",
        "tumours.parquet",
        "--config",
        str(desk / "one" / "config.yaml"),
        "--output",
        "cut/run",
        "--no-report",
    ]
    with begun(*words, "--cpus", 1, cwd=tmp_path) as command:
        wait_for_events(command, folder, chance.randint(4, 10))
        command.send_signal(signal.SIGSTOP)  # so that it does not end meanwhile
        refused = stacktune("run", "--resume", "cut/run", cwd=tmp_path)
        command.kill()
    assert refused.returncode == 2
    assert "a run is at work in" in refused.stderr
    with begun("run", "--resume", "cut/run", "--cpus", 1, cwd=tmp_path) as command:
        while "registering" not in command.stdout:
            assert command.poll() is None
            time.sleep(0.02)
        command.kill()
    ended = stacktune("run", "--resume", "cut/run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr

    expected, found = (pd.read_parquet(run / "leaderboard.parquet") for run in (desk / "one", folder))
    pd.testing.assert_frame_equal(found.drop(columns=TIMED), expected.drop(columns=TIMED))
    assert trials_of(folder) == trials_of(desk / "one")
    assert decisions_of(folder) == decisions_of(desk / "one")
    assert [line["event"] for line in read_lines(folder / "events.jsonl")].count("went on") == 2
    completed = set(found.loc[(found["kind"] == "trial") & (found["status"] == "completed"), "name"])
    assert {place.name for place in (folder / "trials").iterdir()} == completed
    assert rays() <= ours


def test_a_finished_run_takes_more_trials_and_then_more_time(desk, tmp_path):
    place = shutil.copytree(desk, tmp_path / "desk")
    first = json.loads((place / "one" / "run.json").read_text())

    more = ["run", desk / "tumours.parquet", "--resume", place / "one", "--max-trials", 11, "--cpus", 1, "--no-report"]
    longer = ["run", "--resume", "one", "--time-budget", "10m", "--max-trials", 13, "--cpus", 1, "--no-report"]
    commands = [
        (more, tmp_path),  # from another folder, of a run that has moved
        (longer, place),
        (["predict", "one", "tumours.parquet"], place),
    ]
    more, longer, predicted = several(commands, keep=place / "one" / "run.json")
    assert more.status == 0, more.stdout + more.stderr
    second, third = json.loads(more.kept), json.loads(longer.kept)
    assert second["n_completed"] + second["n_stopped"] == 11
    assert second["parent_run_id"] == first["parent_run_id"]
    assert second["registered_version"] == first["registered_version"] + 1

    assert longer.status == 0, longer.stdout + longer.stderr
    assert third["n_completed"] + third["n_stopped"] == 13
    assert third["budget_s"] == pytest.approx(second["wall_s"] + 600)
    assert third["wall_s"] > second["wall_s"]
    assert trials_of(place / "one").keys() >= set(pd.read_parquet(place / "one" / "leaderboard.parquet")["name"])
    assert predicted.status == 0, predicted.stderr
    assert all((desk / "one" / name).exists() for name in REPORTED)
    assert not any((place / "one" / name).exists() for name in REPORTED), "they tell of a leader before this one"


CHANGED = [
    (["--resume", "nowhere"], "there is no run to go on with in"),
    (["--resume", "one"], "has ended with its 9 trials; a --max-trials above that"),
    (["--resume", "one", "--max-trials", "11", "--target", "size"], "--target is 'size' and was 'diagnosis'"),
    (["--resume", "one", "--max-trials", "11", "--folds", "2"], "--folds is 2 and was 3"),
    (["--resume", "one", "--max-trials", "11", "--output", "two"], "leave --output 'two' out"),
    (["--resume", "one", "--config", "one/config.yaml"], "exclude each other"),
    (["fewer.parquet", "--resume", "one", "--max-trials", "11"], "rows to learn from differ: 569 before, 500 now"),
    (["other.parquet", "--resume", "one", "--max-trials", "11"], "columns differ: ['mean area'] before, ['area'] now"),
    (["noise.parquet", "--resume", "one", "--max-trials", "11"], "its values differ"),
]


@pytest.fixture(scope="module")
def refused(desk, tmp_path_factory) -> list[tuple[Ended, Path]]:
    """What each change ended with, and the folder where it was tried."""
    places = [shutil.copytree(desk, tmp_path_factory.mktemp("changed") / "desk") for _ in CHANGED]
    frame = mixed_table()
    for place in places:
        frame.head(500).to_parquet(place / "fewer.parquet")
        frame.rename(columns={"mean area": "area"}).to_parquet(place / "other.parquet")
        frame.assign(**{"mean area": frame["mean area"] + 1}).to_parquet(place / "noise.parquet")
    ended = several([(["run", *words], place) for (words, _), place in zip(CHANGED, places, strict=True)])
    return list(zip(ended, places, strict=True))


@pytest.mark.parametrize("number", range(len(CHANGED)), ids=[message for _, message in CHANGED])
def test_what_has_changed_is_refused_by_name_and_nothing_is_touched(desk, refused, number):
    ended, place = refused[number]
    assert ended.status == 2, ended
    assert CHANGED[number][1] in ended.stderr
    assert ended.stdout == "" or "--max-trials" in CHANGED[number][0]
    assert len(ended.stderr.strip().splitlines()) == 1
    assert files_of(place / "one") == files_of(desk / "one")
    assert not (place / "two").exists()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
