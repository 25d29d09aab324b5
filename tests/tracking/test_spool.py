"""What a killed process had to say reaches MLflow all the same, once, and under the same runs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from stacktune.errors import ConfigError
from stacktune.metrics import get_metric
from stacktune.tracking.spool import Spool, claim_spool, forget_store, read_spool
from stacktune.tracking.tracker import Tracker
from stacktune.tracking.updates import Input, Point, Update
from stacktune.trials.trial import Trial

N_TRIALS = 6
# Logs trials, the last of which is still running, and is killed some time later.
KILLED = """
import os, signal, sys, time
from pathlib import Path
from stacktune.metrics import get_metric
from stacktune.tracking.tracker import Tracker
from stacktune.trials.result import COMPLETED, TrialResult
from stacktune.trials.trial import Trial

uri, spool, n_trials, wait_s = sys.argv[1:]
tracker = Tracker(uri, Path(spool).parent.name, None, "a run", spool=Path(spool))
tracker.start()
tracker.log_task("binary", get_metric("roc_auc", "binary"))
for number in range(int(n_trials)):
    name = f"lightgbm-{number:04}"
    tracker.trial_started(Trial(name, "lightgbm", {"n_leaves": number}))
    tracker.trial_progress(Trial(name, "lightgbm", {}), 1, 0.7)
    tracker.trial_progress(Trial(name, "lightgbm", {}), 2, 0.8)
    if number < int(n_trials) - 1:
        config = {"n_leaves": number}
        result = TrialResult(name, "lightgbm", config, "asha", COMPLETED, 3, 3, (0.7, 0.8, 0.9), (0.9, 0.9))
        tracker.trial_finished(result)
time.sleep(float(wait_s))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_spool_remembers_what_the_store_may_not_have(tmp_path):
    path = tmp_path / "tracking.jsonl"
    spool = Spool(path)
    both = [Update("a", {"x": "1"}, points=(Point("auc", 0.5, 1),)), Update("a", files={"f": "text"})]
    numbers = [spool.put(update) for update in both]
    later = Update("", inputs=(Input("wine", "abc", "s3://b", {"n_rows": 3}, "training"),), status="RUNNING")
    spool.put(later)
    spool.opened("7", "p" * 32)
    spool.created("a", "a" * 32)
    spool.written(("a", False), numbers[0])
    spool.close()
    past = read_spool(path)
    assert list(past.waiting.values()) == [both[1], later]
    assert (past.experiment_id, past.run_ids, past.key) == ("7", {"": "p" * 32, "a": "a" * 32}, spool.key)
    assert past.params == {"a": {"x"}}
    assert past.points["a"] == {("auc", 1)}
    assert Spool(path).put(later) > max(past.waiting)


@pytest.mark.parametrize("wait_s", [0.0, 0.6, 1.2, 4.0])
def test_a_killed_process_costs_mlflow_nothing(sqlite_uri, tmp_path, wait_s):
    folder = tmp_path / f"killed after {wait_s}"
    folder.mkdir()
    spool = folder / "tracking.jsonl"
    words = [sqlite_uri, str(spool), str(N_TRIALS), str(wait_s)]
    assert subprocess.run([sys.executable, "-c", KILLED, *words]).returncode == -9

    tracker = Tracker(sqlite_uri, folder.name, None, "a run", spool=spool)
    assert tracker.goes_on
    tracker.start()
    tracker.run_again()
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    last = f"lightgbm-{N_TRIALS - 1:04}"
    tracker.trial_started(Trial(last, "lightgbm", {"n_leaves": N_TRIALS - 1}))
    for rung, score in ((1, 0.71), (2, 0.81), (3, 0.9)):
        tracker.trial_progress(Trial(last, "lightgbm", {}), rung, score)
    assert tracker.finish("FINISHED", {}, {}, timeout_s=60)

    client = MlflowClient(sqlite_uri)
    experiment_id, parent_id = tracker.ids()
    runs = client.search_runs([experiment_id])
    names = Counter(run.info.run_name for run in runs)
    assert names == Counter(["a run", *(f"lightgbm-{number:04}" for number in range(N_TRIALS))])
    assert client.get_run(parent_id).info.status == "FINISHED"
    for run in runs:
        if run.info.run_id != parent_id:
            assert run.data.params["n_leaves"] == str(int(run.info.run_name[-4:]))
            assert [point.step for point in client.get_metric_history(run.info.run_id, "roc_auc")] == [1, 2, 3]


def test_a_store_that_is_lost_is_filled_again_from_the_spool(tmp_path, finished):
    for uri in (f"sqlite:///{tmp_path}/first.db", f"sqlite:///{tmp_path}/second.db"):
        tracker = Tracker(uri, "lost", None, "a run", spool=tmp_path / "tracking.jsonl")
        tracker.start()
        tracker.log_task("binary", get_metric("roc_auc", "binary"))
        if "first" in uri:
            tracker.trial_started(Trial("lightgbm-0000", "lightgbm", {"n_leaves": 31}))
            tracker.trial_finished(finished("lightgbm-0000"))
        assert tracker.finish("FINISHED", {}, {}, timeout_s=60)
        forget_store(tmp_path / "tracking.jsonl")
    experiment_id, _ = tracker.ids()
    runs = {run.info.run_name: run for run in MlflowClient(uri).search_runs([experiment_id])}
    assert runs.keys() == {"a run", "lightgbm-0000"}
    assert runs["lightgbm-0000"].data.params["n_leaves"] == "31"
    assert runs["lightgbm-0000"].data.metrics["cv_roc_auc"] == 0.8


def test_a_run_that_the_store_does_not_know_is_refused_with_the_remedy(sqlite_uri, tmp_path):
    spool = Spool(tmp_path / "tracking.jsonl")
    spool.opened("0", "f" * 32)
    spool.close()
    tracker = Tracker(sqlite_uri, "elsewhere", None, "a run", spool=tmp_path / "tracking.jsonl")
    tracker.start()
    with pytest.raises(ConfigError, match="another --tracking-uri: give that one"):
        tracker.ids()
    tracker.close()


def test_what_another_run_has_to_tell_is_not_told_for_this_one(tmp_path):
    path = tmp_path / "tracking.jsonl"
    for _ in range(2):
        claim_spool(path, "ours")
        spool = Spool(path)
        spool.put(Update("a", {"x": "1"}))
        spool.close()
    forget_store(path)
    claim_spool(path, "ours")
    assert len(read_spool(path).waiting) == 2
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"tracking.jsonl' holds what another run has for MLflow\. Move it away"):
        claim_spool(path, "others")
    assert path.read_bytes() == before


def test_credentials_are_not_spooled(tmp_path, sqlite_uri):
    tracker = Tracker(sqlite_uri, "quiet", None, "a run", spool=tmp_path / "tracking.jsonl")
    tracker.log_config("data: s3://key:secret@bucket/x\n", {"data": "s3://key:secret@bucket/x"})
    tracker.close()
    assert "secret" not in Path(tmp_path / "tracking.jsonl").read_text()
