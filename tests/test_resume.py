"""Runs that are killed at any moment, and go on."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from whole_runs import STACKTUNE, mixed_table, rays, stacktune

from stacktune.config import URIS, RunConfig
from stacktune.data.lines import read_lines
from stacktune.ensemble.leader import MODEL_FORMAT
from stacktune.errors import ConfigError
from stacktune.resume import RunState, resume_config, write_config
from stacktune.sync import sync

FAMILIES = "lightgbm,xgboost,linear,extra_trees"
TRIALS = ["--max-trials", "12", "--families", FAMILIES, "--folds", "3", "--seed", "1", "--weight", "weight"]
N_KILLS = 4  # and one while it registers the leader
TIMED = ["fit_s", "predict_us"]


def n_events(folder: Path) -> int:
    return sum(1 for _ in read_lines(folder / "journal.jsonl"))


def kill(words: list[str], desk: Path, folder: Path, n_more: int, wait_s: float) -> None:
    """Start a run, and kill it once so many events were noted and some time has passed."""
    before = n_events(folder)
    with subprocess.Popen(
        [*STACKTUNE, "run", *words], cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as command:
        patience_ends = time.monotonic() + 120
        while n_events(folder) < before + n_more and command.poll() is None:
            assert time.monotonic() < patience_ends
            time.sleep(0.02)
        time.sleep(wait_s)
        assert command.poll() is None
        command.kill()


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


def test_a_run_killed_five_times_ends_as_if_it_had_not_been(tmp_path):
    mixed_table().to_parquet(tmp_path / "tumours.parquet")
    words = ["tumours.parquet", "--target", "diagnosis", *TRIALS]
    ours, background = rays(), ThreadPoolExecutor(1)
    whole = background.submit(stacktune, "run", *words, "--output", "whole/run", cwd=tmp_path)

    folder, chance = tmp_path / "cut" / "run", random.Random(0)
    for attempt in range(N_KILLS):
        begun = ["--resume", "cut/run"] if attempt else [*words, "--output", "cut/run"]
        kill(begun, tmp_path, folder, chance.randint(1, 6), chance.uniform(0, 0.15))
    with subprocess.Popen(
        [*STACKTUNE, "run", "--resume", "cut/run"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as command:
        while "registering" not in command.stdout.readline():
            assert command.poll() is None
        command.kill()
    ended = stacktune("run", "--resume", "cut/run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert whole.result().returncode == 0, whole.result()

    expected, found = (pd.read_parquet(tmp_path / name / "run" / "leaderboard.parquet") for name in ("whole", "cut"))
    pd.testing.assert_frame_equal(found.drop(columns=TIMED), expected.drop(columns=TIMED))
    assert trials_of(folder) == trials_of(tmp_path / "whole" / "run")
    completed = set(found.loc[(found["kind"] == "trial") & (found["status"] == "completed"), "name"])
    assert {place.name for place in (folder / "trials").iterdir()} == completed
    assert rays() <= ours


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with a table and a short finished run of it."""
    desk = tmp_path_factory.mktemp("desk")
    mixed_table().to_parquet(desk / "tumours.parquet")
    words = ["tumours.parquet", "--target", "diagnosis", "--max-trials", 2, "--families", "linear", "--output", "one"]
    ended = stacktune("run", *words, cwd=desk)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return desk


def test_a_finished_run_takes_more_trials_and_then_more_time(desk, tmp_path):
    place = shutil.copytree(desk, tmp_path / "desk")
    first = json.loads((place / "one" / "run.json").read_text())
    refused = stacktune("run", "--resume", "one", cwd=place)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "has ended with its 2 trials; a --max-trials above that" in refused.stderr

    # From another folder, of a run that has moved.
    more = stacktune("run", desk / "tumours.parquet", "--resume", place / "one", "--max-trials", 4, cwd=tmp_path)
    assert more.returncode == 0, more.stdout + more.stderr
    second = json.loads((place / "one" / "run.json").read_text())
    assert second["n_completed"] + second["n_stopped"] == 4
    assert second["parent_run_id"] == first["parent_run_id"]
    assert second["registered_version"] == first["registered_version"] + 1

    longer = stacktune("run", "--resume", "one", "--time-budget", 16, cwd=place)
    assert longer.returncode == 0, longer.stdout + longer.stderr
    third = json.loads((place / "one" / "run.json").read_text())
    assert third["n_completed"] + third["n_stopped"] > 4
    assert 11 < third["wall_s"] - second["wall_s"] < 19
    assert trials_of(place / "one").keys() >= set(pd.read_parquet(place / "one" / "leaderboard.parquet")["name"])
    predicted = stacktune("predict", "one", "tumours.parquet", cwd=place)
    assert predicted.returncode == 0, predicted.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume", "nowhere"], "there is no run to go on with in"),
        (["--resume", "one", "--max-trials", "4", "--target", "size"], "--target is 'size' and was 'diagnosis'"),
        (["--resume", "one", "--max-trials", "4", "--folds", "2"], "--folds is 2 and was 8"),
        (["--resume", "one", "--max-trials", "4", "--output", "two"], "leave --output 'two' out"),
        (["--resume", "one", "--config", "one/config.yaml"], "exclude each other"),
        (["fewer.parquet", "--resume", "one", "--max-trials", "4"], "rows to learn from differ: 569 before, 500 now"),
        (
            ["other.parquet", "--resume", "one", "--max-trials", "4"],
            "columns differ: ['mean area'] before, ['area'] now",
        ),
        (["noise.parquet", "--resume", "one", "--max-trials", "4"], "its values differ"),
    ],
)
def test_what_has_changed_is_refused_by_name_and_nothing_is_touched(desk, words, message):
    frame = mixed_table()
    frame.head(500).to_parquet(desk / "fewer.parquet")
    frame.rename(columns={"mean area": "area"}).to_parquet(desk / "other.parquet")
    frame.assign(**{"mean area": frame["mean area"] + 1}).to_parquet(desk / "noise.parquet")
    before = {path: path.read_bytes() for path in (desk / "one").rglob("*") if path.is_file()}
    refused = stacktune("run", *words, cwd=desk)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert message in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in (desk / "one").rglob("*") if path.is_file()} == before


