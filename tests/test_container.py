"""A whole run in what docker makes: a part of a core, 2 GB of memory, and 64 MB of that shared."""

from __future__ import annotations

import json
import os
import sys

from control_groups import control_group, output_of
from whole_runs import mixed_table


def test_a_run_in_a_small_container_has_a_leader_and_says_what_it_has(tmp_path):
    """Ray did not start: a fifth of the machine's memory for objects was more than the container has."""
    table, out = tmp_path / "table.parquet", tmp_path / "out"
    mixed_table().to_parquet(table)
    words = ["run", table, "--target", "diagnosis", "--families", "linear", "--max-trials", "2", "--output", out]
    words.append("--tracking-optional")  # a busy machine's MLflow may not be there in time, which is not the subject
    with control_group(0.75, 2 * 10**9) as group:
        said = output_of([*group.container, sys.executable, "-m", "stacktune", *map(str, words)])
    (line,) = [line for line in said.splitlines() if "1 core" in line]
    assert line.startswith(f"1 core (of {os.cpu_count()}: a quota of 0.75 cores), 2 GB of memory (of ")
    assert "/dev/shm has 67.1 MB free, too little" in said
    assert json.loads((out / "run.json").read_text())["n_completed"] == 2
