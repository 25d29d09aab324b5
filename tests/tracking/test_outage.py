"""Against a real `mlflow server` that is killed and started again."""

from __future__ import annotations

import random
import threading
import time

from mlflow.tracking import MlflowClient

from stacktune.metrics import get_metric
from stacktune.tracking.store import check_store
from stacktune.tracking.tracker import Tracker
from stacktune.trials.trial import Trial

# On any machine less than MLflow itself tries for, with a pause before each of seven times: minutes.
IMPATIENT_S = 30.0


def test_a_server_is_written_like_a_database(server, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(server.uri, "over http", None, "first run")
    check_store(server.uri)
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
    tracker.trial_started(Trial("lightgbm-0000", "lightgbm", {"n_leaves": 31}))
    assert tracker.flush()

    server.stop()
    try:
        began = time.monotonic()
        for number in range(3):
            tracker.trial_finished(finished(f"lightgbm-000{number}"))
        tracker.log_config("target: kind\n", {"target": "kind"})
        assert time.monotonic() - began < IMPATIENT_S
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


def test_a_server_that_stays_away_costs_the_run_no_more_than_the_timeout(proxy, finished):
    said: list[str] = []
    tracker = Tracker(proxy.uri, "gone", None, "first run", said.append)
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.ids()
    proxy.mode = "drop"
    tracker.trial_finished(finished("lightgbm-0000"))
    began = time.monotonic()
    assert not tracker.finish("FINISHED", {}, {}, timeout_s=2)
    assert time.monotonic() - began < IMPATIENT_S
    proxy.mode = "open"
    assert said[-1] == "MLflow stayed away: what 2 of its runs logged last is lost there."


N_OUTAGES, N_TRIALS = 10, 40
OUTAGES = ("drop", "lost", "slow", 500, 401, 403, 429, 502)


def test_ten_random_outages_lose_and_double_nothing(proxy, finished, tmp_path):
    chance, said = random.Random(0), []
    tracker = Tracker(proxy.uri, "outages", None, "first run", said.append, tmp_path / "tracking.jsonl")
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.ids()
    names = [f"lightgbm-{number:04}" for number in range(N_TRIALS)]
    for outage in range(N_OUTAGES):
        proxy.mode = chance.choice(OUTAGES)
        for name in names[outage::N_OUTAGES]:
            tracker.trial_started(Trial(name, "lightgbm", {"n_leaves": 31}))
            tracker.trial_progress(Trial(name, "lightgbm", {}), 1, 0.7)
            time.sleep(chance.uniform(0, 0.4))
            tracker.trial_finished(finished(name))
        proxy.mode = "open"
        time.sleep(chance.uniform(0, 1.5))
    assert tracker.finish("FINISHED", {"cv_roc_auc": 0.8}, {"leader": names[0]}, timeout_s=60)
    assert any("cannot be written" in text for text in said)

    client = MlflowClient(proxy.uri)
    experiment_id, _ = tracker.ids()
    runs = {run.info.run_name: run for run in client.search_runs([experiment_id])}
    assert sorted(runs) == sorted(["first run", *names])
    assert len(client.search_runs([experiment_id])) == N_TRIALS + 1
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in names:
        run = runs[name]
        assert {"n_leaves": "31", "learning_rate": "0.05"}.items() <= run.data.params.items()
        assert [point.step for point in client.get_metric_history(run.info.run_id, "roc_auc")] == [1, 2, 3]
        assert len(client.get_metric_history(run.info.run_id, "fold_score")) == 2


def test_an_optional_store_that_is_away_at_first_is_written_when_it_comes(proxy, finished):
    said: list[str] = []
    proxy.mode = 500
    tracker = Tracker(proxy.uri, "late", None, "first run", said.append, is_optional=True)
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.trial_finished(finished("lightgbm-0000"))
    assert not tracker.flush(timeout_s=4)
    assert not tracker.is_open
    assert len(said) == 1
    assert said[0].endswith("The search goes on; what is not logged is written when it is back.")
    proxy.mode = "open"
    assert tracker.finish("FINISHED", {}, {}, timeout_s=60)
    experiment_id, _ = tracker.ids()
    assert len(MlflowClient(proxy.uri).search_runs([experiment_id])) == 2


def test_what_a_run_could_not_log_is_sent_later(proxy, finished, tmp_path):
    before = set(threading.enumerate())
    tracker = Tracker(proxy.uri, "later", None, "first run", spool=tmp_path / "tracking.jsonl")
    tracker.start()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    tracker.ids()
    proxy.mode = "drop"
    tracker.trial_finished(finished("lightgbm-0000"))
    assert not tracker.finish("FINISHED", {}, {}, timeout_s=2)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    proxy.mode = "open"
    late = Tracker(proxy.uri, "later", None, "first run", spool=tmp_path / "tracking.jsonl")
    assert late.n_waiting == 2
    late.start()
    assert late.flush(timeout_s=60)
    late.close()
    experiment_id, _ = late.ids()
    runs = MlflowClient(proxy.uri).search_runs([experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["first run", "lightgbm-0000"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert Tracker(proxy.uri, "later", None, "first run", spool=tmp_path / "tracking.jsonl").n_waiting == 0
