"""A disk that fills: one message, what was done is kept, and the run goes on once there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import stacktune
from whole_runs import STACKTUNE, mixed_table

from stacktune.data.write import write_frame
from stacktune.errors import disk_cause, disk_trouble
from stacktune.metrics import get_metric
from stacktune.report.event_file import EventFile
from stacktune.runs import finish
from stacktune.storage.lines import write_whole

# Room for a run of few trials with its model, not for much more.
DISK_BYTES = 64 * 2**20


@pytest.fixture
def disk(request, tmp_path) -> Iterator[Path]:
    """A small disk of its own, of DISK_BYTES unless the test names others."""
    place = tmp_path / "disk"
    place.mkdir()
    n_bytes = getattr(request, "param", DISK_BYTES)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "stacktune-test", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root: a small disk is mounted")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        for n_bytes in (2**20, 2**12):
            try:
                while file.write(bytes(n_bytes)) == n_bytes:
                    pass
            except OSError:
                continue


def copy(disk: Path) -> None:
    (disk.parent / "model").mkdir()
    (disk.parent / "model" / "trees").write_bytes(bytes(2**16))
    shutil.copytree(disk.parent / "model", disk / "model")


WRITERS = {
    "run.json": lambda disk: write_whole(disk / "run.json", "x" * 2**16),
    "leaderboard.parquet": lambda disk: write_frame(pd.DataFrame({"x": np.random.rand(9999)}), str(disk / "l.parquet")),
    "leaderboard.csv": lambda disk: write_frame(pd.DataFrame({"x": np.random.rand(9999)}), str(disk / "l.csv")),
    "oof.npy": lambda disk: np.save(disk / "oof.npy", np.zeros(9999)),
    "a model": copy,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_whatever_is_written_a_full_disk_is_named(disk, write):
    fill(disk)
    with pytest.raises(OSError) as full:  # noqa: PT011 — its kind and its words are each library's own
        write(disk)
    assert "cannot be written: no room is left on the disk." in disk_trouble(full.value)


def test_other_errors_are_no_trouble_of_a_disk():
    assert disk_trouble(FileNotFoundError(2, "No such file or directory", "x")) is None
    assert disk_trouble(OSError("[Errno 111] Connection refused")) is None


@pytest.mark.parametrize("disk", [300_000], indirect=True)
def test_a_disk_that_is_full_at_the_start_is_named_with_what_helps(disk):
    """MLflow's store was blamed, and an option that nobody had given."""
    (disk.parent / "own").mkdir()
    mixed_table().to_parquet(disk.parent / "table.parquet")
    words = ["run", disk.parent / "table.parquet", "--target", "diagnosis", "--max-trials", 1, "--output", disk / "one"]
    ended = subprocess.run(
        list(map(str, [*STACKTUNE, *words])), cwd=disk.parent / "own", capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert "no room is left on the disk" in error
    assert "Make room" in error
    assert "another --output" in error
    assert "leave the option out" not in error


def test_a_full_disk_is_known_by_what_sqlite_says_of_it():
    assert (
        disk_cause(RuntimeError("(sqlite3.OperationalError) database or disk is full")) == "no room is left on the disk"
    )
    assert disk_cause(RuntimeError("no such table")) is None


def test_events_that_a_full_disk_stops_do_not_wait_for_their_own_news(disk):
    """The note that a line could not be written is an event: the run waited for a lock that it held, for ever."""
    told: list[str] = []

    def hear(text: str) -> None:
        told.append(text)
        events.note(text)

    events = EventFile(disk / "events.jsonl", lambda: 1.0, get_metric("roc_auc", "binary"), hear)
    fill(disk)
    writing = threading.Thread(target=events.note, args=("x" * 9999,), daemon=True)
    writing.start()
    writing.join(60)
    assert not writing.is_alive()
    (said,) = told
    assert said.startswith(f"{disk / 'events.jsonl'} cannot be written: ")


def fill_before_the_leader() -> None:
    """Fill the disk when the leader is to be made."""
    build_leader = finish.build_leader

    def build_on_a_full_disk(*those: object) -> object:
        fill(Path.cwd())
        return build_leader(*those)

    finish.build_leader = build_on_a_full_disk


def test_a_disk_that_is_full_at_the_very_end_costs_nothing_but_the_wait_for_room(disk):
    mixed_table().to_parquet(disk / "table.parquet")
    words = ["run", "table.parquet", "--target", "diagnosis", "--families", "linear", "--max-trials", "2"]
    ended = stacktune(*words, "--cpus", 1, "--output", "runs/one", cwd=disk, prepare=fill_before_the_leader)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    (error,) = ended.stderr.splitlines()
    assert error.startswith("Error: ")
    assert "cannot be written: no room is left on the disk." in error
    assert "what is done is kept: stacktune run --resume runs/one goes on with it" in ended.stdout
    (disk / "filler").unlink()
    resumed = stacktune("run", "--resume", "runs/one", "--cpus", 1, cwd=disk)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert json.loads((disk / "runs/one/run.json").read_text())["n_completed"] == 2
