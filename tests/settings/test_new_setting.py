"""Adding a setting is adding its declaration: some lines of one file, in a copy of the project, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stacktune.package import copy_package

# A setting that a resumed run may change, one that it may not, and one with a secret; none is the first of its kind.
DECLARATIONS = {
    '    controller: Annotated[': '''    n_idle_rungs: Annotated[
        int, Spec(whole(1, 9), "N", "Rungs without gain after which a family rests.", key="idle_rungs", resume=FREE)
    ] = 4
    pace: Annotated[str, Spec(one_of("slow", "quick"), "PACE", "How bold the search is.")] = "slow"
''',
    '    no_code: Annotated[': '''    hook: Annotated[
        str | None, Spec(TEXT, "URI", "Whom to tell of a new best.", without="nobody", may_hold_secret=True)
    ] = None
''',
}  # fmt: skip

# What is tried of it in the copy, whose code another process imports.
TRIED = """
import dataclasses
from pathlib import Path
from stacktune.errors import ConfigError
from stacktune.settings.read import load_settings, to_yaml, without_secrets_in
from stacktune.settings.resuming import kept_settings, resumed

def refusal(action, *words):
    try:
        action(*words)
    except ConfigError as error:
        return str(error)
    raise AssertionError(f"{words} were not refused")

TABLE = {"data": "x.parquet", "target": "y", "max_trials": 5}

# Its default, a flag, and a file.
settings = load_settings(TABLE)
assert (settings.n_idle_rungs, settings.pace, settings.hook) == (4, "slow", None)
assert load_settings({**TABLE, "idle_rungs": "7", "pace": "quick"}).n_idle_rungs == 7
Path("run.yaml").write_text("idle_rungs: 3\\npace: quick\\n")
assert dataclasses.astuple(load_settings({**TABLE, "idle_rungs": 2}, "run.yaml")).count("quick") == 1
assert load_settings(TABLE, "run.yaml").n_idle_rungs == 3

# Its rule.
assert refusal(load_settings, {**TABLE, "idle_rungs": 0}) == "--idle-rungs must be a whole number from 1 to 9, not 0."
assert refusal(load_settings, {**TABLE, "pace": "bold"}) == "--pace must be slow or quick, not 'bold'."
assert "Did you mean 'idle_rungs'?" in refusal(load_settings, {**TABLE, "idle_rung": 3})

# What is written of it.
hook = "https://me:very-secret@host/hook"
settings = load_settings({**TABLE, "idle_rungs": 3, "pace": "quick", "hook": hook})
written = to_yaml(without_secrets_in(settings))
assert "idle_rungs: 3\\n" in written and "pace: quick\\n" in written and "hook: https://***@host/hook\\n" in written
Path("config.yaml").write_text(written)
assert load_settings({"hook": hook}, "config.yaml") == settings

# What a resumed run lets through.
def go_on(kept, **flags):
    return resumed(load_settings(flags, "config.yaml"), flags, Path("run"), kept, {"experiment": "x", "register": "x"})

kept = kept_settings(settings)
assert "very-secret" not in str(kept) and "n_idle_rungs" not in kept
assert "give --hook again" in refusal(go_on, kept)
assert go_on(kept, hook=hook).pace == "quick"
assert go_on(kept, hook=hook, idle_rungs=5).n_idle_rungs == 5
changed = refusal(lambda: go_on(kept, hook=hook, pace="slow"))
assert "a resumed run keeps its settings, but --pace is 'slow' and was 'quick'" in changed

# A run that was begun before there was such a setting goes on with its default.
before = {name: value for name, value in kept.items() if name not in ("pace", "hook")}
Path("config.yaml").write_text(to_yaml(load_settings(TABLE)))
assert go_on(before).pace == "slow"
assert "--pace is 'quick' and was 'slow'" in refusal(lambda: go_on(before, pace="quick"))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project with three settings more, in one file."""
    folder = tmp_path_factory.mktemp("copy")
    file = copy_package(folder) / "settings" / "groups.py"
    text = file.read_text()
    for place, declaration in DECLARATIONS.items():
        assert text.count(place) == 1
        text = text.replace(place, declaration + place)
    file.write_text(text)
    return folder


def python(copy: Path, *words: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "80"}
    return subprocess.run([sys.executable, *words], cwd=copy, env=env, capture_output=True, text=True, timeout=300)


def test_its_default_values_rule_file_and_resuming_come_from_the_declaration(copy):
    result = python(copy, "-c", TRIED)
    assert result.returncode == 0, result.stderr


def test_the_command_offers_it_in_its_section_and_refuses_by_its_rule(copy):
    shown = python(copy, "-m", "stacktune", "run", "--help").stdout
    search = shown.partition("\nSearch:\n")[2].partition("\n\n")[0]
    said = " ".join(search.split())
    assert "--idle-rungs N Rungs without gain after which a family rests. [default: 4]" in said
    assert "--pace PACE How bold the search is. [default: slow]" in said
    assert "--hook URI" in shown.partition("\nTracking:\n")[2].partition("\n\n")[0]
    refused = python(copy, "-m", "stacktune", "run", "x.parquet", "--target", "y", "--pace", "bold")
    assert (refused.returncode, refused.stderr) == (2, "Error: --pace must be slow or quick, not 'bold'.\n")


def test_no_other_file_of_the_copy_is_touched(copy):
    ours = copy_package(copy / "again")
    theirs = copy / ours.relative_to(copy / "again")
    files = {path.relative_to(ours) for path in ours.rglob("*.py")}
    assert files == {path.relative_to(theirs) for path in theirs.rglob("*.py")}
    changed = {str(file) for file in files if (ours / file).read_bytes() != (theirs / file).read_bytes()}
    assert changed == {"settings/groups.py"}
