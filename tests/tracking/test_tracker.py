from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from stacktune.data.table import Task
from stacktune.ensemble.blend import Blend
from stacktune.ensemble.rows import Leaderboard, LeaderboardRow
from stacktune.errors import ConfigError
from stacktune.metrics import get_metric
from stacktune.search.events import Drawing
from stacktune.search.nas.events import CONTROLLER, ControllerUpdate, Reward
from stacktune.tracking.store import check_store, store_for
from stacktune.tracking.tracker import Tracker
from stacktune.trials.trial import Trial


@pytest.fixture
def make_tracker(sqlite_uri, tmp_path, monkeypatch, request):
    """Return a function that starts a tracker on the shared store, from an empty working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def make(metric: str = "roc_auc", kind: str = "binary") -> Tracker:
        artifacts = store_for(sqlite_uri, tmp_path).artifacts
        tracker = Tracker(sqlite_uri, request.node.name, artifacts, "first run")
        tracker.start()
        tracker.log_task(kind, get_metric(metric, kind))
        return tracker

    return make


def runs_of(tracker: Tracker, uri: str) -> tuple[MlflowClient, dict]:
    """Return a client and every run of the tracker's experiment by name."""
    client = MlflowClient(uri)
    experiment_id, _ = tracker.ids()
    return client, {run.info.run_name: run for run in client.search_runs([experiment_id])}


def test_trials_are_nested_runs_with_their_params_curves_costs_and_tags(make_tracker, sqlite_uri, finished):
    tracker = make_tracker()
    tracker.trial_started(Trial("lightgbm-0000", "lightgbm", {"learning_rate": 0.05, "n_leaves": 31}))
    tracker.trial_progress(Trial("lightgbm-0000", "lightgbm", {}), 1, 0.7)
    tracker.trial_progress(Trial("lightgbm-0000", "lightgbm", {}), 2, 0.75)
    tracker.trial_finished(finished("lightgbm-0000"))
    assert tracker.finish("FINISHED", {"cv_score": 0.8}, {"leader": "lightgbm-0000"})

    client, runs = runs_of(tracker, sqlite_uri)
    parent, trial = runs["first run"], runs["lightgbm-0000"]
    assert parent.info.run_id == tracker.ids()[1]
    assert parent.info.status == trial.info.status == "FINISHED"
    assert parent.data.metrics == {"cv_score": 0.8}
    assert parent.data.tags["leader"] == "lightgbm-0000"
    assert (parent.data.tags["task"], parent.data.tags["metric"]) == ("binary", "roc_auc")
    assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
    shared = {"family": "lightgbm", "scheduler": "asha", "n_rungs": "3"}
    assert trial.data.params == shared | {"learning_rate": "0.05", "n_leaves": "31"}
    wanted = {"kind": "trial", "family": "lightgbm", "scheduler": "asha", "status": "completed"}
    assert wanted.items() <= trial.data.tags.items()
    history = client.get_metric_history(trial.info.run_id, "roc_auc")
    assert sorted((point.step, point.value) for point in history) == [(1, 0.7), (2, 0.75), (3, 0.8)]
    folds = client.get_metric_history(trial.info.run_id, "fold_score")
    assert sorted((point.step, point.value) for point in folds) == [(0, 0.79), (1, 0.81)]
    metrics = trial.data.metrics
    assert (metrics["fit_s"], metrics["cpu_s"], metrics["predict_us"], metrics["rungs_reached"]) == (1.5, 2.5, 7.0, 3)
    assert (metrics["cv_roc_auc"], metrics["cv_log_loss"]) == (0.8, 0.4)


def test_scores_are_logged_as_people_read_them(make_tracker, sqlite_uri, finished):
    tracker = make_tracker("rmse", "regression")
    tracker.trial_progress(Trial("linear-0000", "linear", {}), 1, -3.5)
    result = finished("linear-0000", curve=(-3.5, -3.0), fold_scores=(-3.0,), metrics={"rmse": -3.0, "r2": 0.5})
    tracker.trial_finished(result)
    assert tracker.finish("FINISHED", {}, {})
    client, runs = runs_of(tracker, sqlite_uri)
    run = runs["linear-0000"]
    history = client.get_metric_history(run.info.run_id, "rmse")
    assert sorted((point.step, point.value) for point in history) == [(1, 3.5), (2, 3.0)]
    assert (run.data.metrics["fold_score"], run.data.metrics["cv_rmse"], run.data.metrics["cv_r2"]) == (3.0, 3.0, 0.5)


