"""A log file grows by appending, within a limit."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# A run of a thousand trials writes some 300 kB. A mirror copies the file whole whenever it has grown.
MAX_BYTES = 2**20


class LogFile:
    """Appends text that outlives the process.

    It is handed to the system before `write` returns. A file that would grow beyond `max_bytes` becomes `older`, whose
    place it takes, and begins anew.

    on_trouble: hears, once, why text could not be written; that text is left out.
    """

    def __init__(self, path: Path, older: Path, on_trouble: Callable[[str], None], max_bytes: int = MAX_BYTES):
        self._path, self._older, self._max_bytes = path, older, max_bytes
        self._on_trouble, self._had_trouble = on_trouble, False
        self._file: BinaryIO | None = None
        self._n_bytes, self._is_closed = 0, False

    def write(self, text: str) -> None:
        """Add text; nothing once the file is closed."""
        content = text.encode("utf-8", "backslashreplace")
        if self._is_closed:
            return
        try:
            file = self._file_for(len(content))
            n_written = file.write(content)
            if n_written < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._n_bytes += n_written
        except OSError as error:
            self._lose(error)

    def close(self) -> None:
        """Let go of the file."""
        self._is_closed = True
        self._let_go()

    def _file_for(self, n_bytes: int) -> BinaryIO:
        if self._file is None:
            self._file, self._n_bytes = _opened(self._path)
        if self._n_bytes and self._n_bytes + n_bytes > self._max_bytes:
            self._path.replace(self._older)
            self._let_go()
            self._file, self._n_bytes = _opened(self._path)
        return self._file

    def _lose(self, error: OSError) -> None:
        with suppress(OSError):  # the disk takes nothing, not even less
            if self._file is not None:
                self._file.truncate(self._n_bytes)
        if not self._had_trouble:
            self._had_trouble = True
            self._on_trouble((error.strerror or str(error)).lower())

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(path: Path) -> tuple[BinaryIO, int]:
    """Return the open file and its bytes.

    Text is added to its end. What is no file of its own gives way: a run's folder may come from anywhere, and what a
    link leads to is not written.
    """
    if path.is_symlink():
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return os.fdopen(descriptor, "ab", buffering=0), os.fstat(descriptor).st_size
