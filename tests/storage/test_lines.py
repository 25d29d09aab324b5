"""Append-only files of JSON lines."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.errors import ConfigError
from stacktune.search.journal import Journal
from stacktune.storage.lines import LineFile, read_lines

VALUES = st.recursive(st.none() | st.floats(allow_nan=False) | st.integers() | st.text(), st.lists, max_leaves=5)


@given(values=st.lists(VALUES, max_size=5), n_cut=st.integers(0, 30))
def test_what_was_written_whole_is_read_and_a_torn_line_is_cut_off(tmp_path_factory, values, n_cut):
    path = tmp_path_factory.mktemp("lines") / "file.jsonl"
    file = LineFile(path, print)
    for value in values:
        file.append(value)
    file.close()
    path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - n_cut)])
    whole = list(read_lines(path))
    assert whole == values[: len(whole)]
    again = LineFile(path, print)
    again.append("after")
    again.close()
    assert list(read_lines(path)) == [*whole, "after"]


def test_two_processes_cannot_write_one_file(tmp_path):
    file = LineFile(tmp_path / "file.jsonl", print)
    other = (
        f"from stacktune.storage.lines import LineFile, Path; LineFile(Path({str(tmp_path / 'file.jsonl')!r}), print)"
    )
    refused = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    assert "ConfigError: a run is at work in" in refused.stderr
    with pytest.raises(ConfigError, match="wait for it, or stop it first"):
        LineFile(tmp_path / "file.jsonl", print)
    file.close()
    LineFile(tmp_path / "file.jsonl", print).close()


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    file = LineFile(tmp_path / "file.jsonl", print)
    assert not file.is_locked
    file.append(1)
    file.close()
    assert list(read_lines(tmp_path / "file.jsonl")) == [1]
    said = []
    Journal(tmp_path / "journal.jsonl", lambda: 0.0, said.append).close()
    assert len(said) == 1
    assert f"the disk of {tmp_path} has no file locks" in said[0]


def test_with_locks_nothing_is_said_of_them(tmp_path):
    said = []
    Journal(tmp_path / "journal.jsonl", lambda: 0.0, said.append).close()
    assert said == []


def test_nothing_is_written_once_it_is_closed(tmp_path):
    file = LineFile(tmp_path / "file.jsonl", print)
    file.append(1)
    file.close()
    file.append(2)
    assert list(read_lines(tmp_path / "file.jsonl")) == [1]


FULL = """
import resource, sys
from stacktune.storage.lines import LineFile, Path
said = []
file = LineFile(Path(sys.argv[1]), said.append)
file.append("x" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
for _ in range(3):
    file.append("y" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
file.append("z")
print(len(said), said[0])
"""


def test_a_full_disk_costs_the_values_that_did_not_fit_and_is_said_once(tmp_path):
    words = [sys.executable, "-c", FULL, str(tmp_path / "file.jsonl")]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("1 ")
    assert list(read_lines(tmp_path / "file.jsonl")) == ["x" * 100, "z"]
