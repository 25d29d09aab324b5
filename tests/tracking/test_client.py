from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from stacktune.errors import ConfigError
from stacktune.tracking.client import Attempt, _move_to_new, connect


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (MlflowException("no such thing", error_code=INVALID_PARAMETER_VALUE), True),
        (MlflowException("API request failed with exception"), False),
        (sqlite3.OperationalError("database is locked"), False),
        (ConnectionResetError("reset"), False),
        (PermissionError("not yours"), True),
        (ModuleNotFoundError("No module named 'boto3'"), True),
    ],
)
def test_what_a_store_says_is_held_and_judged(error: Exception, refused: bool):
    with Attempt() as attempt:
        raise error
    assert attempt.error is error
    assert attempt.refused is refused


@pytest.mark.parametrize("error", [TypeError("ours"), KeyError("ours"), ConfigError("ours"), KeyboardInterrupt("ours")])
def test_mistakes_of_this_program_go_on_up(error: BaseException):
    with pytest.raises(type(error), match="ours"), Attempt():
        raise error


def test_an_attempt_that_works_holds_nothing():
    with Attempt() as attempt:
        pass
    assert attempt.error is None
    assert not attempt.refused


def test_a_reason_is_one_short_line_without_credentials():
    with Attempt() as attempt:
        raise MlflowException("no answer from http://me:secret@host/\n" + "x" * 9000)
    assert attempt.reason == "no answer from http://***@host/"


def test_a_new_database_is_made_whole_or_not_at_all(tmp_path):
    """A run killed while MLflow made its tables once left a database that no run could use."""
    making = tmp_path / "making"
    making.mkdir()
    code = f"from stacktune.tracking.client import connect; connect('sqlite:///{tmp_path}/kept/x.db')"
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(making)}) as process:
        while sum(file.stat().st_size for file in making.rglob("x.db")) < 300_000:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert list((tmp_path / "kept").iterdir()) == []
    assert [one.name for one in connect(f"sqlite:///{tmp_path}/kept/x.db").search_experiments()] == ["Default"]
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["x.db"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_new_database_is_made_where_there_are_no_hard_links(code, tmp_path, monkeypatch):
    """Such as on a memory stick, on some shares and in some containers."""

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "aside", tmp_path / "x.db"
    source.write_text("new")
    _move_to_new(source, target)
    assert target.read_text() == "new"
    source.write_text("later")
    _move_to_new(source, target)
    assert target.read_text() == "new"  # another run has made it in between


def test_a_database_that_another_run_made_in_between_stays(tmp_path):
    source, target = tmp_path / "aside", tmp_path / "x.db"
    source.write_text("mine")
    target.write_text("theirs")
    _move_to_new(source, target)
    assert target.read_text() == "theirs"
