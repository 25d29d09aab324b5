"""Whole runs by the command line, on a real Ray and a real MLflow store."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Ended, several, stacktune
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_diabetes, load_wine
from whole_runs import STACKTUNE, lend_store, mixed_table, rays

from stacktune.ensemble.leader import Leader
from stacktune.storage.run_folder import find_leader
from stacktune.testing.observers.story import PHASES

KEYS = {
    *("task", "target", "metric", "leader", "cv_score", "test_score", "n_completed", "n_stopped", "n_failed"),
    *("wall_s", "budget_s", "fit_cpu_s", "experiment_id", "parent_run_id", "model_uri", "registered_name"),
    *("positive", "threshold", "thresholds", "registered_version", "versions", "selection_penalty", "phase_began_s"),
    *("predict_us", "predict_budget_us", "n_too_dear", "alias", "alias_reason", "promote", "evidence"),
    *("model_mb", "max_model_mb", "n_too_large"),
    *("greater_is_better", "decided_by", "interval", "calibration", "gain"),
}


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    said: str
    facts: dict
    leaderboard: pd.DataFrame
    frame: pd.DataFrame


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """One reproducible run over three families, judged on a fifth of the rows."""
    desk = tmp_path_factory.mktemp("desk")
    frame = mixed_table()
    frame.to_parquet(desk / "tumours.parquet")
    ended = stacktune(
        *("run", "tumours.parquet", "--target", "diagnosis", "--weight", "weight", "--metric", "f1", "--folds", 3),
        *("--max-trials", 8, "--families", "lightgbm,linear,extra_trees", "--test-size", 0.2),
        *("--seed", 1, "--cpus", 1, "--output", "runs/one", "--register", "tumours"),
        cwd=desk,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    folder = desk / "runs" / "one"
    facts = json.loads((folder / "run.json").read_text())
    return Run(folder, ended.stdout, facts, pd.read_parquet(folder / "leaderboard.parquet"), frame)


def test_the_summary_has_its_keys_and_they_agree_with_the_leaderboard(run):
    assert run.facts.keys() == KEYS
    assert (run.facts["task"], run.facts["target"], run.facts["metric"]) == ("binary", "diagnosis", "f1")
    counts = run.leaderboard[run.leaderboard["kind"] == "trial"]["status"].value_counts()
    assert counts.sum() == 8
    assert [run.facts[f"n_{status}"] for status in ("completed", "stopped", "failed")] == [
        counts.get(status, 0) for status in ("completed", "stopped", "failed")
    ]
    best = run.leaderboard.iloc[0]
    assert (run.facts["leader"], run.facts["cv_score"]) == (best["name"], pytest.approx(best["score"]))
    assert run.facts["test_score"] == pytest.approx(best["test_score"])
    assert run.facts["budget_s"] is None
    assert list(run.facts["phase_began_s"]) == list(PHASES)
    assert run.facts["n_failed"] == 0
    assert (run.facts["positive"], run.facts["threshold"]) == ("malignant", pytest.approx(best["threshold"]))
    assert run.facts["thresholds"].keys() == {"f1", "accuracy", "balanced_accuracy", "mcc"}
    assert run.facts["thresholds"]["f1"] == run.facts["threshold"]
    assert "malignant is the positive class of diagnosis, the rarer with" in run.said
    assert f"predicts malignant from {run.facts['threshold']:.3g} on, chosen for f1" in run.said


def test_the_leaderboard_is_sorted_and_shows_ensembles_and_every_metric(run):
    completed = run.leaderboard[run.leaderboard["status"] == "completed"]
    selection_penalty = run.facts["selection_penalty"] * (completed["kind"] == "trial")
    assert (completed["score"] - selection_penalty).is_monotonic_decreasing
    assert {"greedy_all", "stack_all"} <= set(completed["name"])
    assert {"roc_auc", "log_loss", "average_precision", "accuracy", "balanced_accuracy", "mcc"} <= set(completed)
    assert completed["test_score"].notna().all()
    assert completed["score"].iloc[0] > 0.93
    pd.testing.assert_frame_equal(
        pd.read_csv(run.folder / "leaderboard.csv", keep_default_na=False)[["name", "status"]],
        run.leaderboard[["name", "status"]],
        check_dtype=False,
    )


def test_every_trial_is_a_nested_run_with_its_curve_parameters_and_tags(run):
    client = MlflowClient(f"sqlite:///{run.folder.parent / 'mlflow.db'}")
    parent = client.get_run(run.facts["parent_run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["cv_f1"] == pytest.approx(run.facts["cv_score"])
    assert parent.data.metrics["threshold"] == pytest.approx(run.facts["threshold"])
    assert parent.data.tags["positive"] == run.facts["positive"]
    assert re.fullmatch(r"tumours diagnosis \d{4}-\d\d-\d\d \d\d:\d\d", parent.info.run_name)
    version = client.get_model_version_by_alias("tumours", "leader")
    notes = (parent.data.tags["mlflow.note.content"], version.description)
    assert all(run.facts["leader"] in note and "models:/tumours/1" in note for note in notes)
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {
        *("config.yaml", "leaderboard.csv", "run.json", "report.html", "report.json", "plots", "explanation"),
        "model_card.md",
    }
    nested = client.search_runs(
        [run.facts["experiment_id"]], f"tags.mlflow.parentRunId = '{parent.info.run_id}' and tags.kind = 'trial'"
    )
    by_name = {trial.info.run_name: trial for trial in nested}
    trials = run.leaderboard[run.leaderboard["kind"] == "trial"].set_index("name")
    assert by_name.keys() == set(trials.index)
    for name, trial in by_name.items():
        assert trial.data.tags["status"] == trials.loc[name, "status"]
        assert trial.data.tags["family"] == trials.loc[name, "family"]
        assert trial.data.params
        reached = int(trials.loc[name, "rungs"].split("/")[0])
        assert len(client.get_metric_history(trial.info.run_id, "f1")) == reached


def test_the_report_has_the_runs_own_figures(run):
    numbers = json.loads((run.folder / "report.json").read_text())
    assert numbers["verdict"]["score"] == run.facts["cv_score"]
    assert numbers["verdict"]["test_score"] == run.facts["test_score"]
    assert {"importance", "quality", "data"} <= numbers.keys()
    assert {row["column"] for row in numbers["importance"]["columns"]} & set(run.frame)
    assert numbers["data"]["drift"].keys() == {one["name"] for one in numbers["data"]["columns"]}
    assert numbers["leaderboard"]["counts"]["completed"] == (run.leaderboard["status"] == "completed").sum()
    assert f"report   {run.folder.relative_to(run.folder.parent.parent)}/report.html" in run.said


def test_the_log_has_every_trial_under_its_name_and_what_libraries_said(run):
    lines = (run.folder / "run.log").read_text().splitlines()
    assert {line[:2] for line in lines} <= {"20", "  "}
    for name, status in run.leaderboard[run.leaderboard["kind"] == "trial"][["name", "status"]].itertuples(index=False):
        assert sum(f" {name} " in line and f": {status}: " in line for line in lines) == 1
    for heard in ("ray._private.worker: Started a local Ray", "mlflow.", "stacktune.observers: stacking"):
        assert any(heard in line for line in lines)
        assert heard not in run.said
    assert f"{run.facts['leader']} leads with f1" in lines[-2]
    assert "the run has ended after" in lines[-1]


@dataclass(frozen=True)
class Predicted:
    """What `predict` did with a table that is as it may be, and with one that lacks a column."""

    folder: Path
    of_new: Ended
    of_less: Ended


@pytest.fixture(scope="module")
def predicted(run, tmp_path_factory) -> Predicted:
    folder = tmp_path_factory.mktemp("predicted")
    shuffled = run.frame.drop(columns=["diagnosis", "weight"]).sample(frac=1, axis=1, random_state=0)
    shuffled = shuffled.assign(extra=1.0)
    shuffled.loc[shuffled.index[3], "size"] = "never seen"
    shuffled.loc[shuffled.index[5]] = None
    shuffled.to_parquet(folder / "new.parquet")
    run.frame.drop(columns=["mean area"]).to_parquet(folder / "less.parquet")
    words = [["predict", run.folder, f"{name}.parquet", "--output", f"{name}.out.parquet"] for name in ("new", "less")]
    return Predicted(folder, *several([(of, folder) for of in words]))


def test_predictions_equal_the_registered_models_whatever_the_columns_look_like(run, predicted):
    ended, folder = predicted.of_new, predicted.folder
    assert ended.status == 0, ended.stderr
    decided = f"; malignant from a probability of {run.facts['threshold']:.3g} on"
    said, following = ended.stdout.splitlines()
    assert said == f"{len(run.frame)} predictions in new.out.parquet{decided}"
    assert following.startswith("next: stacktune explain ")
    predictions = pd.read_parquet(folder / "new.out.parquet")
    assert list(predictions.columns) == ["prediction", "benign", "malignant"]
    assert len(predictions) == len(run.frame)
    from_threshold_on = predictions["malignant"] >= run.facts["threshold"]
    assert predictions["prediction"].tolist() == np.where(from_threshold_on, "malignant", "benign").tolist()
    np.testing.assert_allclose(predictions[["benign", "malignant"]].sum(axis=1), 1)
    code = (
        "import sys, mlflow, pandas as pd\n"
        f"mlflow.set_tracking_uri('sqlite:///{run.folder.parent / 'mlflow.db'}')\n"
        "model = mlflow.pyfunc.load_model('models:/tumours@leader')\n"
        f"model.predict(pd.read_parquet(sys.argv[1])).to_parquet(sys.argv[2])\n"
    )
    subprocess.run([sys.executable, "-c", code, "new.parquet", "served.parquet"], cwd=folder, check=True, timeout=120)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "served.parquet"), predictions)


def test_a_missing_column_is_named_and_nothing_is_written(predicted):
    assert predicted.of_less.status == 2
    assert "'mean area'" in predicted.of_less.stderr
    assert not (predicted.folder / "less.out.parquet").exists()


TASKS = {
    "multiclass": (load_wine, ["prediction", "0", "1", "2"], ["--calibrate"]),
    "regression": (
        load_diabetes,
        ["prediction", "lower", "upper"],
        ["--interval", "0.8", "--loss", "quantile:0.6", "--test-size", "0.2"],
    ),
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> dict[str, tuple[Path, Ended, Ended]]:
    """The folder of each other task, and what its run within a budget and its predictions ended with."""
    words = ["run", "table.parquet", "--target", "target", "--time-budget", "6s", "--cpus", 1, "--output", "runs/one"]
    desks, commands = {task: tmp_path_factory.mktemp(task) for task in TASKS}, []
    for task, desk in desks.items():
        TASKS[task][0](as_frame=True).frame.to_parquet(desk / "table.parquet")
        lend_store(words, desk)
        commands += [
            ([*words, *TASKS[task][2]], desk),
            (["predict", "runs/one", "table.parquet", "--output", "out.csv"], desk),
        ]
    ended = several(commands)
    return {task: (desk, *ended[2 * place : 2 * place + 2]) for place, (task, desk) in enumerate(desks.items())}


@pytest.mark.parametrize("task", TASKS)
def test_other_tasks_within_a_budget(tasks, task):
    desk, ran, predicted = tasks[task]
    assert ran.status == 0, ran.stdout + ran.stderr
    facts = json.loads((desk / "runs" / "one" / "run.json").read_text())
    assert facts["task"] == task
    assert facts["n_failed"] == 0
    assert predicted.status == 0, predicted.stderr
    assert list(pd.read_csv(desk / "out.csv").columns) == TASKS[task][1]


def test_a_run_says_what_its_loss_its_intervals_and_its_temperature_came_to(tasks):
    facts = {task: json.loads((desk / "runs" / "one" / "run.json").read_text()) for task, (desk, _, _) in tasks.items()}
    interval, calibration = facts["regression"]["interval"], facts["multiclass"]["calibration"]
    assert facts["regression"]["metric"] == "pinball:0.6"
    assert interval["level"] == 0.8
    assert interval["coverage"] == pytest.approx(0.8, abs=0.08)
    assert interval["test_coverage"] == pytest.approx(0.8, abs=0.2)
    assert (facts["regression"]["calibration"], facts["multiclass"]["interval"]) == (None, None)
    assert (calibration["temperature"] == 1) == (calibration["why"] is not None)
    said = {task: ran.stdout for task, (_, ran, _) in tasks.items()}
    assert "intervals of 0.8 hold" in said["regression"]
    assert "models fit the pinball loss of the 0.6 quantile and are judged by pinball:0.6" in said["regression"]
    assert "temperature" in said["multiclass"]


MISTAKES = [
    (["nowhere.parquet", "--target", "y"], "nowhere.parquet"),
    (["table.parquet", "--target", "diagnosys"], "Did you mean 'diagnosis'"),
    (["table.parquet", "--target", "diagnosis", "--families", "lightgbmm"], "Did you mean 'lightgbm'"),
    (["table.parquet", "--target", "diagnosis", "--metric", "rmse"], "rmse"),
    (["table.parquet", "--target", "diagnosis", "--time-budget", "0"], "above zero"),
    (["table.parquet", "--target", "diagnosis", "--cpus", "4000"], "asks for more cores than"),
    (["table.parquet", "--target", "diagnosis", "--tracking-uri", "http://127.0.0.1:9"], "127.0.0.1:9"),
    (["table.parquet", "--target", "diagnosis", "--output", "full"], "not empty"),
    (["table.parquet", "--target", "diagnosis", "--folds", "300"], "fold"),
    (["table.parquet", "--target", "size", "--task", "regression"], "size"),
    (["table.parquet", "--target", "diagnosis", "--register", "a/b"], "a/b"),
    (["table.parquet", "--target", "diagnosis", "--loss", "poisson", "--interval", "0.9"], "--loss poisson is for"),
]


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory) -> list[tuple[Ended, set[str]]]:
    """What each mistake ended with, and the files in its folder."""
    desks = [tmp_path_factory.mktemp("mistake") for _ in MISTAKES]
    for desk in desks:
        mixed_table().to_parquet(desk / "table.parquet")
        (desk / "full").mkdir()
        (desk / "full" / "kept.txt").touch()
    ended = several([(["run", *flags], desk) for (flags, _), desk in zip(MISTAKES, desks, strict=True)])
    files = [{path.relative_to(desk).as_posix() for path in desk.rglob("*")} for desk in desks]
    return list(zip(ended, files, strict=True))


@pytest.mark.parametrize("place", range(len(MISTAKES)), ids=[message for _, message in MISTAKES])
def test_a_mistake_ends_with_one_message_no_files_and_no_ray(mistakes, place):
    ended, files = mistakes[place]
    assert ended.status == 2, ended
    assert MISTAKES[place][1] in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert files == {"table.parquet", "full", "full/kept.txt"}
    assert ended.rays == []


WORDS = ["run", "table.parquet", "--target", "diagnosis", "--time-budget", "10m", "--output", "runs/one"]


@contextmanager
def searching(folder: Path) -> Iterator[subprocess.Popen]:
    """A run in `folder`/runs/one that has completed a trial."""
    mixed_table().to_parquet(folder / "table.parquet")
    lend_store(WORDS, folder)
    words = [*STACKTUNE, *WORDS, "--families", "linear,lightgbm", "--cpus", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=folder, start_new_session=True, **pipes) as command:
        while not re.search("searching: [1-9]", line := command.stdout.readline()):
            assert line, command.communicate()
        yield command


def test_a_run_whose_group_is_asked_to_stop_ends_with_the_leader_that_it_has(tmp_path):
    """As by `timeout`, and Ctrl-C: what Ray runs in is of the group."""
    with searching(tmp_path) as command:
        os.killpg(command.pid, signal.SIGTERM)
        said, errors = command.communicate(timeout=400)
    assert (command.returncode, errors) == (0, "")
    assert "SIGTERM: the run ends with what it has" in said
    assert "stopping as asked: the leader is made of the" in said
    assert json.loads((tmp_path / "runs/one/run.json").read_text())["n_completed"] > 0
    assert len(Leader.load(find_leader(tmp_path / "runs/one")).predict(mixed_table())) == len(mixed_table())


def test_a_run_whose_terminal_is_closed_ends_with_the_leader_that_it_has(tmp_path):
    mixed_table().to_parquet(tmp_path / "table.parquet")
    lend_store(WORDS, tmp_path)
    child, terminal = pty.fork()
    if not child:
        os.chdir(tmp_path)
        os.execv(STACKTUNE[0], [*STACKTUNE, *WORDS, "--families", "linear", "--cpus", "1"])
    shown = b""
    while not re.search(rb"searching.*[1-9] done", shown, re.DOTALL):
        shown = shown[-4000:] + os.read(terminal, 4000)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert json.loads((tmp_path / "runs/one/run.json").read_text())["n_completed"] > 0


def test_ctrl_c_twice_keeps_what_is_done_and_leaves_no_ray(tmp_path):
    """Ray ends the process with status 1 when it is shut down under a Tune that still runs."""
    ours = rays()
    with searching(tmp_path) as command:
        command.send_signal(signal.SIGINT)
        while "Ctrl-C: the run ends with what it has" not in (line := command.stdout.readline()):
            assert line, command.communicate()
        command.send_signal(signal.SIGINT)
        told, said = command.communicate(timeout=400)
    assert command.returncode == 130
    assert said.strip() == "Stopped by Ctrl-C."
    assert "what is done is kept: stacktune run --resume runs/one goes on with it" in told
    assert "what happened is in runs/one/run.log" in told
    assert rays() <= ours
    ended = stacktune("run", "--resume", "runs/one", "--time-budget", 2, "--cpus", 1, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
