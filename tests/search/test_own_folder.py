"""The folder for Ray's files: short, private, gone with its run, and with a later run where it was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stacktune.errors import SearchError
from stacktune.search.cluster import own_folder as rooms
from stacktune.search.cluster.own_folder import own_folder, parents_for_files, parents_for_sockets, remove_abandoned

HOLD = """
import sys
from pathlib import Path
from stacktune.search.cluster.own_folder import own_folder
with own_folder([Path(sys.argv[1])]) as folder:
    (folder / "session").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """Another process that holds a folder in `tmp_path`."""
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.folder = Path(process.stdout.readline().strip())
        yield process
        process.kill()


def test_only_its_user_may_enter_it_and_it_goes_with_the_block(tmp_path):
    before = os.umask(0)
    try:
        with own_folder([tmp_path]) as folder:
            assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
            folder.chmod(0o777)  # which Ray does
            (folder / "file").write_text("")
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_a_socket_fits_into_the_longest_folder_that_is_taken(tmp_path_factory):
    long = Path("/tmp", "x" * 200)
    environment = {"TMPDIR": str(long), "XDG_RUNTIME_DIR": "/run/user/1000"}
    assert long in parents_for_files(environment)
    assert long not in parents_for_sockets(environment)
    assert parents_for_sockets(environment)[0] == Path("/tmp")
    longest = "/" + "y" * (rooms.MAX_FOLDER_BYTES - len("/stacktune-ray-12345678") - 1)
    assert Path(longest) in parents_for_sockets({"TMPDIR": longest})
    assert Path(longest + "y") not in parents_for_sockets({"TMPDIR": longest + "y"})
    umlauts = "/" + "ü" * (len(longest) // 2 + 1)  # two bytes each
    assert Path(umlauts) not in parents_for_sockets({"TMPDIR": umlauts})


def test_what_ray_hangs_below_it_is_reckoned_as_ray_has_it(tmp_path):
    """The longest path that Ray may ask for in a folder of the most bytes can be bound to."""
    with own_folder([Path("/tmp")]) as folder:
        socket_path = Path(str(folder.parent) + "/r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
        assert len(os.fsencode(socket_path)) == len(os.fsencode(folder.parent)) + rooms.RAYS_OWN_BYTES
        socket_path.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(socket_path))


def test_a_folder_for_temporary_files_that_does_not_exist_is_passed_over(tmp_path):
    with own_folder([tmp_path / "nowhere", tmp_path]) as folder:
        assert folder.parent.parent == tmp_path


def test_a_file_system_without_sockets_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "share").mkdir()
    try_socket = rooms._try_socket

    def refuse_on_share(folder: Path) -> None:
        if folder.parent.name == "share":
            raise PermissionError(1, "Operation not permitted")
        try_socket(folder)

    monkeypatch.setattr(rooms, "_try_socket", refuse_on_share)
    with own_folder([tmp_path / "share", tmp_path]) as folder:
        assert folder.parent.parent == tmp_path
    assert list((tmp_path / "share").iterdir()) == []


def test_files_without_sockets_go_where_no_socket_fits(tmp_path):
    long = tmp_path / ("x" * 200)
    long.mkdir()
    with own_folder([long, tmp_path], holds_sockets=False) as folder:
        assert folder.parent.parent == long
    with own_folder([long, tmp_path]) as folder:
        assert folder.parent.parent == tmp_path


def test_nowhere_to_write_is_one_line_with_a_remedy(tmp_path):
    wanted = r"none that can be written \(.*nowhere: no such file or directory\). Set TMPDIR .* at most \d+ characters"
    with pytest.raises(SearchError, match=wanted), own_folder([tmp_path / "nowhere"]):
        pass


def test_what_a_killed_run_left_goes_with_the_next_and_what_lives_stays(held, tmp_path):
    with own_folder([tmp_path]) as mine:
        assert held.folder.is_dir()
        held.kill()
        held.wait()
        assert held.folder.is_dir()
        with own_folder([tmp_path]):
            assert not held.folder.parent.exists()
            assert mine.is_dir()


def test_what_is_still_written_while_it_is_removed_goes_with_the_next_run(tmp_path, monkeypatch):
    """Processes of a Ray that ends late wrote into folders whose lock was gone by then: they stayed for ever."""
    remove = shutil.rmtree

    def remove_and_find_it_written(path, **how):
        remove(path, **how)
        (path / "logs").mkdir(parents=True)

    with own_folder([tmp_path]) as folder:
        monkeypatch.setattr(shutil, "rmtree", remove_and_find_it_written)
    assert (folder / "logs").is_dir()
    monkeypatch.undo()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_neither_links_nor_folders_without_a_lock_are_removed(tmp_path):
    """Such a name may be anybody's; and a run between making its folder and locking it is alive."""
    target = tmp_path / "precious"
    target.mkdir()
    (target / "lock").write_text("")
    (target / "r").mkdir()
    (tmp_path / "stacktune-ray-link").symlink_to(target)
    (tmp_path / "stacktune-ray-other").mkdir()
    (tmp_path / "stacktune-ray-file").write_text("")
    planted = tmp_path / "stacktune-ray-planted"
    planted.mkdir()
    (planted / "lock").symlink_to(target / "lock")
    remove_abandoned(tmp_path)
    assert (target / "lock").exists()
    assert (target / "r").is_dir()
    assert (tmp_path / "stacktune-ray-other").is_dir()
    assert (tmp_path / "stacktune-ray-file").is_file()
    assert planted.is_dir()


def test_where_there_are_no_locks_a_run_has_its_folder_and_removes_no_others(tmp_path, held, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    held.kill()
    held.wait()
    with own_folder([tmp_path]) as folder:
        assert folder.is_dir()
        assert not (folder.parent / "lock").exists()  # or a run that has locks would remove it
        assert held.folder.is_dir()
    assert not folder.parent.exists()