def test_a_run_at_work_cannot_be_resumed_by_another(desk, tmp_path):
    place = shutil.copytree(desk, tmp_path / "desk")
    words = [*STACKTUNE, "run", "--resume", "one", "--time-budget", "60"]
    before = n_events(place / "one")
    with subprocess.Popen(words, cwd=place, stdout=subprocess.DEVNULL) as command:
        while n_events(place / "one") == before:
            assert command.poll() is None
            time.sleep(0.1)
        refused = stacktune("run", "--resume", "one", "--time-budget", "60", cwd=place)
        command.kill()
    assert refused.returncode == 2
    assert "a run is at work in" in refused.stderr


def test_passwords_are_not_kept_and_asked_for_again(tmp_path):
    tracking_uri = "postgresql://me:very-secret@db/mlflow"
    write_config(tmp_path, RunConfig("s3://key:very-secret@bucket/x.parquet", "y", tracking_uri=tracking_uri))
    state = RunState("/desk", "d", 10, ("x",), (), "x", "x", ("linear",), 5, False, (), MODEL_FORMAT)
    (tmp_path / "state.json").write_text(json.dumps(asdict(state)))
    assert not any(b"very-secret" in path.read_bytes() for path in tmp_path.iterdir())
    with pytest.raises(ConfigError, match=r"password of 'postgresql://\*{3}@db/mlflow' was not kept .* --tracking-uri"):
        resume_config(tmp_path, {})
    with pytest.raises(ConfigError, match=r"password of 's3://\*{3}@bucket/x.parquet' was not kept .* give DATA"):
        resume_config(tmp_path, {"tracking_uri": tracking_uri})
    with pytest.raises(
        ConfigError, match=r"--tracking-uri is 'postgresql://\*{3}@other/mlflow' and was 'postgresql://\*{3}@db"
    ):
        resume_config(tmp_path, {"tracking_uri": "postgresql://me:very-secret@other/mlflow"})
    config, past = resume_config(tmp_path, {"tracking_uri": tracking_uri, "data": "/moved/x.parquet"})
    assert (config.tracking_uri, config.data) == (tracking_uri, "/moved/x.parquet")
    assert (config.experiment, past.state) == ("x", state)


@pytest.mark.parametrize("name", URIS)
def test_each_setting_whose_password_was_left_out_is_asked_for_again(name, tmp_path):
    """`--storage` and `--test-data` went on with stars for a password; one with quotes and blanks was kept."""
    uri = "s3://key:very 'secret'/x@bucket/x.parquet?secret_key=secret"
    write_config(tmp_path, RunConfig(**{"data": "x.parquet", "target": "y", name: uri}))
    state = RunState("/desk", "d", 10, ("x",), (), "x", "x", ("linear",), 5, False, (), MODEL_FORMAT)
    (tmp_path / "state.json").write_text(json.dumps(asdict(state)))
    assert b"secret'" not in (tmp_path / "config.yaml").read_bytes()
    flag = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"password of 's3://\*{{3}}@bucket/.*' was not kept .* give {flag} again"):
        resume_config(tmp_path, {})
    config, _ = resume_config(tmp_path, {name: uri})
    assert getattr(config, name) == uri
    if name != "data":  # which may have moved; a digest holds it against the run's own
        with pytest.raises(ConfigError, match=rf"{flag} is 's3://\*{{3}}@other' and was 's3://\*{{3}}@bucket/"):
            resume_config(tmp_path, {name: "s3://key:very-secret@other"})


def test_sync_asks_for_a_password_that_was_not_kept(tmp_path):
    write_config(tmp_path, RunConfig("x.parquet", "y", tracking_uri="postgresql://me:a/b c@db/mlflow"))
    state = RunState("/desk", "d", 10, ("x",), (), "x", "x", ("linear",), 5, False, (), MODEL_FORMAT)
    (tmp_path / "state.json").write_text(json.dumps(asdict(state)))
    with pytest.raises(ConfigError, match=r"password of 'postgresql://\*{3}@db/mlflow' .* give --tracking-uri again"):
        sync(tmp_path, None, pytest.fail)


def test_a_state_that_no_run_wrote_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"state\.json' is not what a run wrote"):
        resume_config(tmp_path, {})


def test_a_run_whose_models_another_version_wrote_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"was begun by another version of stacktune, whose models"):
        resume_config(tmp_path, {})


def test_a_time_budget_is_time_on_top_of_what_was_taken(tmp_path):
    write_config(tmp_path, RunConfig("x.parquet", "y", max_trials=5))
    state = RunState("/desk", "d", 10, ("x",), (), "x", "x", ("linear",), 5, False, (), MODEL_FORMAT)
    (tmp_path / "state.json").write_text(json.dumps(asdict(state)))
    (tmp_path / "journal.jsonl").write_text(json.dumps({"event": "alive", "elapsed_s": 40.0, "what": {}}) + "\n")
    config, past = resume_config(tmp_path, {"time_budget": "2m"})
    assert (config.time_budget_s, config.max_trials, past.elapsed_s) == (160.0, None, 40.0)
    assert config.data == "/desk/x.parquet"
    config, _ = resume_config(tmp_path, {"max_trials": 9})
    assert (config.time_budget_s, config.max_trials) == (None, 9)
