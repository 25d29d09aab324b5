"""A trial for which there is no memory begins again on half of its rows, and the run goes on whatever becomes of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from commands import Ended, several
from control_groups import control_group
from ray._private.utils import get_system_memory, get_used_memory
from whole_runs import STACKTUNE, lend_store, mixed_table

from stacktune.package import copy_package

# A family that takes more than there is where it learns from more rows than it is told: at once, or by filling it.
GLUTTON = """
import os
import time
import numpy as np
from stacktune.families.base import Family
from stacktune.families.linear import LinearLearner, load
from stacktune.search_spaces.linear import PORTFOLIO

class Learner(LinearLearner):
    def __init__(self, job, config):
        super().__init__(job, PORTFOLIO[0])
        self.is_greedy = len(job.rows) > config["most_rows"]

    def advance(self, units):
        if self.is_greedy and os.environ["GLUTTON"] == "asks":
            np.empty(10**15)
        if self.is_greedy:
            self.eaten = np.ones(int(os.environ["GLUTTON"]))
            time.sleep(60)
        super().advance(units)

FAMILY = Family("glutton", "fit", lambda config: 1, Learner, load)
"""
SPACE = """
from ray import tune
SPACE = {"most_rows": tune.choice([0])}
PORTFOLIO = ({"most_rows": 250}, {"most_rows": 0})
"""
EATEN = 4_000_000_000
# Without one the run is reproducible, and no trial may learn from fewer rows.
BUDGET = ("--time-budget", "170s", "--families", "glutton")
REPRODUCIBLE = ("--families", "linear,glutton", "--max-trials", "4")


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project with the family that takes too much, but for one trial not of half of each fold's 379 rows."""
    folder = tmp_path_factory.mktemp("copy")
    package = copy_package(folder)
    (package / "families" / "glutton.py").write_text(GLUTTON)
    (package / "search_spaces" / "glutton.py").write_text(SPACE)
    mixed_table().to_parquet(folder / "table.parquet")
    return folder


RUN = ("run", "table.parquet", "--target", "diagnosis", "--folds", "3", "--cpus", "1", "--no-report")


def run(
    copy: Path, output: str, *more: str, n_completed: int, begin: Sequence[str] = (), **env: str
) -> tuple[pd.DataFrame, str]:
    """Return the leaderboard by trial, and what was said; begin: of the command, to have it in a group."""
    words = [*RUN, "--output", output, *more]
    lend_store(words, copy)
    command = [*begin, *STACKTUNE, *words]
    everything = {**os.environ, "PYTHONPATH": str(copy), **env}
    ended = subprocess.run(command, cwd=copy, env=everything, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return board_of(copy / output, n_completed), ended.stdout


def board_of(folder: Path, n_completed: int) -> pd.DataFrame:
    assert json.loads((folder / "run.json").read_text())["n_completed"] == n_completed
    return pd.read_csv(folder / "leaderboard.csv").set_index("name")


@pytest.fixture(scope="module")
def asked(copy) -> tuple[Ended, Ended]:
    """What two runs ended with in which trials ask for too much: one within a budget, and a reproducible one."""
    words = ["--output", "asks", *BUDGET, "--max-trials", "2"], ["--output", "repeats", *REPRODUCIBLE]
    lend_store(words[0], copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLUTTON", "asks")
        within, repeats = several([([*RUN, *of], copy) for of in words], code=copy)
    return within, repeats


def test_memory_that_a_trial_asks_for_in_vain(copy, asked):
    ended, _ = asked
    assert (ended.status, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    board, said = board_of(copy / "asks", n_completed=1), ended.stdout
    retried, hopeless = sorted(name for name in board.index if name.startswith("glutton"))
    assert board.loc[retried, "status"] == "completed"
    assert board.loc[hopeless, "status"] == "failed"
    assert "Unable to allocate" in board.loc[hopeless, "error"]
    for name in (retried, hopeless):
        assert said.count(f"{name} ran out of memory and begins again on 0.5 of its rows") == 1
    result = json.loads((copy / "asks" / "trials" / retried / "result.json").read_text())
    assert result["rows_share"] == 0.5


def test_in_a_reproducible_run_no_trial_learns_from_fewer_rows_and_what_fails_for_it_is_said(copy, asked):
    _, ended = asked
    assert (ended.status, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    board, said = board_of(copy / "repeats", n_completed=2), ended.stdout
    names = sorted(name for name in board.index if name.startswith("glutton"))
    assert board.loc[names, "status"].tolist() == ["failed", "failed"]
    for name in names:
        assert said.count(f"{name} ran out of memory and begins again on all of its rows") == 1
    (line,) = [line for line in said.splitlines() if "for want of memory" in line]
    assert all(name in line for name in names)
    assert "another leaderboard" in line


def test_memory_that_a_trial_fills_until_ray_kills_it(copy):
    full_at = (get_used_memory() + 0.7 * EATEN) / get_system_memory()
    limit = {"RAY_memory_usage_threshold": f"{full_at:.4f}"}
    board, said = run(copy, "fills", *BUDGET, "--max-trials", "1", n_completed=1, GLUTTON=str(EATEN // 8), **limit)
    (retried,) = (name for name in board.index if name.startswith("glutton"))
    assert board.loc[retried, "status"] == "completed", f"{said}{board}"
    assert f"{retried} ran out of memory and begins again on 0.5 of its rows" in said
    assert "because the memory of its node ran low" in (copy / "fills" / "run.log").read_text()


def test_memory_that_a_trial_fills_until_the_kernel_kills_it(copy):
    """Ray watches the machine, or a container; of a group inside, as of systemd or Slurm, it knows nothing."""
    with control_group(n_bytes=EATEN // 2) as group:
        board, said = run(
            copy, "kernel", *BUDGET, "--max-trials", "2", n_completed=1, begin=group.command, GLUTTON=str(EATEN // 8)
        )
    retried, hopeless = sorted(name for name in board.index if name.startswith("glutton"))
    assert board.loc[retried, "status"] == "completed", f"{said}{board}"
    assert board.loc[hopeless, "status"] == "failed"
    assert "its control group had no memory left" in board.loc[hopeless, "error"]
    for name in (retried, hopeless):
        assert said.count(f"{name} ran out of memory and begins again on 0.5 of its rows") == 1
