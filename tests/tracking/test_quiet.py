from __future__ import annotations

import os
import subprocess
import sys

import pytest

RUN = """
import sys
from pathlib import Path
from stacktune.metrics import get_metric
from stacktune.tracking.store import check_store, store_for
from stacktune.tracking.tracker import Tracker
from stacktune.trials.trial import Trial

store = store_for(sys.argv[1] or None, Path("runs/one"))
tracker = Tracker(store.uri, "quiet", store.artifacts, "first run")
check_store(store.uri)
assert "mlflow" not in sys.modules
tracker.start()
tracker.log_task("binary", get_metric("roc_auc", "binary"))
tracker.trial_started(Trial("linear-0000", "linear", {"C": 1.0}))
tracker.trial_progress(Trial("linear-0000", "linear", {}), 1, 0.5)
tracker.log_config("a: 1", {"a": 1})
assert tracker.finish("FINISHED", {}, {}, timeout_s=60)
"""


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_mlflow_says_nothing_on_the_screen(kind, request, tmp_path):
    uri = "" if kind == "sqlite" else request.getfixturevalue("server").uri
    # MLflow greets coding agents, whose environment these variables stand for.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"AGENT": "1", "AI_AGENT": "1"}
    command = [sys.executable, "-c", RUN, uri]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == (["runs"] if kind == "sqlite" else [])
