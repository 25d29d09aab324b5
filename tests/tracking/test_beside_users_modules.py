"""A model in the process of a user who has modules of unlucky names, or another stacktune."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from in_process import fit
from neighbours import OURS, set_traps, sprung

from stacktune.ensemble import leader
from stacktune.ensemble.digests import digests_of
from stacktune.ensemble.serve import CODE
from stacktune.errors import DataError, DataWarning
from stacktune.storage.digests import digest_of
from stacktune.tracking.registry import save_model

# A user's script: its modules are imported before and after the model is loaded.
SCRIPT = """
import json, sys
import pipeline, search_spaces.mine
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
predicted = model.predict(pandas.read_parquet(sys.argv[2]))
import config, pipeline.steps
predicted.to_parquet("predicted.parquet")
modules = (pipeline, pipeline.steps, search_spaces, search_spaces.mine, config)
print(json.dumps([[module.__file__ for module in modules], sys.modules["stacktune"].__file__]))
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(120, 3)), columns=list("abc"))
    frame["y"] = np.where(frame["a"] > 0, "up", "down")
    return fit(frame, "y", tmp_path_factory.mktemp("fitted"), ("linear",))


@pytest.fixture
def model(fitted, tmp_path) -> Path:
    sample = fitted.dataset.sample
    save_model(tmp_path / "model", fitted.leader.folder, sample, fitted.leader.predict(sample), with_code=True)
    return tmp_path / "model"


def test_a_users_modules_and_a_model_stay_apart_whichever_is_imported_first(fitted, model, tmp_path):
    """The model's own code was called pipeline and search_spaces: it did not load, or the user's modules were gone."""
    desk, sample = tmp_path / "desk", fitted.dataset.sample
    for module in ("pipeline/__init__", "pipeline/steps", "search_spaces/__init__", "search_spaces/mine", "config"):
        (desk / module).parent.mkdir(parents=True, exist_ok=True)
        (desk / f"{module}.py").touch()
    set_traps(desk, "conftest", "stacktune")
    set_traps(tmp_path / "users", *OURS)
    (desk / "script.py").write_text(SCRIPT)
    sample.to_parquet(tmp_path / "rows.parquet")
    words = [sys.executable, "script.py", str(model), str(tmp_path / "rows.parquet")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "users")}
    ended = subprocess.run(words, cwd=desk, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert "DataWarning" not in ended.stderr
    users, ours = json.loads(ended.stdout.splitlines()[-1])
    assert [Path(file).is_relative_to(desk) for file in users] == [True] * 5
    assert Path(ours).parent == model / "code" / "stacktune"
    assert sprung(tmp_path) == []
    pd.testing.assert_frame_equal(pd.read_parquet(desk / "predicted.parquet"), fitted.leader.predict(sample))


def bring_other_code(model: Path, name: str) -> None:
    """Let the model bring a file of another version, as if it had been saved with it."""
    with (model / "code" / "stacktune" / name).open("a") as file:
        file.write("\n# of another version\n")
    about = yaml.safe_load((model / "MLmodel").read_text())
    about["metadata"][CODE] = digest_of(digests_of(model / "code"))
    (model / "MLmodel").write_text(yaml.safe_dump(about))


def test_code_that_a_model_brings_in_vain_is_said(fitted, model):
    """Python imports a name once: where a stacktune was imported before, a model's own code was silently not used."""
    sample = fitted.dataset.sample
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        mlflow.pyfunc.load_model(str(model))
    bring_other_code(model, "search_spaces/linear.py")
    with pytest.warns(DataWarning, match=r"had imported the stacktune in '.*pipeline' before, .*process of its own"):
        served = mlflow.pyfunc.load_model(str(model))
    pd.testing.assert_frame_equal(served.predict(sample), fitted.leader.predict(sample))


def test_a_model_of_a_format_that_the_code_imported_before_does_not_read_is_refused_with_both(model, monkeypatch):
    monkeypatch.setattr(leader, "MODEL_FORMAT", leader.MODEL_FORMAT + 1)
    bring_other_code(model, "families/new.py")
    with pytest.raises(DataError, match=r"has format \d+, and this stacktune reads \d+.*had imported the stacktune in"):
        mlflow.pyfunc.load_model(str(model))
