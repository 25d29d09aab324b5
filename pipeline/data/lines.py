"""Append-only files of JSON, one value a line, that outlive the process that writes them."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError


class LineFile:
    """Values are handed to the system before `append` returns, so they outlive the process, if not a loss of power.

    Any thread may append; while one process has the file open, another cannot open it. A last line that was not
    written whole is cut off.

    Raises:
        ConfigError: another process has it.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(f"a run is at work in {str(path.parent)!r}; wait for it, or stop it first.") from None
        self._file.truncate(_length_of_whole_lines(path))

    def append(self, value: Any) -> None:
        """Write one value; nothing once the file is closed."""
        line = json.dumps(value) + "\n"
        with self._lock:
            if not self._file.closed:
                self._file.write(line)
                self._file.flush()

    def close(self) -> None:
        """Let another process have the file."""
        with self._lock:
            self._file.close()


def read_lines(path: Path) -> Iterator[Any]:
    """Yield the values of a file's whole lines; nothing where there is no file."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def _length_of_whole_lines(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1
