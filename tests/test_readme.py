"""What the papers tell a user to type is typed here: ```bash and ```python blocks run, in order, on a tiny table.

```sh blocks need a bare machine or a cloud; .ci/run runs the first kind, and here their words are checked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ROOMS = (".github", "pipeline", "search_spaces", "tests")
PAPERS = sorted([ROOT / "README.md", *(paper for room in ROOMS for paper in (ROOT / room).rglob("*.md"))])
TYPED = ("README.md", "pipeline/tracking/README.md")
BLOCKS = [
    block for name in TYPED for block in re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S)
]
# 9 KB of it are read; what more a user needs to know is a link away.
MAX_README_BYTES = 9000
BIN = Path(sys.executable).parent

# A user's time is not a test's: the same commands with small limits.
SHORTER = {
    "--time-budget 10m": "--time-budget 10m --max-trials 3 --folds 3 --cpus 1",
    "--max-trials 20": "--max-trials 3 --folds 3 --cpus 1",
    "--seconds 30": "--seconds 2",
}


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def shortened(command: str) -> str:
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    return command


def adults(n_rows: int) -> pd.DataFrame:
    """A tiny table of the kind that the README speaks of: mixed columns, missing values, a target to be learnt."""
    rng = np.random.default_rng(0)
    age = rng.integers(17, 80, n_rows)
    education = rng.choice(["school", "college", "doctorate"], n_rows)
    hours = rng.normal(40, 8, n_rows).round(1)
    rich = age / 40 + (education == "doctorate") + rng.normal(0, 0.5, n_rows) > 1.7
    hours[::17] = np.nan
    income = np.where(rich, ">50K", "<=50K")
    return pd.DataFrame({"age": age, "education": education, "hours_per_week": hours, "income": income})


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """The folder where the README's reader sits, after typing every bash block in order."""
    folder = tmp_path_factory.mktemp("desk")
    adults(400).to_parquet(folder / "adult.parquet", index=False)
    adults(37).drop(columns="income").to_parquet(folder / "new_rows.parquet", index=False)
    adults(60).to_parquet(folder / "labelled_rows.parquet", index=False)
    for block in blocks("bash"):
        typed(["bash", "-euo", "pipefail", "-c", shortened(block)], folder)
    return folder


def typed(command: list[str], folder: Path) -> str:
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    env.pop("MLFLOW_TRACKING_URI", None)
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{command[-1]}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_every_limit_that_is_shortened_stands_in_the_readme():
    text = "".join(blocks("bash"))
    assert all(long in text for long in SHORTER)


def test_a_run_leaves_what_the_readme_lists(desk):
    text = (ROOT / "pipeline/runs/README.md").read_text()
    table = text.partition("## What a run leaves")[2].partition("\n## ")[0]
    names = re.findall(r"^\| `([\w.]+)/?`", table, re.M)
    assert names == [
        *("run.json", "leaderboard.parquet", "report.html", "columns.json", "config.yaml", "leader", "model_card.md"),
        *("out_of_fold.npz", "explanation", "events.jsonl", "trials", "run.log", "state.json"),
    ]
    assert {*names, "leaderboard.csv", "journal.jsonl", "tracking.jsonl"} <= {
        path.name for path in (desk / "stacktune-runs" / "adult").iterdir()
    }
    assert (desk / "stacktune-runs" / "mlflow.db").is_file()


def test_predictions_are_a_decision_and_a_probability_a_class_for_each_row(desk):
    by_folder = pd.read_parquet(desk / "predictions.parquet")
    by_name = pd.read_csv(desk / "predictions.csv")
    assert list(by_folder.columns) == ["prediction", "<=50K", ">50K"]
    assert len(by_folder) == 37
    np.testing.assert_allclose(by_folder[["<=50K", ">50K"]].sum(axis=1), 1.0)
    pd.testing.assert_frame_equal(by_folder, by_name)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_run(desk, block):
    assert typed([sys.executable, "-c", block], desk).strip()


def test_the_two_commands_make_their_environment_and_name_a_known_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    first, second = (block for block in blocks("sh") if "venv" in block)
    assert re.fullmatch(r"python3 -m venv \.venv && \.venv/bin/pip install .* && \.venv/bin/stacktune demo\n", first)
    assert second.endswith("&& .venv/bin/python -m pytest\n")
    assert set(re.findall(r"\[(\w+)\]", second)) <= set(extras)


def test_every_flag_in_the_readme_exists():
    env = {**os.environ, "COLUMNS": "80"}
    shown = subprocess.run([BIN / "stacktune", "run", "--help"], capture_output=True, text=True, env=env, check=True)
    known = set(re.findall(r"^  (--[a-z-]+)", shown.stdout, re.M))
    lines = README.replace("\\\n", " ").splitlines()
    runs = [line.partition(" run ")[2] for line in lines if re.search(r"(stacktune|pipeline) run \S+ ", line)]
    flags = {flag for words in runs for flag in re.findall(r"(?<= )--[a-z-]+", words)}
    assert {"--target", "--time-budget", "--max-trials", "--address"} <= flags <= known


def test_every_link_and_every_file_of_the_layout_exists():
    links = [(paper, link) for paper in PAPERS for link in re.findall(r"\]\(([^):]+)\)", paper.read_text())]
    assert (ROOT / "README.md", "cluster.yaml") in links
    assert not [(paper, link) for paper, link in links if not (paper.parent / link.partition("#")[0]).exists()]
    (layout,) = re.findall(r"^```\n(search_spaces/.*?)^```$", (ROOT / "pipeline/README.md").read_text(), re.M | re.S)
    named = re.findall(r"^(?:    )?([\w./]+/|[\w.]+\.py)(?=\s)", layout, re.M)
    inside = {"search_spaces/", "pipeline/", "tests/"}
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / (name if name in inside else f"pipeline/{name}")).exists()]


def test_every_test_that_the_table_of_faults_names_exists():
    named = re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(\w+))?…?`", (ROOT / "tests" / "README.md").read_text())
    assert len(named) > 40
    gone = [
        (file, name)
        for file, name in named
        if not (found := ROOT / "tests" / file).exists() or f"def {name}" not in found.read_text()
    ]
    assert gone == []


def test_the_readme_is_short():
    assert len(README.encode()) <= MAX_README_BYTES
