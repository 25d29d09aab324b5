"""Files and folders that are there whole or not at all, on this machine or in an object store."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from pyarrow import fs

from pipeline.data.files import first_line, resolve, without_secrets
from pipeline.errors import ConfigError

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


def publish_file(local: Path, uri: str) -> None:
    """Copy a file to `uri`, where it appears whole; OSError when the place cannot be written."""
    filesystem, path = resolve(uri)
    parent = path.rpartition("/")[0]
    if isinstance(filesystem, fs.LocalFileSystem):
        Path(parent).mkdir(parents=True, exist_ok=True)
        aside = Path(parent) / f".{Path(path).name}.{os.getpid()}"
        shutil.copyfile(local, aside)
        aside.replace(path)
        return
    with filesystem.open_output_stream(path) as stream:
        stream.write(local.read_bytes())


def fetch_file(uri: str, local: Path) -> bool:
    """Copy the file at `uri` to `local`; return whether there is one."""
    filesystem, path = resolve(uri)
    if not filesystem.get_file_info(path).is_file:
        return False
    with filesystem.open_input_stream(path) as stream:
        local.write_bytes(stream.read())
    return True


def folders_in(uri: str) -> list[str]:
    """Return the names of the whole folders at `uri`, in alphabetical order."""
    filesystem, path = resolve(uri)
    inside = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(one.base_name for one in inside if not one.is_file and _is_whole(filesystem, one.path))


def check_storage(uri: str) -> None:
    """Raise ConfigError unless a file can be written to `uri`, read back and deleted."""
    probe = join(uri, f".probe-{uuid.uuid4().hex}")
    try:
        filesystem, path = resolve(probe)
        if isinstance(filesystem, fs.LocalFileSystem):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with filesystem.open_output_stream(path) as stream:
            stream.write(b"probe")
        with filesystem.open_input_stream(path) as stream:
            is_same = stream.read() == b"probe"
        filesystem.delete_file(path)
    except OSError as error:
        raise ConfigError(
            f"--storage {without_secrets(uri)!r} cannot be written: {first_line(error)}. "
            "Give a folder that every machine sees, or s3://BUCKET/FOLDER with the right to write there."
        ) from None
    if not is_same:
        raise ConfigError(f"--storage {without_secrets(uri)!r} does not give back what is written to it.")


def join(uri: str, *names: str) -> str:
    """Return the URI of something below `uri`; a query stays at the end."""
    path, question, query = uri.partition("?")
    return "/".join([path.rstrip("/"), *names]) + question + query


def exists(uri: str) -> bool:
    """Whether a file, or a folder that is whole, is at `uri`."""
    return _is_whole(*resolve(uri))


def _is_whole(filesystem: fs.FileSystem, path: str) -> bool:
    kind = filesystem.get_file_info(path).type
    if kind == fs.FileType.Directory and not isinstance(filesystem, fs.LocalFileSystem):
        return filesystem.get_file_info(f"{path}/{_MARKER}").is_file
    return kind != fs.FileType.NotFound
