"""What is believed of a disk, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stacktune.storage.folders import (
    digest_of_file,
    digest_of_folder,
    is_folder,
    is_private,
    make_anew,
    read_plain,
    remove,
)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_bytes(b"content")
    return folder


def test_content_and_its_place_are_in_a_digest_and_nothing_else(folder, tmp_path):
    before = digest_of_folder(folder)
    os.utime(folder / "below" / "file", (1, 1))
    assert digest_of_folder(folder.rename(tmp_path / "moved")) == before
    changed = {digest_of_folder(tmp_path / "moved", "salt")}
    (tmp_path / "moved" / "more").write_bytes(b"")
    changed.add(digest_of_folder(tmp_path / "moved"))
    (tmp_path / "moved" / "more").unlink()
    (tmp_path / "moved" / "below" / "file").rename(tmp_path / "moved" / "file")
    changed.add(digest_of_folder(tmp_path / "moved"))
    (tmp_path / "moved" / "file").write_bytes(b"other")
    changed.add(digest_of_folder(tmp_path / "moved"))
    assert len(changed - {before}) == 4


def test_links_and_pipes_are_not_read(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder / "below" / "file")
    (tmp_path / "to a folder").symlink_to(folder)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none", "to a folder", "folder"):
        assert read_plain(tmp_path / name) is None
        assert digest_of_file(tmp_path / name) is None
    assert not is_folder(tmp_path / "to a folder")
    assert digest_of_folder(tmp_path / "to a folder") is None
    (folder / "link").symlink_to(folder / "below")
    assert digest_of_folder(folder) is None


def test_only_a_folder_that_nobody_else_may_enter_is_private(folder):
    for mode, expected in ((0o700, True), (0o755, False), (0o710, False), (0o702, False)):
        folder.chmod(mode)
        assert is_private(folder) == expected
    assert not is_private(folder / "none")


def test_what_belongs_to_another_user_is_not_private_and_told_by_its_content(folder):
    """A shared disk may give all files to nobody."""
    if os.geteuid():
        pytest.skip("needs root")
    before = digest_of_folder(folder)
    folder.chmod(0o700)
    for path in (folder, folder / "below", folder / "below" / "file"):
        os.chown(path, 65534, 65534)
    assert not is_private(folder)
    assert digest_of_folder(folder) == before


def test_of_a_link_only_the_link_goes(folder, tmp_path):
    for name in ("link", "dangling"):
        (tmp_path / name).symlink_to(folder if name == "link" else tmp_path / "nowhere")
        made = make_anew(tmp_path / name)
        assert is_folder(made)
        assert list(made.iterdir()) == []
    assert (folder / "below" / "file").exists()
    (tmp_path / "a file").touch()
    assert is_folder(make_anew(tmp_path / "a file"))
    remove(folder)
    remove(folder)
    assert not folder.exists()


def test_a_file_is_not_read_into_memory_to_be_told_by_its_digest(tmp_path):
    """A forest can be larger than what is free."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**28)
    code = (
        "import resource, sys; from pathlib import Path; from stacktune.storage.folders import digest_of_file;"
        "resource.setrlimit(resource.RLIMIT_AS, (2**27, 2**27)); print(digest_of_file(Path(sys.argv[1])))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "large")], capture_output=True, text=True)
    assert (ended.returncode, len(ended.stdout.strip())) == (0, 32), ended.stderr