def test_stopped_failed_and_abandoned_trials_end_as_what_they_are(make_tracker, sqlite_uri, finished):
    tracker = make_tracker()
    tracker.trial_finished(finished("xgboost-0000", "stopped"))
    tracker.trial_finished(finished("xgboost-0001", "failed", curve=(), error="Traceback …\nValueError: no"))
    tracker.trial_started(Trial("xgboost-0002", "xgboost", {"eta": 0.3}))
    assert tracker.finish("KILLED", {}, {})
    _, runs = runs_of(tracker, sqlite_uri)
    ends = {name: (run.info.status, run.data.tags.get("status")) for name, run in runs.items()}
    assert ends == {
        "xgboost-0000": ("FINISHED", "stopped"),
        "xgboost-0001": ("FAILED", "failed"),
        "xgboost-0002": ("KILLED", "stopped"),
        "first run": ("KILLED", None),
    }
    assert runs["xgboost-0001"].data.tags["error"].endswith("ValueError: no")
    assert "predict_us" not in runs["xgboost-0000"].data.metrics


def test_what_pbt_changed_is_a_metric_by_unit_and_params_keep_the_beginning(make_tracker, sqlite_uri, finished):
    tracker = make_tracker()
    first, second = {"lr": 0.1, "width": 8}, {"lr": 0.2, "width": 8}
    tracker.trial_started(Trial("mlp-0000", "mlp", first, "pbt"))
    assert tracker.flush()
    tracker.trial_finished(finished("mlp-0000", config=second, lineage=((0, first), (5, second))))
    assert tracker.finish("FINISHED", {}, {})
    client, runs = runs_of(tracker, sqlite_uri)
    run = runs["mlp-0000"]
    assert {"lr": "0.1", "width": "8"}.items() <= run.data.params.items()
    changes = client.get_metric_history(run.info.run_id, "changed.lr")
    assert sorted((point.step, point.value) for point in changes) == [(0, 0.1), (5, 0.2)]
    assert "changed.width" not in run.data.metrics


def test_the_controller_has_a_run_of_its_own_and_what_it_learns_anew_is_not_logged_twice(make_tracker, sqlite_uri):
    tracker = make_tracker()
    tracker.drawing("nas-0003", Drawing("architecture.svg", "<svg/>"))
    update = ControllerUpdate(0, 0.4, 0.5, 1.25, 9.0, 0.3, 2, 1)
    for _ in range(2):
        tracker.event(Reward(3, 0.75, is_random=False).as_event())
        tracker.event(Reward(7, 0.5, is_random=True).as_event())
        tracker.event(update.as_event())
    tracker.drawing(CONTROLLER, Drawing("rewards.svg", "<svg/>"))
    assert tracker.finish("FINISHED", {}, {})
    client, runs = runs_of(tracker, sqlite_uri)
    run = runs[CONTROLLER]
    assert (run.info.status, run.data.tags["kind"]) == ("FINISHED", CONTROLLER)
    assert run.data.tags["mlflow.parentRunId"] == tracker.ids()[1]
    rest = {name: value for name, value in vars(update).items() if name != "number"}
    assert run.data.metrics == {"reward": 0.75, "reward_of_random": 0.5, **rest}
    for name, step in (("reward", 3), ("reward_of_random", 7), ("loss", 0)):
        assert [point.step for point in client.get_metric_history(run.info.run_id, name)] == [step]
    for name, file in ((CONTROLLER, "rewards.svg"), ("nas-0003", "architecture.svg")):
        assert [one.path for one in client.list_artifacts(runs[name].info.run_id)] == [file]


def test_a_controller_that_was_cut_off_is_ended_with_the_run(make_tracker, sqlite_uri):
    tracker = make_tracker()
    tracker.event(Reward(3, 0.75, is_random=False).as_event())
    assert tracker.finish("KILLED", {}, {})
    assert runs_of(tracker, sqlite_uri)[1][CONTROLLER].info.status == "KILLED"


