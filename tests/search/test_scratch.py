"""A run's folder on a node: private, of this run only, and gone afterwards; real processes and users, no Ray."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stacktune.search.cluster.scratch import IN_USE, MADE_BY, PREFIX, open_scratch, remove_scratch, sweep
from stacktune.trials.provenance import Provenance

OURS = Provenance("ours", "rows")
NAME = f"{PREFIX}ours-rows"
# Opens a folder, says so, and holds it until it is killed.
HOLDS = """
import sys, time
from pathlib import Path
from stacktune.search.cluster.scratch import open_scratch
from stacktune.trials.provenance import Provenance
scratch = open_scratch(Provenance(*sys.argv[2:]), Path(sys.argv[1]))
(scratch.folder / "work").touch()
print(scratch.folder, flush=True)
time.sleep(600)
"""


def holder(parent: Path, run: Provenance) -> subprocess.Popen:
    """Return a process that has the run's folder in use."""
    words = [sys.executable, "-c", HOLDS, str(parent), run.run, run.digest]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == str(parent / f"{PREFIX}{run.run}-{run.digest}")
    return process


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def planted(tmp_path) -> Path:
    """A folder of the run's own name that was there before."""
    folder = tmp_path / NAME
    folder.mkdir(mode=0o700)
    (folder / "checkpoint.json").write_text("planted")
    return folder


def test_a_folder_is_private_and_says_whose_it_is(tmp_path):
    scratch = open_scratch(OURS, tmp_path)
    assert scratch.folder == tmp_path / NAME
    assert stat.S_IMODE(scratch.folder.stat().st_mode) == 0o700
    assert json.loads((scratch.folder / MADE_BY).read_text()) == {"run": "ours", "digest": "rows"}
    second = open_scratch(OURS, tmp_path)
    assert second.folder == scratch.folder
    scratch.close()
    second.close()


def open_to_others(folder: Path) -> None:
    folder.chmod(0o755)


def a_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def a_file(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("planted")


def of_another_run(folder: Path) -> None:
    (folder / MADE_BY).write_text('{"run": "others", "digest": "rows"}')


def a_linked_manifest(folder: Path) -> None:
    (folder.parent / MADE_BY).write_text('{"run": "ours", "digest": "rows"}')
    (folder / MADE_BY).symlink_to(folder.parent / MADE_BY)


def a_linked_lock(folder: Path) -> None:
    (folder / IN_USE).symlink_to(folder.parent / "elsewhere")


def of_another_user(folder: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    os.chown(folder, 65534, 65534)


@pytest.mark.parametrize(
    "planting",
    [open_to_others, a_link, a_file, of_another_run, a_linked_manifest, a_linked_lock, of_another_user],
)
def test_what_was_planted_is_left_alone_and_a_folder_made_elsewhere(tmp_path, planted, planting):
    planting(planted)
    before = planted.lstat()
    scratch = open_scratch(OURS, tmp_path)
    assert scratch.folder.name.startswith(f"{NAME}-")
    assert {path.name for path in scratch.folder.iterdir()} == {IN_USE, MADE_BY}
    assert stat.S_IMODE(scratch.folder.stat().st_mode) == 0o700
    scratch.close()
    assert (planted.lstat().st_mode, planted.lstat().st_uid) == (before.st_mode, before.st_uid)
    assert remove_scratch(replace(OURS, run="ours"), tmp_path) == 0
    assert not scratch.folder.exists()


@pytest.fixture
def held(tmp_path) -> Iterator[subprocess.Popen]:
    """Another run's process at work, in the same parent."""
    process = holder(tmp_path, Provenance("others", "rows"))
    yield process
    end(process)


def test_what_a_killed_run_left_is_swept_and_what_is_in_use_is_not(tmp_path, held, planted):
    killed = holder(tmp_path, Provenance("killed", "rows"))
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}others-rows", f"{PREFIX}killed-rows"}
    end(killed)
    (tmp_path / "stacktune-02000000").mkdir()  # not of this program's making now
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}others-rows", "stacktune-02000000"}
    end(held)
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"stacktune-02000000"}


def test_folders_of_other_users_and_links_are_not_swept(tmp_path, planted):
    if os.geteuid():
        pytest.skip("needs root")
    os.chown(planted, 65534, 65534)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "kept")
    sweep(tmp_path)
    assert (planted / "checkpoint.json").exists()
    assert (tmp_path / "kept" / "file").exists()


def test_a_folder_that_is_swept_between_its_making_and_its_locking_is_made_again(tmp_path, monkeypatch):
    from stacktune.search.cluster import scratch as room

    locked, n_swept = room.take_lock, []

    def sweeps_first(descriptor: int, kind: int) -> bool | None:
        if not n_swept:
            n_swept.append(1)
            sweep(tmp_path)
        return locked(descriptor, kind)

    monkeypatch.setattr(room, "take_lock", sweeps_first)
    scratch = open_scratch(OURS, tmp_path)
    assert n_swept
    assert (scratch.folder / IN_USE).exists()
    assert scratch.folder == tmp_path / NAME
    scratch.close()


def test_a_run_that_is_over_removes_its_folders_though_a_process_of_it_still_ends(tmp_path, held):
    late = holder(tmp_path, OURS)
    assert remove_scratch(OURS, tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}others-rows"}
    end(late)
