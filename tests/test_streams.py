"""What reaches a terminal: any text on any terminal, none that steers it, and no traceback where nobody reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stacktune.data.dataset import load_dataset
from stacktune.report.results import read_results
from stacktune.report.screen import Screen
from stacktune.report.summary import leaderboard_table, show_results
from stacktune.settings.groups import Settings
from stacktune.streams import visible, visible_lines

sys.path.insert(0, str(Path(__file__).parent / "report"))
from finished_run import leaderboard, write_run  # beside the tests of the page that it fills

# Clears the screen, sets the window's title, begins a line anew, ends it, turns the writing round, and rich's markup.
NASTY = "\x1b[2J\x1b]0;owned\x07\r\nError: \x9b31m\u202e[red]x[/] [/]"


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left_and_all_else_is(text):
    shown = visible(text)
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 or one in "\u2028\u2029\u202e\u2066" for one in shown)
    shown.encode()  # halves of characters are gone
    if text.isprintable():
        assert shown == text
    assert visible_lines(text).count("\n") == text.count("\n")


def plain(paint) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    paint(console)
    return console.file.getvalue()


def test_notes_are_one_line_each_whatever_columns_are_called(tmp_path):
    frame = pd.DataFrame({NASTY: [7] * 60, "x": [1.5, 2.5, 0.5] * 20, "y": ["a", NASTY] * 30})
    frame.to_parquet(tmp_path / "table.parquet")
    dataset, _ = load_dataset(Settings(str(tmp_path / "table.parquet"), "y"))

    def say(console: Console) -> None:
        with Screen(console, live=False) as screen:
            for note in dataset.notes:
                screen.note(note)

    said = plain(say)
    assert NASTY.splitlines()[0][:4] not in said
    assert "\\x1b[2J" in said
    assert len(said.splitlines()) == len(dataset.notes)
    assert all(line.isprintable() for line in said.splitlines())


def test_a_run_whose_files_hold_control_characters_is_shown_harmlessly(tmp_path):
    frame = leaderboard()
    frame["error"] = [NASTY] * len(frame)
    folder = write_run(tmp_path / "run\x1b[2J", frame, leader=NASTY, positive=NASTY, registered_name=NASTY)
    results = read_results(folder)
    said = plain(lambda console: show_results(console, results, wall_s=1.0))
    said += plain(lambda console: console.print(leaderboard_table(results, results.leaderboard, "error")))
    assert all(line.isprintable() for line in said.splitlines())
    assert "[red]x[/]" in said, "square brackets are text"


def command(folder: Path, *words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess:
    script = f'set -o pipefail; "$0" -m stacktune "$@" {shell}'
    env = {**os.environ, "COLUMNS": "80", **environment}
    line = ["bash", "-c", script, sys.executable, *words]
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("desk") / "run")


@pytest.mark.parametrize("shell", ["| head -1", "| true", ">&-", "2>&-", "<&- >&- 2>&-", "| (exec <&-)"])
def test_nobody_need_read_what_is_shown(run, shell):
    ended = command(run.parent, "leaderboard", "run", shell=shell)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_what_cannot_be_shown_for_want_of_room_is_an_error(run):
    ended = command(run.parent, "leaderboard", "run", shell="> /dev/full")
    assert ended.returncode == 1
    assert ended.stderr == b"Error: what was to be shown could not be written: No space left on device.\n"


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"TERM": "dumb"}]
)
def test_every_terminal_shows_a_leaderboard(run, environment):
    ended = command(run.parent, "leaderboard", "run", **environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    shown = ended.stdout.decode("latin-1" if "latin-1" in environment.values() else "utf-8")
    assert ("+-" in shown) == ("ascii" in environment.values())
    assert ("µs/row" in shown) == ("ascii" not in environment.values())


def test_errors_are_harmless_too_whoever_words_them(run):
    for words in (["leaderboard", NASTY], [NASTY], ["run", "--output", NASTY, NASTY, NASTY]):
        ended = command(run.parent, *words, PYTHONIOENCODING="ascii")
        assert ended.returncode == 2
        assert b"Traceback" not in ended.stderr
        assert all(line.isprintable() for line in ended.stderr.decode("ascii").splitlines())
