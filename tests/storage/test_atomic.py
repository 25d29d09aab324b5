"""What is written aside and renamed: whole or not at all, whatever happens in between."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stacktune.storage.atomic import making, move_to_new, remove_asides, replacing
from stacktune.storage.lines import write_whole


def write(path: Path, content: str, as_folder: bool) -> None:
    if as_folder:
        path.mkdir()
    (path / "inside" if as_folder else path).write_text(content)


def content_of(path: Path) -> str:
    return (path / "inside" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("way", [replacing, making])
def test_what_was_written_is_there_and_nothing_beside_it(tmp_path, way, as_folder):
    with way(tmp_path / "x") as aside:
        write(aside, "new", as_folder)
        assert not (tmp_path / "x").exists()
    assert content_of(tmp_path / "x") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("as_folder", [False, True])
def test_what_was_there_gives_way_to_one_and_not_to_the_other(tmp_path, as_folder):
    write(tmp_path / "x", "old", as_folder)
    with making(tmp_path / "x") as aside:
        write(aside, "late", as_folder)
    assert content_of(tmp_path / "x") == "old"
    with replacing(tmp_path / "x") as aside:
        write(aside, "new", as_folder)
    assert content_of(tmp_path / "x") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("way", [replacing, making])
def test_a_block_that_raises_changes_nothing(tmp_path, way, as_folder):
    write(tmp_path / "x", "old", as_folder)

    def fail():
        with way(tmp_path / "x") as aside:
            write(aside, "half", as_folder)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert content_of(tmp_path / "x") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


KILLED = """
import os, sys
from pathlib import Path
from stacktune.storage.atomic import replacing
with replacing(Path(sys.argv[1])) as aside:
    aside.write_text("half")
    os._exit(9)
"""


@pytest.mark.parametrize("name", ["run.json", "a[b]*?", "ü" * 120])
def test_a_process_that_dies_in_between_leaves_the_old_file_and_what_it_left_is_known(tmp_path, name):
    file, other = tmp_path / name, tmp_path / f".{name[:4]}.other"
    file.write_text("old")
    other.write_text("another's")
    assert subprocess.run([sys.executable, "-c", KILLED, str(file)]).returncode == 9
    assert file.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3
    remove_asides(file)
    assert {path.name for path in tmp_path.iterdir()} == {file.name, other.name}


def test_two_that_write_the_same_do_not_meet(tmp_path):
    """With one name for all, the first to be done took the other's half, and the other found nothing to rename."""
    with replacing(tmp_path / "x") as first, replacing(tmp_path / "x") as second:
        first.write_text("first")
        second.write_text("second")
    assert content_of(tmp_path / "x") == "first"  # whose block ended last


def test_a_link_gives_way_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "x").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "x", "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "x").is_symlink()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_new_file_is_made_where_there_are_no_hard_links(code, tmp_path, monkeypatch):
    """Such as on a memory stick, on some shares and in some containers."""

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "aside", tmp_path / "x.db"
    source.write_text("new")
    assert move_to_new(source, target)
    assert target.read_text() == "new"
    source.write_text("later")
    assert not move_to_new(source, target)
    assert target.read_text() == "new"  # another run has made it in between


def test_a_file_that_another_process_made_in_between_stays(tmp_path):
    source, target = tmp_path / "aside", tmp_path / "x.db"
    source.write_text("mine")
    target.write_text("theirs")
    assert not move_to_new(source, target)
    assert target.read_text() == "theirs"
