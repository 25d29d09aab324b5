"""The command in a folder whose files have unlucky names: none of them is run, and none stands for another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from neighbours import (
    LIBRARIES,
    OF_PYTHON_ITSELF,
    OURS,
    STANDARD,
    python_without_stacktune,
    set_traps,
    sprung,
)
from sklearn.datasets import load_iris

from stacktune.__main__ import leave_users_files_alone

ROOT = Path(__file__).parent.parent
# A user's metric, beside files that have the names of what it imports.
METRIC = """
import random, json
import numpy as np

def share(y_true, y_pred, sample_weight=None):
    return random.choice([_mean(y_true == y_pred, sample_weight)])

def _mean(hits, weight):
    return np.average(hits, weights=weight)
"""
SCRIPT, MODULE = (str(Path(sys.executable).with_name("stacktune")),), (sys.executable, "-m", "stacktune")


def command(*words: str, cwd: Path, **more: str) -> str:
    """Run a command; return what it said, and check that all went well."""
    ended = subprocess.run(words, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run from a checkout that nobody installed, with such files beside it and in PYTHONPATH."""
    folder = tmp_path_factory.mktemp("run")
    checkout = folder / "checkout"
    for name in ("pipeline", "search_spaces"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    set_traps(checkout, "stacktune", *OURS, *set(STANDARD) - OF_PYTHON_ITSELF, *LIBRARIES)
    users = set_traps(folder / "users", *OURS)
    load_iris(as_frame=True).frame.to_parquet(folder / "iris.parquet", index=False)
    python = str(python_without_stacktune(folder / "python"))
    words = ["run", "../iris.parquet", "--target", "target", "--families", "linear,lightgbm", "--max-trials", "2"]
    (checkout / "fair.py").write_text(METRIC)
    words += ["--folds", "2", "--cpus", "1", "--output", "../runs/iris", "--metric", "fair:share", "--balance"]
    command(python, "-m", "pipeline", *words, cwd=checkout, PYTHONPATH=str(users))
    assert sprung(folder) == []
    return folder / "runs" / "iris"


def test_a_run_from_a_checkout_imports_nothing_that_lies_beside_it(run):
    """A `pipeline.py` took our place, and a `random.py` Python's own, in the command and in each of Ray's workers."""
    assert (run / "run.json").is_file()


def test_of_the_users_folder_the_module_that_was_named_is_imported_and_its_function_is_carried_to_workers(run):
    facts = json.loads((run / "run.json").read_text())
    assert (facts["metric"], facts["greater_is_better"], facts["n_completed"]) == ("fair.share", True, 2)
    assert facts["cv_score"] > 0.85
    log = (run / "run.log").read_text()
    assert "fair:share is the metric: it is given decided classes, and greater is better" in log
    assert "models learn with class weights (0 1, 1 1, 2 1)" in log


@pytest.mark.parametrize(
    ("spelling", "names"),
    [(SCRIPT, {"stacktune", *STANDARD}), (MODULE, set(STANDARD) - OF_PYTHON_ITSELF)],
    ids=["stacktune", "python -m stacktune"],
)
def test_an_installed_command_imports_nothing_of_the_folder_that_it_stands_in(spelling, names, run, tmp_path):
    desk = set_traps(tmp_path / "desk", *names, *OURS, *LIBRARIES)
    users = set_traps(tmp_path / "users", *OURS)
    words = ["predict", str(run), str(run.parents[1] / "iris.parquet")]
    command(*spelling, *words, cwd=desk, PYTHONPATH=str(users))
    assert (desk / "predictions.parquet").is_file()
    assert sprung(tmp_path) == []


@pytest.mark.parametrize(
    ("first", "in_a_job", "left"),
    [
        ("here", False, ["here", "library"]),
        ("", False, ["here", "library"]),
        ("script's", False, ["here", "library"]),
        ("elsewhere", False, ["elsewhere", "here", "library"]),
        ("here", True, ["library"]),
    ],
)
def test_of_the_path_only_what_python_and_ray_have_put_there_goes(first, in_a_job, left, tmp_path, monkeypatch):
    """`PYTHONPATH=.` is a user's own wish; in a job of Ray's it is Ray that names the submitted folder there."""
    folders = {name: str(tmp_path / name) for name in ("here", "script's", "elsewhere", "library")} | {"": ""}
    Path(folders["here"]).mkdir()
    monkeypatch.chdir(folders["here"])
    monkeypatch.setattr(sys, "argv", [folders["script's"] + "/stacktune"])
    monkeypatch.setattr(sys, "path", [folders[name] for name in (first, "here", "library")])
    if in_a_job:
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    leave_users_files_alone()
    assert sys.path == [folders[name] for name in left]
