"""Publishes and fetches files and folders whole.

They are there whole or not at all, on this machine or in an object store.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from pyarrow import fs

from stacktune.errors import ConfigError
from stacktune.storage.archive import pack, unpack
from stacktune.storage.atomic import replacing
from stacktune.storage.filesystem import resolve
from stacktune.storage.uris import first_line, names_place, without_secrets

_ARCHIVE = ".tar"
_BLOCK = 8 * 2**20  # each read of a store is a request


def publish_folder(local: Path, uri: str) -> None:
    """Copy the folder `local` to `uri`.

    It appears there whole: by a rename, or in a store as one archive. A store takes as long for a small file as for a
    large one. What stood at `uri` is replaced. Raises OSError when the place cannot be written, or files of `local`
    vanish meanwhile.
    """
    filesystem, path = resolve(uri)
    if isinstance(filesystem, fs.LocalFileSystem):
        _publish_here(local, Path(path))
    else:
        _publish_in_store(local, filesystem, path)


def _publish_in_store(local: Path, filesystem: fs.FileSystem, path: str) -> None:
    # Packed first: a stream to a store that is broken off leaves what it has got by then.
    with tempfile.TemporaryFile(dir=local.parent) as packed:
        pack(local, packed)
        packed.seek(0)
        with filesystem.open_output_stream(path + _ARCHIVE) as stream:
            shutil.copyfileobj(packed, stream, _BLOCK)


def _publish_here(local: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as aside:
        shutil.copytree(local, aside)


def fetch_folder(uri: str, local: Path) -> None:
    """Copy the published folder at `uri` to `local`.

    `local` must not exist or be empty. Raises FileNotFoundError when no folder is there, OSError when it cannot be
    read.
    """
    filesystem, path = resolve(uri)
    if not _is_there(filesystem, path):
        raise FileNotFoundError(f"there is no published folder at {without_secrets(uri)!r}")
    if isinstance(filesystem, fs.LocalFileSystem):
        shutil.copytree(path, local, dirs_exist_ok=True)
    else:
        _fetch_from_store(filesystem, path, local)


def _fetch_from_store(filesystem: fs.FileSystem, path: str, local: Path) -> None:
    with filesystem.open_input_stream(path + _ARCHIVE, buffer_size=_BLOCK) as packed:
        unpack(packed, local)


def publish_file(local: Path, uri: str) -> None:
    """Copy a file to `uri`, where it appears whole.

    Raises OSError when the place cannot be written.
    """
    filesystem, path = resolve(uri)
    if isinstance(filesystem, fs.LocalFileSystem):
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as aside:
            shutil.copyfile(local, aside)
        return
    with local.open("rb") as file, filesystem.open_output_stream(path) as stream:
        shutil.copyfileobj(file, stream, _BLOCK)


def fetch_file(uri: str, local: Path) -> bool:
    """Copy the file at `uri` to `local`.

    Returns whether there is one.
    """
    filesystem, path = resolve(uri)
    if not filesystem.get_file_info(path).is_file:
        return False
    with filesystem.open_input_stream(path) as stream, local.open("wb") as file:
        shutil.copyfileobj(stream, file, _BLOCK)
    return True


def delete_file(uri: str) -> None:
    """Delete the file at `uri`, if there is one."""
    filesystem, path = resolve(uri)
    if filesystem.get_file_info(path).is_file:
        filesystem.delete_file(path)


def delete_folder(uri: str) -> None:
    """Delete everything below `uri`."""
    filesystem, path = resolve(uri)
    if filesystem.get_file_info(path).type == fs.FileType.Directory:
        filesystem.delete_dir(path)


def names_in(uri: str) -> list[str]:
    """Return the sorted names of what lies at `uri`."""
    filesystem, path = resolve(uri)
    return sorted(one.base_name for one in filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)))


def folders_in(uri: str) -> list[str]:
    """Return the sorted names of published folders at `uri`."""
    filesystem, path = resolve(uri)
    inside = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
    if isinstance(filesystem, fs.LocalFileSystem):
        return sorted(one.base_name for one in inside if not one.is_file and not one.base_name.startswith("."))
    return _archives(inside)


def _archives(inside: Sequence[fs.FileInfo]) -> list[str]:
    return sorted(one.base_name.removesuffix(_ARCHIVE) for one in inside if one.base_name.endswith(_ARCHIVE))


def check_storage(uri: str) -> None:
    """Raise ConfigError unless `uri` can hold files.

    A file must be written to it, read back and deleted.
    """
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
    """Return the URI of something below `uri`.

    A query stays at the end.

    Raises:
        ConfigError: nothing stands behind its scheme; without its slashes that would be a local folder.
    """
    if not names_place(uri):
        raise ConfigError(f"{without_secrets(uri)!r} names no place: give e.g. s3://BUCKET/FOLDER.")
    path, question, query = uri.partition("?")
    return "/".join([path.rstrip("/"), *names]) + question + query


def exists(uri: str) -> bool:
    """Return whether a published folder is at `uri`."""
    return _is_there(*resolve(uri))


def _is_there(filesystem: fs.FileSystem, path: str) -> bool:
    ending = "" if isinstance(filesystem, fs.LocalFileSystem) else _ARCHIVE
    return filesystem.get_file_info(path + ending).type != fs.FileType.NotFound