def test_undefined_scores_are_left_out(make_tracker, sqlite_uri, finished):
    tracker = make_tracker()
    tracker.trial_finished(finished("linear-0000", curve=(float("-inf"), float("nan")), predict_us=float("inf")))
    assert tracker.finish("FINISHED", {"cv_score": float("nan")}, {})
    _, runs = runs_of(tracker, sqlite_uri)
    assert "roc_auc" not in runs["linear-0000"].data.metrics
    assert "predict_us" not in runs["linear-0000"].data.metrics
    assert runs["first run"].data.metrics == {}


def test_the_parent_names_its_data_and_keeps_files_beside_the_store(make_tracker, sqlite_uri, tmp_path):
    tracker = make_tracker()
    tracker.log_dataset("wine", "s3://bucket/wine.parquet", "d" * 64, {"n_rows": 178}, "training")
    uri = "http://me:secret@host"
    tracker.log_config(f"tracking_uri: {uri}\n", {"target": "kind", "n_folds": 5, "metric": None, "tracking_uri": uri})
    (tmp_path / "run.json").write_text(json.dumps({"task": "binary", "name": "Grüße"}), encoding="utf-8")
    tracker.log_file(tmp_path / "run.json")
    (tmp_path / "run.json").unlink()
    assert tracker.finish("FINISHED", {}, {})

    client, runs = runs_of(tracker, sqlite_uri)
    parent = runs["first run"]
    assert parent.data.params == {"target": "kind", "n_folds": "5", "metric": "None", "tracking_uri": "http://***@host"}
    (given,) = parent.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest, given.dataset.source_type) == ("wine", "d" * 36, "s3")
    assert json.loads(given.dataset.source) == {"uri": "s3://bucket/wine.parquet"}
    assert json.loads(given.dataset.profile) == {"n_rows": 178}
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]
    assert sorted(file.path for file in client.list_artifacts(parent.info.run_id)) == ["config.yaml", "run.json"]
    kept = Path(client.download_artifacts(parent.info.run_id, "run.json", str(tmp_path)))
    assert json.loads(kept.read_text(encoding="utf-8"))["name"] == "Grüße"
    config = Path(client.download_artifacts(parent.info.run_id, "config.yaml", str(tmp_path)))
    assert config.read_text() == "tracking_uri: http://***@host\n"
    beside = Path(sqlite_uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    assert parent.info.artifact_uri.startswith(beside.as_uri())
    assert list(Path.cwd().iterdir()) == []


def board_of(*rows: LeaderboardRow) -> Leaderboard:
    return Leaderboard(rows, get_metric("roc_auc", "binary"), Task("binary", ("no", "yes")))


def test_the_leaderboard_ranks_trials_and_gives_ensembles_runs(make_tracker, sqlite_uri, tmp_path, finished):
    tracker = make_tracker()
    tracker.log_dataset("wine", "wine.parquet", "abc", {"n_rows": 178})
    tracker.trial_finished(finished("lightgbm-0000"))
    tracker.trial_finished(finished("linear-0001"))
    stack = LeaderboardRow(
        *("stack_all", "ensemble", "ensemble", "completed", 0.85, 0.01, (0.84, 0.86)),
        metrics={"roc_auc": 0.85, "log_loss": 0.35},
        members=("linear-0001", "lightgbm-0000"),
        blend=Blend("stack", (0.25, 0.75)),
        fit_s=3.0,
        predict_us=9.0,
        test={"roc_auc": 0.84},
    )
    alone = LeaderboardRow("lightgbm-0000", "lightgbm", "trial", "completed", 0.8, 0.02, (0.79, 0.81))
    (tmp_path / "leaderboard.csv").write_text("rank\n")
    tracker.log_leaderboard(board_of(stack, alone), tmp_path / "leaderboard.csv")
    assert tracker.finish("FINISHED", {}, {})
    client, runs = runs_of(tracker, sqlite_uri)
    trial, ensemble = runs["lightgbm-0000"].data, runs["stack_all"]
    assert ensemble.info.status == "FINISHED"
    assert ensemble.data.tags["mlflow.parentRunId"] == tracker.ids()[1]
    for data, wanted in (
        (trial, {"rank": "2", "kind": "trial", "family": "lightgbm", "status": "completed", "leader": "false"}),
        (ensemble.data, {"rank": "1", "kind": "ensemble", "family": "ensemble", "leader": "true"}),
    ):
        assert wanted.items() <= data.tags.items()
    members = "lightgbm-0000 0.75, linear-0001 0.25"
    assert ensemble.data.params == {
        **{"family": "ensemble", "blend": "stack", "n_members": "2", "members": members},
        **{"weight.lightgbm-0000": "0.75", "weight.linear-0001": "0.25"},
    }
    assert trial.metrics["rank"] == 2
    assert "test_roc_auc" not in trial.metrics
    scores = {"cv_roc_auc": 0.85, "cv_log_loss": 0.35, "cv_roc_auc_se": 0.01, "test_roc_auc": 0.84, "fold_score": 0.86}
    assert ensemble.data.metrics == scores | {"fit_s": 3.0, "predict_us": 9.0, "rank": 1, "threshold": 0.5}
    assert ensemble.data.metrics.keys() - trial.metrics.keys() == {"test_roc_auc"}
    note = ensemble.data.tags["mlflow.note.content"]
    assert note.startswith("**stack** of 2 trials. roc_auc 0.85 ± 0.01 (mean and standard error of 2 folds)")
    assert "| 0.750 | lightgbm-0000 |" in note
    assert "roc_auc 0.8 ± 0.01 (mean" in trial.tags["mlflow.note.content"]
    for name in ("first run", "stack_all", "lightgbm-0000"):
        assert [one.dataset.digest for one in runs[name].inputs.dataset_inputs] == ["abc"]
    assert [file.path for file in client.list_artifacts(tracker.ids()[1])] == ["leaderboard.csv"]


def test_the_page_of_a_run_has_a_view_with_the_columns_that_count(make_tracker, sqlite_uri, tmp_path):
    """MLflow's own table of runs shows no metric, and trials in the order in which they began."""
    tracker = make_tracker()
    assert tracker.flush()
    experiment_id, parent_id = tracker.ids()

    def seen() -> dict:
        return json.loads(
            MlflowClient(sqlite_uri).get_experiment(experiment_id).tags[f"mlflow.sharedViewState.{parent_id}"]
        )

    assert (seen()["orderByKey"], seen()["orderByAsc"]) == ("metrics.`cv_roc_auc`", False)
    row = LeaderboardRow("linear-0000", "linear", "trial", "completed", 0.8, 0.02, (0.8,), test={"roc_auc": 0.7})
    (tmp_path / "leaderboard.csv").write_text("rank\n")
    tracker.log_leaderboard(board_of(row), tmp_path / "leaderboard.csv")
    assert tracker.finish("FINISHED", {}, {})
    assert (seen()["orderByKey"], seen()["orderByAsc"]) == ("metrics.`rank`", True)
    assert seen()["searchFilter"] == f"tags.`mlflow.parentRunId` = '{parent_id}'"
    assert {"metrics.`cv_roc_auc`", "metrics.`test_roc_auc`", "tags.`family`"} <= set(seen()["selectedColumns"])


def test_an_ensemble_made_anew_by_a_run_that_goes_on_says_its_members_where_they_can_change(sqlite_uri, tmp_path):
    (tmp_path / "leaderboard.csv").write_text("rank\n")
    for member in ("linear-0000", "linear-0001"):
        tracker = Tracker(sqlite_uri, "anew", None, "a run", spool=tmp_path / "tracking.jsonl")
        tracker.start()
        tracker.log_task("binary", get_metric("roc_auc", "binary"))
        blend = Blend("average", (1.0,))
        row = LeaderboardRow(
            "greedy_all", "ensemble", "ensemble", "completed", 0.8, 0.1, members=(member,), blend=blend
        )
        tracker.log_leaderboard(board_of(row), tmp_path / "leaderboard.csv")
        assert tracker.finish("FINISHED", {}, {})
    data = runs_of(tracker, sqlite_uri)[1]["greedy_all"].data
    assert (data.params["members"], data.tags["members"]) == ("linear-0000 1", "linear-0001 1")
    assert "its params are those of the ensemble before" in data.tags["mlflow.note.content"]


def test_the_run_is_named_and_described_in_mlflow(make_tracker, sqlite_uri):
    tracker = make_tracker()
    tracker.name("adult income 2026-11-28 21:07")
    tracker.describe("before s3://key:secret@bucket")
    tracker.describe("**after** s3://key:secret@bucket")
    assert tracker.finish("FINISHED", {}, {})
    tags = runs_of(tracker, sqlite_uri)[1]["adult income 2026-11-28 21:07"].data.tags
    assert tags["mlflow.note.content"] == "**after** s3://***@bucket"


def test_a_second_run_joins_the_experiment_and_a_deleted_one_is_restored(make_tracker, sqlite_uri):
    first = make_tracker()
    assert first.finish("FINISHED", {}, {})
    MlflowClient(sqlite_uri).delete_experiment(first.ids()[0])
    second = make_tracker()
    assert second.finish("FINISHED", {}, {})
    assert second.ids()[0] == first.ids()[0]
    assert second.ids()[1] != first.ids()[1]


def test_hundreds_of_params_and_long_values_are_taken(make_tracker, sqlite_uri):
    tracker = make_tracker()
    tracker.trial_started(Trial("linear-0000", "linear", {f"p{i}": "x" * 9000 for i in range(250)}))
    assert tracker.finish("FINISHED", {}, {})
    _, runs = runs_of(tracker, sqlite_uri)
    assert len(runs["linear-0000"].data.params) == 252


def test_a_value_that_mlflow_refuses_is_said_and_the_rest_is_logged(sqlite_uri, tmp_path):
    said: list[str] = []
    tracker = Tracker(sqlite_uri, "refused", store_for(sqlite_uri, tmp_path).artifacts, "first run", said.append)
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.trial_started(Trial("bad-0000", "bad", {"what?*": 1}))
    tracker.trial_started(Trial("good-0000", "good", {"what": 1}))
    assert tracker.finish("FINISHED", {}, {})
    _, runs = runs_of(tracker, sqlite_uri)
    assert runs["good-0000"].data.params["what"] == "1"
    assert len(said) == 1
    assert said[0].startswith("MLflow did not take what was logged for bad-0000")


def test_a_store_of_another_schema_is_a_mistake_to_mend(tmp_path):
    uri = f"sqlite:///{tmp_path}/old.db"
    check_store(uri)
    tracker = Tracker(uri, "x", (tmp_path / "artifacts").as_uri())
    tracker.start()
    tracker.ids()
    tracker.finish("FINISHED", {}, {})
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'before'")
    database.close()
    code = (
        "import sys; from stacktune.tracking.tracker import Tracker; from stacktune.errors import ConfigError\n"
        "tracker = Tracker(sys.argv[1], 'x', None); tracker.start()\n"
        "try: tracker.ids()\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "Run `mlflow db upgrade" in done.stdout
    assert done.stderr == ""


def test_ids_of_a_tracker_that_cannot_start_say_why(tmp_path):
    tracker = Tracker("postgresql://me:secret@127.0.0.1:9/none", "x", None)
    tracker.start()
    with pytest.raises(ConfigError, match=r"cannot keep runs in postgresql://\*\*\*@127\.0\.0\.1:9/none"):
        tracker.ids()
    tracker.trial_started(Trial("linear-0000", "linear", {}))
    assert not tracker.finish("FAILED", {}, {}, timeout_s=5)


def test_a_folder_with_any_name_can_hold_the_store(tmp_path):
    output = tmp_path / "a b#c % & é" / "one"
    store = store_for(None, output)
    tracker = Tracker(store.uri, "odd", store.artifacts, "first run")
    check_store(store.uri)
    tracker.start()
    tracker.log_config("a: 1\n", {"a": 1})
    assert tracker.finish("FINISHED", {}, {})
    (kept,) = (output.parent / "mlartifacts").rglob("config.yaml")
    assert kept.read_text() == "a: 1\n"
    assert sorted(path.name for path in output.parent.iterdir()) == ["mlartifacts", "mlflow.db"]
    assert [path.name for path in tmp_path.iterdir()] == [output.parent.name]
