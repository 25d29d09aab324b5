"""Completion in a real bash: commands, flags, and values that only the folder or the table knows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stacktune.completion import Shell, run_folders, script_for
from stacktune.settings.groups import BY_KEY
from stacktune.storage.run_folder import RunFolder

sys.path.insert(0, str(Path(__file__).parent / "report"))
from finished_run import write_run

# As bash calls it when the tab key is pressed behind the last word.
PRESS_TAB = """
eval "$(stacktune completion bash)"
while IFS= read -r line; do
    eval "COMP_WORDS=($line)"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    _stacktune_completion stacktune
    echo "${COMPREPLY[@]}"
done
complete -p stacktune
"""
TYPED = {
    'stacktune de""': "describe demo",
    "stacktune run --tim": "--time --time-budget",
    "stacktune run --preset ''": "fast balanced best deploy",
    "stacktune presets b": "balanced best",
    "stacktune run --families lightgbm,x": "lightgbm,xgboost",
    "stacktune run table.parquet --target in": "income",
    "stacktune describe table.parquet --keep age,c": "age,city",
    "stacktune leaderboard ''": "stacktune-runs/adult",
    "stacktune predict stacktune-runs/": "stacktune-runs/adult",
    "stacktune run --metric roc": "roc_auc",
}


def test_bash_completes_commands_flags_and_values(tmp_path):
    pd.DataFrame({"age": [1], "city": ["x"], "income": [0]}).to_parquet(tmp_path / "table.parquet")
    write_run(tmp_path / "stacktune-runs" / "adult")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    asked = "\n".join(TYPED) + "\n"
    result = subprocess.run(
        ["bash", "-c", PRESS_TAB], input=asked, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    *answers, how = result.stdout.splitlines()
    assert dict(zip(TYPED, answers, strict=True)) == TYPED
    assert how == "complete -o default -F _stacktune_completion stacktune", "files where nothing else fits"


@pytest.mark.parametrize("shell", Shell)
def test_each_shell_has_a_script_of_its_own(shell):
    assert f"complete_{shell.value}" in script_for(shell)
    assert "stacktune" in script_for(shell)


def test_only_folders_of_runs_are_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/one", "runs/two", "other/three", "alone"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/one", "alone"):
        RunFolder(tmp_path / name).config.write_text("data: x\n")
    assert run_folders("") == ["alone", "runs/one"]
    assert run_folders("runs/") == ["runs/one"]
    assert run_folders("al") == ["alone"]
    assert run_folders(f"{tmp_path}/runs/t") == []


def test_words_of_a_rule_are_those_that_it_knows():
    assert BY_KEY["task"].spec.kind.values == ("auto", "binary", "multiclass", "regression")
