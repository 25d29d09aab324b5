"""A log on a disk: added to, small, and no trouble to whoever writes it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stacktune.storage.log_file import LogFile


@pytest.fixture
def places(tmp_path):
    return tmp_path / "run.log", tmp_path / "run.log.1"


def test_text_is_added_to_what_an_earlier_session_wrote(places):
    for text in ("first\n", "second \ud800\n"):
        file = LogFile(*places, pytest.fail)
        file.write(text)
        file.close()
        file.write("too late\n")
    assert places[0].read_text() == "first\nsecond \\ud800\n"


def test_it_stays_within_its_bytes_and_keeps_the_latest(places):
    file = LogFile(*places, pytest.fail, max_bytes=100)
    for number in range(100):
        file.write(f"line {number}\n")
    file.close()
    assert places[0].read_text().endswith("line 99\n")
    kept = (places[1].read_text() + places[0].read_text()).splitlines()
    assert kept == [f"line {number}" for number in range(100 - len(kept), 100)]
    assert all(0 < place.stat().st_size <= 100 for place in places)
    again = LogFile(*places, pytest.fail, max_bytes=100)
    again.write("x" * 99 + "\n")
    assert places[1].read_text().endswith("line 99\n")


def test_what_a_link_leads_to_is_not_written(places, tmp_path):
    """A run's folder may come from anywhere."""
    (tmp_path / "precious").write_text("kept")
    places[0].symlink_to(tmp_path / "precious")
    LogFile(*places, pytest.fail).write("text\n")
    assert (tmp_path / "precious").read_text() == "kept"
    assert places[0].read_text() == "text\n"


def test_a_place_that_cannot_be_written_is_said_once_and_tried_again(places):
    said = []
    places[0].mkdir()
    file = LogFile(*places, said.append)
    file.write("lost\n")
    file.write("lost\n")
    assert said == ["is a directory"]
    places[0].rmdir()
    file.write("kept\n")
    assert places[0].read_text() == "kept\n"


FULL = """
import resource, signal, sys
from pathlib import Path
from stacktune.storage.log_file import LogFile
said = []
file = LogFile(Path(sys.argv[1]), Path(sys.argv[2]), said.append)
file.write("x" * 99 + "\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
for _ in range(3):
    file.write("y" * 99 + "\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
file.write("z\\n")
print(len(said), said[0])
"""


def test_a_full_disk_costs_the_lines_that_did_not_fit_and_is_said_once(places):
    words = [sys.executable, "-c", FULL, *map(str, places)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("1 ")
    assert places[0].read_text().splitlines() == ["x" * 99, "z"]
