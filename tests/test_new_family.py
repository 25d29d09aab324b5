"""Adding a family is adding two files: those of tests/new_family, laid over a copy of the project, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_iris

from stacktune.package import copy_package

TESTS = Path(__file__).parent
ADDED = TESTS / "new_family"


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project with one family more."""
    folder = tmp_path_factory.mktemp("copy")
    package = copy_package(folder)
    before = set(package.rglob("*.py"))
    for added, target in (("pipeline", package), ("search_spaces", package / "search_spaces")):
        shutil.copytree(ADDED / added, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    after = set(package.rglob("*.py"))
    assert after - before == {package / "search_spaces" / "naive_bayes.py", package / "families" / "naive_bayes.py"}
    return folder


def python(copy: Path, *words: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(copy)}
    result = subprocess.run([sys.executable, *words], cwd=copy, env=env, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_contract_of_families_finds_it_and_it_keeps_it(copy):
    (copy / "tests").mkdir()
    for helper in TESTS.glob("*.py"):
        shutil.copy(helper, copy / "tests")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_every_family.py", "-k", "naive_bayes"]
    closing = python(copy, *words)
    assert " passed" in closing.splitlines()[-1]


def test_a_run_tries_it_and_its_leader_predicts(copy):
    frame = load_iris(as_frame=True).frame
    frame.to_parquet(copy / "iris.parquet", index=False)
    words = ["run", "iris.parquet", "--target", "target", "--families", "naive_bayes"]
    words += ["--max-trials", "2", "--folds", "3", "--cpus", "1"]
    python(copy, "-m", "stacktune", *words, "--output", "runs/iris")
    facts = json.loads((copy / "runs" / "iris" / "run.json").read_text())
    assert facts["metric"] == "log_loss"
    assert facts["cv_score"] < 0.3, "on a table that naive Bayes is known to suit"
    python(copy, "-m", "stacktune", "predict", "runs/iris", "iris.parquet")
    predicted = pd.read_parquet(copy / "predictions.parquet")
    assert (predicted["prediction"] == frame["target"]).mean() > 0.9
