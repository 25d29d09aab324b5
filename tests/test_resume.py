"""Runs that are killed at any moment, and go on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient
from several_commands import Ended, several
from whole_runs import STACKTUNE, mixed_table, rays, stacktune

from stacktune.config import URIS, RunConfig, load_config
from stacktune.data.dataset import Dataset, load_dataset
from stacktune.data.folds import make_folds
from stacktune.data.lines import read_lines
from stacktune.data.table import Table
from stacktune.errors import ConfigError, DataError
from stacktune.metrics import get_metric
from stacktune.resume import resume_config, write_config
from stacktune.search.journal import Journal
from stacktune.search.plan import SizePlan
from stacktune.state import FREE, RunState, begin_state, fixed_settings, new_run, provenance_of, write_state
from stacktune.sync import sync
from stacktune.trials.climb import Arena

FAMILIES = "lightgbm,xgboost,linear,extra_trees"
TRIALS = ["--max-trials", "12", "--families", FAMILIES, "--folds", "3", "--seed", "1", "--weight", "weight"]
TIMED = ["fit_s", "predict_us"]


def n_events(folder: Path) -> int:
    return sum(1 for _ in read_lines(folder / "journal.jsonl"))


def wait_for_events(command: subprocess.Popen, folder: Path, n_events_noted: int) -> None:
    patience_ends = time.monotonic() + 120
    while n_events(folder) < n_events_noted:
        assert command.poll() is None
        assert time.monotonic() < patience_ends
        time.sleep(0.02)


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


# The command, which looks at its search only when that is over.
PATIENT = "import stacktune.watch; stacktune.watch.LOOK_EVERY_S = 200; from stacktune.cli import main; main()"


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with a table and a finished run of it."""
    desk = tmp_path_factory.mktemp("desk")
    mixed_table().to_parquet(desk / "tumours.parquet")
    command = [sys.executable, "-c", PATIENT, "run", "tumours.parquet", "--target", "diagnosis", *TRIALS]
    ended = subprocess.run([*command, "--output", "one"], cwd=desk, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return desk


def test_a_search_that_is_over_before_anybody_looked_is_among_the_phases(desk):
    began_s = json.loads((desk / "one" / "run.json").read_text())["phase_began_s"]
    assert list(began_s) == ["reading", "searching", "stacking", "registering"]


def test_a_run_killed_twice_ends_as_if_it_had_not_been_on_fewer_cores_too(desk, tmp_path):
    """Once amid its search, when no other may go on with it, and once while it registers; on one core, not on all.

    `search/test_replay.py` cuts a search off anywhere.
    """
    shutil.copy(desk / "tumours.parquet", tmp_path)
    folder, chance, ours = tmp_path / "cut" / "run", random.Random(0), rays()
    words = ["run", "tumours.parquet", "--config", str(desk / "one" / "config.yaml"), "--output", "cut/run"]
    with subprocess.Popen([*STACKTUNE, *words, "--cpus", "1"], cwd=tmp_path, stdout=subprocess.DEVNULL) as command:
        wait_for_events(command, folder, chance.randint(4, 12))
        command.send_signal(signal.SIGSTOP)  # so that it does not end meanwhile
        refused = stacktune("run", "--resume", "cut/run", cwd=tmp_path)
        command.kill()
    assert refused.returncode == 2
    assert "a run is at work in" in refused.stderr
    with subprocess.Popen(
        [*STACKTUNE, "run", "--resume", "cut/run"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as command:
        while "registering" not in command.stdout.readline():
            assert command.poll() is None
        command.kill()
    ended = stacktune("run", "--resume", "cut/run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr

    expected, found = (pd.read_parquet(run / "leaderboard.parquet") for run in (desk / "one", folder))
    pd.testing.assert_frame_equal(found.drop(columns=TIMED), expected.drop(columns=TIMED))
    assert trials_of(folder) == trials_of(desk / "one")
    completed = set(found.loc[(found["kind"] == "trial") & (found["status"] == "completed"), "name"])
    assert {place.name for place in (folder / "trials").iterdir()} == completed
    assert rays() <= ours


def test_a_finished_run_takes_more_trials_and_then_more_time(desk, tmp_path):
    place = shutil.copytree(desk, tmp_path / "desk")
    first = json.loads((place / "one" / "run.json").read_text())

    # From another folder, of a run that has moved.
    more = stacktune(
        "run", desk / "tumours.parquet", "--resume", place / "one", "--max-trials", 14, "--cpus", 1, cwd=tmp_path
    )
    assert more.returncode == 0, more.stdout + more.stderr
    second = json.loads((place / "one" / "run.json").read_text())
    assert second["n_completed"] + second["n_stopped"] == 14
    assert second["parent_run_id"] == first["parent_run_id"]
    assert second["registered_version"] == first["registered_version"] + 1

    words = ["--time-budget", "10m", "--max-trials", "16", "--cpus", 1]
    longer = stacktune("run", "--resume", "one", *words, cwd=place)
    assert longer.returncode == 0, longer.stdout + longer.stderr
    third = json.loads((place / "one" / "run.json").read_text())
    assert third["n_completed"] + third["n_stopped"] == 16
    assert third["budget_s"] == pytest.approx(second["wall_s"] + 600)
    assert third["wall_s"] > second["wall_s"]
    assert trials_of(place / "one").keys() >= set(pd.read_parquet(place / "one" / "leaderboard.parquet")["name"])
    predicted = stacktune("predict", "one", "tumours.parquet", cwd=place)
    assert predicted.returncode == 0, predicted.stderr


CHANGED = [
    (["--resume", "nowhere"], "there is no run to go on with in"),
    (["--resume", "one"], "has ended with its 12 trials; a --max-trials above that"),
    (["--resume", "one", "--max-trials", "14", "--target", "size"], "--target is 'size' and was 'diagnosis'"),
    (["--resume", "one", "--max-trials", "14", "--folds", "2"], "--folds is 2 and was 3"),
    (["--resume", "one", "--max-trials", "14", "--output", "two"], "leave --output 'two' out"),
    (["--resume", "one", "--config", "one/config.yaml"], "exclude each other"),
    (["fewer.parquet", "--resume", "one", "--max-trials", "14"], "rows to learn from differ: 569 before, 500 now"),
    (["other.parquet", "--resume", "one", "--max-trials", "14"], "columns differ: ['mean area'] before, ['area'] now"),
    (["noise.parquet", "--resume", "one", "--max-trials", "14"], "its values differ"),
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


def began(folder: Path, config: RunConfig, run: str = "a-run") -> RunState:
    """Write what a run with these settings leaves at its beginning."""
    write_config(folder, config)
    settings = fixed_settings(config)
    table = ("d", 10, ("x",), (), None)
    state = RunState(run, "run", "/desk", *table, settings, "m", "x", "x", ("linear",), 5, False, ())
    write_state(folder, state)
    return state


def test_passwords_are_not_kept_and_asked_for_again(tmp_path):
    tracking_uri = "postgresql://me:very-secret@db/mlflow"
    state = began(tmp_path, RunConfig("s3://key:very-secret@bucket/x.parquet", "y", tracking_uri=tracking_uri))
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
    began(tmp_path, RunConfig(**{"data": "x.parquet", "target": "y", name: uri}))
    assert not any(b"secret'" in path.read_bytes() for path in tmp_path.iterdir())
    flag = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"password of 's3://\*{{3}}@bucket/.*' was not kept .* give {flag} again"):
        resume_config(tmp_path, {})
    config, _ = resume_config(tmp_path, {name: uri})
    assert getattr(config, name) == uri
    if name == "tracking_uri":  # tables and copies may have moved; digests hold them against the run's own
        with pytest.raises(ConfigError, match=rf"{flag} is 's3://\*{{3}}@other' and was 's3://\*{{3}}@bucket/"):
            resume_config(tmp_path, {name: "s3://key:very-secret@other"})


def test_sync_asks_for_a_password_that_was_not_kept(tmp_path):
    began(tmp_path, RunConfig("x.parquet", "y", tracking_uri="postgresql://me:a/b c@db/mlflow"))
    with pytest.raises(ConfigError, match=r"password of 'postgresql://\*{3}@db/mlflow' .* give --tracking-uri again"):
        sync(tmp_path, None, pytest.fail)


def test_a_state_that_no_run_wrote_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"state\.json' is not what a run wrote"):
        resume_config(tmp_path, {})


@pytest.mark.parametrize("older", ["{}", None], ids=["unknown", "without a run's id"])
def test_a_run_that_another_version_began_is_refused(tmp_path, older):
    began(tmp_path, RunConfig("x.parquet", "y", max_trials=5))
    state = json.loads((tmp_path / "state.json").read_text())
    kept = {name: value for name, value in state.items() if name not in ("run", "settings", "state_format")}
    (tmp_path / "state.json").write_text(older or json.dumps(kept))
    with pytest.raises(ConfigError, match=r"was begun by another version of stacktune, whose trials"):
        resume_config(tmp_path, {})


# Each key of config.yaml that may not change: what it says, what it is changed to, and what is said of that.
EDITED = {
    "target": ("y", "z", "--target is 'z' in '.*config.yaml' and was 'y'"),
    "seed": (3, 4, "--seed is 4 in .* and was 3"),
    "folds": (5, 3, "--folds is 3 in .* and was 5"),
    "metric": ("f1", "mcc", "--metric is 'mcc' in .* and was 'f1'"),
    "task": ("binary", "multiclass", "--task is 'multiclass' in .* and was 'binary'"),
    "positive": ("1", "0", "--positive is '0' in .* and was '1'"),
    "weight": ("w", "v", "--weight is 'v' in .* and was 'w'"),
    "keep": (["a", "b"], ["a"], "--keep is 'a' in .* and was 'a,b'"),
    "sample_rows": (50, 60, "--sample-rows is 60 in .* and was 50"),
    "test_size": (0.2, 0.3, "--test-size is 0.3 in .* and was 0.2"),
    "families": (["linear", "mlp"], ["linear"], "--families is 'linear' in .* and was 'linear,mlp'"),
    "predict_budget": (9.0, 10.0, "--predict-budget is 10.0 in .* and was 9.0"),
    "controller": ([1, 1, 8], [1, 1, 4], "--controller is '1,1,4' in .* and was '1,1,8'"),
    "tracking_uri": ("http://a", "http://b", "--tracking-uri is 'http://b' in .* and was 'http://a'"),
    "experiment": ("x", "other", "--experiment is 'other' in .* and was 'x'"),
    "register": ("x", "other", "--register is 'other' in .* and was 'x'"),
    "input_example": ("real", "made-up", "--input-example is 'made-up' in .* and was 'real'"),
    "no_code": (True, False, "--no-code is False in .* and was True"),
}


@pytest.fixture
def edited_run(tmp_path) -> Path:
    """A folder whose config.yaml says all of `EDITED`."""
    settings = {key: said for key, (said, _, _) in EDITED.items()} | {"data": "x.parquet", "max_trials": 5}
    (tmp_path / "given.yaml").write_text(yaml.safe_dump(settings))
    began(tmp_path, load_config({}, str(tmp_path / "given.yaml")))
    assert resume_config(tmp_path, {})[0].seed == 3
    return tmp_path


def edit(folder: Path, **changes: object) -> None:
    """Change config.yaml; None takes a key out."""
    settings = yaml.safe_load((folder / "config.yaml").read_text()) | changes
    left = {key: value for key, value in settings.items() if value is not None}
    (folder / "config.yaml").write_text(yaml.safe_dump(left))


@pytest.mark.parametrize("key", EDITED)
def test_a_setting_that_was_edited_is_refused_by_name_with_both_values(edited_run, key):
    """Another seed mixed two splits into folds."""
    edit(edited_run, **{key: EDITED[key][1]})
    with pytest.raises(ConfigError, match=EDITED[key][2] + r".*Put it back, or begin a new run"):
        resume_config(edited_run, {})


@pytest.mark.parametrize("key", sorted(EDITED.keys() - {"target", "experiment", "register"}))
def test_a_setting_that_was_taken_out_is_refused(edited_run, key):
    edit(edited_run, **{key: None})
    with pytest.raises(ConfigError, match=rf"--{key.replace('_', '-')} is .* in .*config.yaml' and was "):
        resume_config(edited_run, {})


def test_every_setting_may_change_or_is_tried_here():
    fields_of_keys = {"folds": "n_folds", "predict_budget": "predict_budget_us"}
    tried = {fields_of_keys.get(key, key) for key in EDITED}
    assert {field.name for field in fields(RunConfig)} == tried | FREE


def test_comments_order_and_what_may_change_are_taken_from_an_edited_file(edited_run):
    edit(edited_run, max_trials=9, cpus=1, max_failures=0, storage="s3://other/runs", tracking_optional=True)
    settings = yaml.safe_load((edited_run / "config.yaml").read_text())
    lines = [f"{key}:   {json.dumps(settings[key])}  # was: ?" for key in reversed(settings)]
    (edited_run / "config.yaml").write_text("# ours\n\n" + "\n\n".join(lines))
    config, _ = resume_config(edited_run, {})
    assert (config.max_trials, config.n_cpus, config.max_failures, config.storage) == (9, 1, 0, "s3://other/runs")


def test_a_cluster_is_joined_only_if_the_command_says_so_and_elsewhere_is_said(edited_run):
    edit(edited_run, address="attacker:6379", storage="s3://key:very-secret@bucket")
    config, past = resume_config(edited_run, {"storage": "s3://key:very-secret@bucket"})
    assert config.address is None
    assert any("Ray cluster at attacker:6379, which is joined again only where --address" in one for one in past.notes)
    assert any("config.yaml says, the run logs to http://a" in one for one in past.notes)
    config, past = resume_config(edited_run, {"address": "ours:6379", "storage": "s3://bucket"})
    assert config.address == "ours:6379"
    assert not any("joined again" in one for one in past.notes)


@pytest.mark.parametrize("flag", ["storage", "test_data"])
def test_passwords_of_places_are_asked_for_again(tmp_path, flag):
    began(tmp_path, RunConfig("x.parquet", "y", max_trials=5, **{flag: "s3://key:very-secret@bucket/x"}))
    option = f"--{flag.replace('_', '-')}"
    with pytest.raises(ConfigError, match=rf"password of 's3://\*{{3}}@bucket/x' was not kept .* give {option} again"):
        resume_config(tmp_path, {})
    given = "s3://key:very-secret@bucket/x"
    assert getattr(resume_config(tmp_path, {flag: given})[0], flag) == given


def test_the_journal_of_another_run_is_refused(tmp_path):
    began(tmp_path, RunConfig("x.parquet", "y", max_trials=5))
    for run in ("a-run", "another"):
        journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
        journal.began(run)
        journal.close()
        if run == "a-run":
            resume_config(tmp_path, {})
    with pytest.raises(ConfigError, match=r"holds the state of one run and the journal of another"):
        resume_config(tmp_path, {})


def state_of(folder: Path, **changes: object) -> tuple[RunState, Dataset, Table, Arena]:
    """Return what a run of a table begins with, and the table, or of one that was changed."""
    frame = mixed_table().head(200)
    frame.loc[frame.index[0], "mean area"] += changes.pop("area", 0)
    test = frame.tail(20).assign(**{"mean area": frame["mean area"].tail(20) + changes.pop("test_area", 0)})
    frame.head(180).to_parquet(folder / "x.parquet")
    test.to_parquet(folder / "test.parquet")
    places = {"test_data": str(folder / "test.parquet"), "weight": "weight", "n_folds": 3}
    config = RunConfig(str(folder / "x.parquet"), "diagnosis", **places, **changes)
    dataset, rows = load_dataset(config)
    folds = make_folds(dataset.table, dataset.task, 3, config.seed)
    arena = Arena(dataset.table, dataset.task, folds, get_metric(config.metric, dataset.task.kind), config.seed)
    size = SizePlan(3, False)
    made_by = provenance_of("a-run", config, dataset, arena)
    return begin_state(made_by, "run", config, dataset, rows, ["linear"], size), dataset, rows, arena


def test_content_is_compared_of_training_and_of_test_rows(tmp_path):
    state, *same = state_of(tmp_path)
    state.check(*same[:2])
    state.check_folds(same[0], same[2])
    with pytest.raises(DataError, match="its values differ"):
        state.check(*state_of(tmp_path, area=1)[1:3])
    with pytest.raises(DataError, match="its test rows differ"):
        state.check(*state_of(tmp_path, test_area=1)[1:3])
    with pytest.raises(DataError, match=r"its test rows differ: .* before, None now"):
        state.check(same[0], None)
    _, dataset, _, otherwise_split = state_of(tmp_path, seed=1)
    with pytest.raises(DataError, match="give other folds than when the run began"):
        state.check_folds(dataset, otherwise_split)


def test_what_trials_bear_differs_by_run_rows_settings_and_folds(tmp_path):
    state = state_of(tmp_path)[0]
    others = [state_of(tmp_path, **changes)[0] for changes in ({"area": 1}, {"seed": 1}, {"metric": "f1"})]
    assert len({one.made_of for one in (state, *others)}) == 4
    assert state_of(tmp_path)[0].made_by == state.made_by
    assert new_run() != new_run()


def test_a_time_budget_is_time_on_top_of_what_was_taken(tmp_path):
    began(tmp_path, RunConfig("x.parquet", "y", max_trials=5))
    (tmp_path / "journal.jsonl").write_text(json.dumps({"event": "alive", "elapsed_s": 40.0, "what": {}}) + "\n")
    config, past = resume_config(tmp_path, {"time_budget": "2m"})
    assert (config.time_budget_s, config.max_trials, past.elapsed_s) == (160.0, None, 40.0)
    assert config.data == "/desk/x.parquet"
    config, _ = resume_config(tmp_path, {"max_trials": 9})
    assert (config.time_budget_s, config.max_trials) == (None, 9)
