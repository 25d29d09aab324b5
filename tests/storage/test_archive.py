"""Folders packed into one stream."""

from __future__ import annotations

import io
import tarfile

import pytest

from stacktune.storage.archive import pack, unpack


def test_a_folder_comes_back_as_it_was(tmp_path):
    (tmp_path / "made" / "below" / "empty").mkdir(parents=True)
    (tmp_path / "made" / "below" / "größe {}.bin").write_bytes(bytes(100_000))
    packed = io.BytesIO()
    pack(tmp_path / "made", packed)
    unpack(io.BytesIO(packed.getvalue()), tmp_path / "back")
    assert (tmp_path / "back" / "below" / "größe {}.bin").read_bytes() == bytes(100_000)
    assert (tmp_path / "back" / "below" / "empty").is_dir()


def test_nothing_is_written_outside_of_the_folder(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    with pytest.raises(OSError, match="outside the destination"):
        unpack(io.BytesIO(packed.getvalue()), tmp_path / "back")
    assert not (tmp_path / "outside").exists()
