"""Writes files that outlive the process.

They are lines of JSON that are only added to, and texts written whole.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.storage.atomic import replacing
from stacktune.storage.locked_folders import take_lock

_NONE = object()


class LineFile:
    """Appends JSON values that outlive the process.

    They are handed to the system before `append` returns, so they survive their process, if not a loss of power. Any
    thread may append; while one process has the file open, another cannot open it. A last line that was not written
    whole is cut off.

    on_trouble: hears, once, why a value could not be written (the disk is full); that value is left out, whole.
    is_locked: False where the file system has no locks, so that nothing keeps another process from the file.

    Raises:
        ConfigError: another process has it.
    """

    def __init__(self, path: Path, on_trouble: Callable[[str], None]):
        self._on_trouble, self._had_trouble = on_trouble, False
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)
        is_ours = take_lock(self._file.fileno())
        if is_ours is False:
            self._file.close()
            raise ConfigError(f"a run is at work in {str(path.parent)!r}; wait for it, or stop it first.")
        self.is_locked = is_ours is not None  # NFS without its lock service, Lustre without the option, some of FUSE
        self._length = path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(self._length)

    def append(self, value: Any) -> None:
        """Write one value; nothing once the file is closed."""
        line = json.dumps(value).encode() + b"\n"
        with self._lock:
            if self._file.closed:
                return
            try:
                n_written = self._file.write(line)
                trouble = "the disk is full" if n_written < len(line) else ""
            except OSError as error:
                trouble = (error.strerror or str(error)).lower()
            if not trouble:
                self._length += len(line)
                return
            self._file.truncate(self._length)
        if not self._had_trouble:
            self._had_trouble = True
            self._on_trouble(trouble)

    def close(self) -> None:
        """Let another process have the file."""
        with self._lock:
            self._file.close()


def read_lines(path: Path, is_one: Callable[[Any], bool] = lambda value: True) -> Iterator[Any]:
    """Yield the valid values of a file's whole lines.

    `is_one` knows a value as valid. Nothing is yielded where there is no file. What a full disk or a repair of one left
    of other lines is passed over: see `unread_lines`.
    """
    for _, value in _numbered(path):
        if value is not _NONE and is_one(value):
            yield value


def unread_lines(path: Path, is_one: Callable[[Any], bool] = lambda value: True) -> list[int]:
    """Return the numbers of lines that `read_lines` skips.

    They are whole lines, counted from one.
    """
    return [number for number, value in _numbered(path) if value is _NONE or not is_one(value)]


def _numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield each whole line's number and value.

    The value is _NONE for a line that holds none.
    """
    if path.exists():
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield number, _value(line)


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return _NONE


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, never visible in part.

    At any moment it is there as it was, or as it is to be.
    """
    with replacing(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
