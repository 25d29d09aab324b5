from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from stacktune.errors import ConfigError
from stacktune.storage.uris import first_line
from stacktune.tracking.client import Attempt, connect


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


def test_a_reason_is_cut_between_words_as_those_of_storages_are():
    """One helper cut within a word and kept the stop; another, for the same sentences, did neither."""
    for text, reason in (
        ("The disk is full.", "The disk is full"),
        ("no room " * 99, "no room " * 29 + "no room …"),
        ("", "OSError"),
    ):
        with Attempt() as attempt:
            raise OSError(text)
        assert attempt.reason == first_line(OSError(text)) == reason


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
