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
from whole_runs import lend_store

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


# Prints what the plan makes of tables of so many rows, and whether a run that names the family keeps it.
ASK_PLAN = """
import json, sys
import numpy as np
from stacktune.settings.groups import Settings
from stacktune.data.table import Table, Task
from stacktune.families.registry import all_families
from stacktune.runs.begin import fitted_to_size
from stacktune.search.plan.plan import ClusterSize, make_plan, plan_for_size

def planned(n_rows, budget_s, asked):
    table = Table(np.zeros((n_rows, 2), dtype=np.float32), ("x", "y"), target=np.arange(n_rows, dtype=np.int32) % 2)
    size = plan_for_size(table, Task("binary", ("no", "yes")), ClusterSize(2, 0), budget_s)
    scope = fitted_to_size(Settings("t", "y", families=tuple(asked)), asked or tuple(all_families()), size)
    return make_plan(scope.families, ClusterSize(2, 0), 0, 9, budget_s, 0.0, size).families, scope.notes

print(json.dumps([planned(*asked) for asked in json.loads(sys.argv[1])]))
"""
# Rows, the budget in seconds, the families that are named, and whether it is to be among those of the plan.
ASKED = [
    (10_000, None, [], True),
    (10_001, None, [], False),
    (10_001, 600, [], False),
    (10_001, None, ["linear", "naive_bayes"], True),
]


@pytest.fixture(scope="module")
def planned(copy) -> list[tuple[list[str], list[str]]]:
    return json.loads(python(copy, "-c", ASK_PLAN, json.dumps([asked for *asked, _ in ASKED])))


@pytest.mark.parametrize("place", range(len(ASKED)))
def test_it_is_left_out_with_its_reason_where_it_says_that_it_does_not_pay(planned, place):
    (*_, asked, is_in), (families, notes) = ASKED[place], planned[place]
    assert ("naive_bayes" in families) == is_in
    reason = "without naive_bayes, as naive Bayes learns nothing more from over 10,000 rows; --families overrides this"
    assert (reason in notes) != is_in
    if not asked and is_in:
        assert families[:3] == ["lightgbm", "naive_bayes", "linear"], "its turn comes where its record says"


def test_a_run_tries_it_and_its_leader_predicts(copy):
    frame = load_iris(as_frame=True).frame
    frame.to_parquet(copy / "iris.parquet", index=False)
    words = ["run", "iris.parquet", "--target", "target", "--families", "naive_bayes"]
    words += ["--max-trials", "2", "--folds", "3", "--cpus", "1", "--no-report"]
    words += ["--output", "runs/iris"]
    lend_store(words, copy)
    python(copy, "-m", "stacktune", *words)
    facts = json.loads((copy / "runs" / "iris" / "run.json").read_text())
    assert facts["metric"] == "log_loss"
    assert facts["cv_score"] < 0.3, "on a table that naive Bayes is known to suit"
    python(copy, "-m", "stacktune", "predict", "runs/iris", "iris.parquet")
    predicted = pd.read_parquet(copy / "predictions.parquet")
    assert (predicted["prediction"] == frame["target"]).mean() > 0.9
