"""Against a real `mlflow server` that is killed and started again."""

from __future__ import annotations

import time

from mlflow.tracking import MlflowClient

from pipeline.metrics import get_metric
from pipeline.tracking.tracker import Tracker


def test_a_server_is_written_like_a_database(server, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(server.uri, "over http", None, "first run")
    tracker.check()
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.log_dataset("wine", "/data/wine.parquet", "abc", {"n_rows": 178})
    tracker.log_config("target: kind\n", {"target": "kind"})
    tracker.trial_finished(finished("lightgbm-0000"))
    assert tracker.finish("FINISHED", {"cv_score": 0.8}, {})

    client = MlflowClient(server.uri)
    experiment_id, parent_id = tracker.ids()
    (trial,) = client.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{parent_id}'")
    assert trial.info.run_name == "lightgbm-0000"
    assert [point.step for point in client.get_metric_history(trial.info.run_id, "roc_auc")] == [1, 2, 3]
    parent = client.get_run(parent_id)
    assert parent.inputs.dataset_inputs[0].dataset.name == "wine"
    assert [file.path for file in client.list_artifacts(parent_id)] == ["config.yaml"]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_goes_away_delays_logging_and_loses_nothing(server, finished):
    said: list[str] = []
    tracker = Tracker(server.uri, "away and back", None, "first run", said.append)
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.trial_started("lightgbm-0000", "lightgbm", "asha", {"n_leaves": 31})
    assert tracker.flush()

    server.stop()
    try:
        began = time.monotonic()
        for number in range(3):
            tracker.trial_finished(finished(f"lightgbm-000{number}"))
        tracker.log_config("target: kind\n", {"target": "kind"})
        assert time.monotonic() - began < 0.5
        assert not tracker.flush(timeout_s=3)
        assert not tracker.flush(timeout_s=3)
        assert len(said) == 1
        assert said[0].startswith(f"MLflow at {server.uri} cannot be written (")
        assert "is written when it is back" in said[0]
    finally:
        server.start()
    assert tracker.finish("FINISHED", {}, {}, timeout_s=60)
    assert said[1:] == [f"MLflow at {server.uri} is back, and all is logged."]

    client = MlflowClient(server.uri)
    experiment_id, parent_id = tracker.ids()
    runs = client.search_runs([experiment_id])
    names = sorted(run.info.run_name for run in runs)
    assert names == ["first run", "lightgbm-0000", "lightgbm-0001", "lightgbm-0002"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert [file.path for file in client.list_artifacts(parent_id)] == ["config.yaml"]


def test_a_server_that_stays_away_costs_the_run_no_more_than_the_timeout(server, finished):
    said: list[str] = []
    tracker = Tracker(server.uri, "gone", None, "first run", said.append)
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.ids()
    server.stop()
    try:
        tracker.trial_finished(finished("lightgbm-0000"))
        began = time.monotonic()
        assert not tracker.finish("FINISHED", {}, {}, timeout_s=2)
        assert time.monotonic() - began < 4
    finally:
        server.start()
    assert said[-1] == "MLflow stayed away: what 2 of its runs logged last is lost there."
