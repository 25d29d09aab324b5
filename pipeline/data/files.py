"""Which files a path or URI names, on this machine or in an object store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from pipeline.errors import DataError, nearest

_PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
_CSV_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class Files:
    """The files of one table.

    paths: in alphabetical order, as `filesystem` spells them.
    base: the folder that they were found in, below which `key=value` folders are columns; None for a single file.
    """

    filesystem: fs.FileSystem
    paths: tuple[str, ...]
    base: str | None
    is_csv: bool


def resolve(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of a path or URI and the path in it.

    Raises DataError for a URI that pyarrow cannot follow: no such scheme, or no way to the store.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), Path(uri).expanduser().absolute().as_posix()
    try:
        return fs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise DataError(
            f"{uri!r} cannot be reached: {first_line(error)}. Give a path, or a URI as s3://, gs://, file://."
        ) from None


def first_line(error: Exception) -> str:
    """Return what an error of pyarrow says, in one line without its final stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def find_files(uri: str) -> Files:
    """Return the files that `uri` names; DataError when there is none."""
    filesystem, path = resolve(uri)
    try:
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.Directory:
            return _files_of_folder(uri, filesystem, path)
    except OSError as error:
        raise DataError(f"{uri!r} cannot be reached: {first_line(error)}.") from None
    if info.type == fs.FileType.NotFound:
        raise DataError(f"there is no file or folder {uri!r}.{_nearest_sibling(filesystem, path)}")
    return Files(filesystem, (path,), None, path.lower().endswith(_CSV_ENDINGS))


def _files_of_folder(uri: str, filesystem: fs.FileSystem, path: str) -> Files:
    inside = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    visible = [info.path for info in inside if info.is_file and not _is_hidden(info.path[len(path) :])]
    for endings, is_csv in ((_PARQUET_ENDINGS, False), (_CSV_ENDINGS, True)):
        chosen = sorted(name for name in visible if name.lower().endswith(endings))
        if chosen:
            return Files(filesystem, tuple(chosen), path, is_csv)
    raise DataError(
        f"the folder {uri!r} holds no .parquet and no .csv file. Name a file, or a folder of Parquet files."
    )


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(("_", ".")) for part in relative.split("/") if part and "=" not in part)


def _nearest_sibling(filesystem: fs.FileSystem, path: str) -> str:
    folder, _, name = path.rpartition("/")
    siblings = filesystem.get_file_info(fs.FileSelector(folder or os.sep, allow_not_found=True))
    names = [info.base_name for info in siblings if not info.base_name.startswith(".")]
    return nearest(name, names) if names else " Check the path."
