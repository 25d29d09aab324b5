"""Finds the files that a path or URI names.

They are on this machine or in an object store.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyarrow import fs

from stacktune.data.lake import is_delta
from stacktune.errors import DataError, nearest, nearest_column
from stacktune.storage.filesystem import resolve
from stacktune.storage.uris import first_line, without_secrets

_PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
_CSV_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class Files:
    """The files of one table.

    paths: in alphabetical order, as `filesystem` spells them.
    base: the folder that they were found in, below which `key=value` folders are columns; None for a single file.
    delta_uri: of a Delta table, whose log alone knows its files; `paths` is then empty.
    """

    filesystem: fs.FileSystem
    paths: tuple[str, ...]
    base: str | None
    is_csv: bool
    delta_uri: str | None = None


def find_files(uri: str) -> Files:
    """Return the files of `uri`; DataError if none."""
    filesystem, path = resolve(uri)
    whole, uri = uri, without_secrets(uri)
    try:
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.Directory:
            inside = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
            names = [one.path[len(path) :].lstrip("/") for one in inside if one.is_file]
            if is_delta(uri, names):
                delta_uri = path if isinstance(filesystem, fs.LocalFileSystem) else whole.split("?")[0]
                return Files(filesystem, (), path, is_csv=False, delta_uri=delta_uri)
            return _files_of_folder(uri, filesystem, path, names)
    except OSError as error:
        raise DataError(f"{uri!r} cannot be reached: {first_line(error)}.") from None
    if info.type == fs.FileType.NotFound:
        raise DataError(f"there is no file or folder {uri!r}.{_nearest_sibling(filesystem, path)}")
    return Files(filesystem, (path,), None, path.lower().endswith(_CSV_ENDINGS))


def size_in_bytes(files: Files) -> int:
    """Return how large files are, as they lie there."""
    return sum(info.size or 0 for info in files.filesystem.get_file_info(list(files.paths)))


def _files_of_folder(uri: str, filesystem: fs.FileSystem, path: str, inside: list[str]) -> Files:
    visible = [name for name in inside if not _is_hidden(name)]
    for endings, is_csv in ((_PARQUET_ENDINGS, False), (_CSV_ENDINGS, True)):
        chosen = sorted(f"{path.rstrip('/')}/{name}" for name in visible if name.lower().endswith(endings))
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


def check_names(uri: str, names: list[str]) -> None:
    """Raise DataError when two columns share a name."""
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(
            f"column names must be unique, but {uri!r} has {names.count(twice[0])} columns {twice[0]!r}. "
            "Rename all but one."
        )


def check_present(uri: str, names: list[str], columns: list[str]) -> None:
    """Raise DataError for a column missing from `names`."""
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(f"{uri!r} has no column {missing[0]!r}.{nearest_column(missing[0], names)}")
