"""Folders that are there whole or not at all, on this machine or in an object store."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from pyarrow import fs

from pipeline.data.files import resolve, without_secrets

_MARKER = "_COMPLETE"


def publish_folder(local: Path, uri: str) -> None:
    """Copy the folder `local` to `uri`, where it appears whole: by a rename, or in a store by a marker written last.

    What stood at `uri` is replaced. Raises OSError when the place cannot be written.
    """
    filesystem, path = resolve(uri)
    if isinstance(filesystem, fs.LocalFileSystem):
        _publish_here(local, Path(path))
    else:
        _publish_in_store(local, filesystem, path)


def _publish_in_store(local: Path, filesystem: fs.FileSystem, path: str) -> None:
    if filesystem.get_file_info(path).type == fs.FileType.Directory:
        if _is_whole(filesystem, path):
            filesystem.delete_file(f"{path}/{_MARKER}")
        filesystem.delete_dir(path)
    filesystem.create_dir(path, recursive=True)
    fs.copy_files(str(local), path, source_filesystem=fs.LocalFileSystem(), destination_filesystem=filesystem)
    with filesystem.open_output_stream(f"{path}/{_MARKER}"):
        pass


def _publish_here(local: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(local, aside)
        if place.exists():
            shutil.rmtree(place)
        aside.rename(place)
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(aside)


def fetch_folder(uri: str, local: Path) -> None:
    """Copy the published folder at `uri` to `local`, which must not exist or be empty.

    Raises FileNotFoundError when no whole folder is there.
    """
    filesystem, path = resolve(uri)
    if not _is_whole(filesystem, path):
        raise FileNotFoundError(f"there is no published folder at {without_secrets(uri)!r}")
    _fetch(filesystem, path, local)


def _fetch(filesystem: fs.FileSystem, path: str, local: Path) -> None:
    local.mkdir(parents=True, exist_ok=True)
    fs.copy_files(path, str(local), source_filesystem=filesystem, destination_filesystem=fs.LocalFileSystem())
    (local / _MARKER).unlink(missing_ok=True)


def exists(uri: str) -> bool:
    """Whether a file, or a folder that is whole, is at `uri`."""
    return _is_whole(*resolve(uri))


def _is_whole(filesystem: fs.FileSystem, path: str) -> bool:
    kind = filesystem.get_file_info(path).type
    if kind == fs.FileType.Directory and not isinstance(filesystem, fs.LocalFileSystem):
        return filesystem.get_file_info(f"{path}/{_MARKER}").is_file
    return kind != fs.FileType.NotFound
