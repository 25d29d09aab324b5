"""What libraries say goes into the run's log and off the screen, and nothing is left of that when the run is over."""

from __future__ import annotations

import logging
import re
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from stacktune.errors import ConfigError
from stacktune.logs import MAX_CHARS, RunLog, hear, is_of_heard, shown
from stacktune.search.trial_log import log_end
from stacktune.storage.uris import keep_secret
from stacktune.trials.attempt import failed
from stacktune.trials.trial import Trial

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) +(\S+) ([\w.]+): (.*)")


@dataclass(frozen=True)
class Place:
    """Where a log is written."""

    folder: Path

    def open(self, log: RunLog) -> None:
        log.open(self.folder / "run.log", self.folder / "run.log.1")

    def text(self) -> str:
        return (self.folder / "run.log").read_text()

    def lines(self) -> list[tuple[str, ...]]:
        """Level, trial, logger and text of each record."""
        whole = [line for line in self.text().splitlines() if not line.startswith("    ")]
        return [LINE.fullmatch(line).groups() for line in whole]


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def loud():
    """A library that writes to the screen by a handler of its own, as Ray and MLflow do."""
    logger = logging.getLogger("ray")
    before = logger.level, logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [logging.StreamHandler(sys.stderr)]
    logger.setLevel(logging.ERROR)
    yield logger
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1:]


def test_a_library_is_heard_in_the_log_and_not_on_the_screen(place, loud, capsys):
    with RunLog() as log:
        hear("ray")
        logging.getLogger("ray.tune.execution").info("before there is a folder")
        place.open(log)
        loud.addHandler(logging.StreamHandler(sys.stderr))  # as Ray does when it starts
        loud.propagate = False
        hear("ray")
        loud.warning("a worker died")
    assert place.lines() == [
        ("INFO", "-", "ray.tune.execution", "before there is a folder"),
        ("WARNING", "-", "ray", "a worker died"),
    ]
    assert capsys.readouterr().err == ""


def test_nothing_is_left_behind_in_a_program_that_made_a_run_in_a_thread(place, loud):
    def state() -> tuple[object, ...]:
        ours = logging.getLogger("stacktune")
        its = loud.level, loud.propagate, tuple(loud.handlers)
        return its, tuple(logging.root.handlers), ours.level, tuple(ours.handlers), warnings.showwarning

    def run() -> None:
        with RunLog() as log:
            place.open(log)
            hear("ray", "mlflow", "optuna")
            loud.error("inside")

    before = state()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert state() == before
    loud.error("outside")
    assert [line[-1] for line in place.lines()] == ["inside"]


def test_of_two_runs_at_once_the_later_to_end_puts_things_back(place, loud):
    handlers = list(loud.handlers)
    with RunLog():
        with RunLog():
            hear("ray")
        assert loud.handlers != handlers
    assert loud.handlers == handlers


def test_lines_hide_secrets_steer_no_terminal_and_cannot_be_forged(place):
    keep_secret("postgresql://me:a pass word@db/x")
    with RunLog() as log:
        place.open(log)
        ours = logging.getLogger("stacktune.runs")
        ours.info("no answer from http://me:secret@host/x, nor with a pass word")
        ours.info("column \x1b[31mred\x9b\n2026-01-01T00:00:00.000Z ERROR   - ours: forged")
        ours.info("x" * (MAX_CHARS + 5))
    text = place.text()
    assert "secret" not in text
    assert "a pass word" not in text
    assert "\x1b" not in text
    assert "\\x1b[31mred\\x9b\n    2026-01-01" in text
    assert len(place.lines()) == 3
    assert place.lines()[-1][-1].endswith(" characters more)")
    assert len(text) < MAX_CHARS + 1_000


def test_a_trial_that_failed_leaves_its_traceback_under_its_name(place):
    with RunLog() as log:
        place.open(log)
        log_end(failed(Trial("mlp-0003", "mlp", {}), "ValueError: no\nTraceback (most recent call last):\n  File x"))
    assert place.lines() == [("WARNING", "mlp-0003", "stacktune.search.trial_log", "failed: ValueError: no")]
    assert "\n    Traceback (most recent call last):\n" in place.text()


class Unspeakable:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_message_that_its_library_spelled_wrong_costs_its_text_alone(place, capsys, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's own
    with RunLog() as log:
        place.open(log)
        for args in (("text",), (Unspeakable(),)):
            logging.getLogger("stacktune.x").warning("%d", *args)
        logging.getLogger("stacktune.x").warning("after")
    assert place.text().count("a message of stacktune.x (test_logs.py:") == 2
    assert place.lines()[-1][-1] == "after"
    assert capsys.readouterr().err == ""


def test_warnings_of_python_are_logged_and_those_of_quiet_libraries_not_shown(place):
    def warn() -> None:
        with RunLog() as log:
            place.open(log)
            warnings.warn("look at this", UserWarning, stacklevel=1)
            warnings.warn_explicit("deep inside", UserWarning, "/x/site-packages/ray/tune/y.py", 3)

    with pytest.warns(UserWarning, match="look at this") as seen:
        warn()
    assert [str(one.message) for one in seen] == ["look at this"]
    assert [line[-1].partition(" (")[0] for line in place.lines()] == [
        "UserWarning: look at this",
        "UserWarning: deep inside",
    ]


def test_a_library_is_known_by_its_folder_and_not_by_its_users():
    assert is_of_heard(UserWarning, "/home/ray/anaconda3/lib/python3.11/site-packages/optuna/_experimental.py")
    assert not is_of_heard(UserWarning, "/home/ray/anaconda3/lib/python3.11/site-packages/sklearn/base.py")
    assert not is_of_heard(UserWarning, "/home/ray/work/table.py")


def test_what_else_would_be_shown_where_nobody_listens_is_still_shown(place, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's own
    with RunLog() as log:
        place.open(log)
        hear("mlflow")
        logging.getLogger("botocore").warning("your token expires")
        logging.getLogger("mlflow").warning("quietly")
    assert capsys.readouterr().err == "your token expires\n"
    assert [line[2] for line in place.lines()] == ["botocore", "mlflow"]


def test_sessions_follow_one_another_and_an_end_is_told(place):
    def run(error: BaseException) -> None:
        with RunLog() as log:
            place.open(log)
            raise error

    for error in (ZeroDivisionError("ours"), ConfigError("theirs"), KeyboardInterrupt("twice")):
        with pytest.raises(type(error)):
            run(error)
    assert [line[-1] for line in place.lines()] == [
        "the run ended with ZeroDivisionError: ours",
        "the run ended with ConfigError: theirs",
        "the run ended with KeyboardInterrupt: twice",
    ]
    assert place.text().count("Traceback (most recent call last)") == 1


def test_a_log_that_cannot_be_written_is_said_once_and_breaks_nothing(place):
    said = []
    with RunLog(said.append) as log:
        logging.getLogger("stacktune").info("early")
        log.open(place.folder / "nowhere" / "run.log", place.folder / "nowhere" / "run.log.1")
        logging.getLogger("stacktune").info("late")
    assert said == [
        f"{place.folder}/nowhere/run.log cannot be written (no such file or directory): "
        "the run goes on without what it would say"
    ]


def test_a_verbose_screen_shows_it_line_by_line_and_nothing_twice():
    lines: list[str] = []
    with RunLog(), shown(lines.append):
        logging.getLogger("stacktune.x").info("one\ntwo", extra={"trial": "mlp-0001"})
        logging.getLogger("stacktune.observers").info("what the screen says itself")
    assert lines == ["INFO mlp-0001 stacktune.x: one", "    two"]
