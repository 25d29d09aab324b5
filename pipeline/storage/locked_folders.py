"""Holds a folder by locking a file in it.

So others can tell what a killed process has left: the system lets go of a lock when its process ends, however that
happens. Where a disk has no locks nobody can tell, and nothing of others is removed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stacktune.storage.folders import is_private


def open_lock(path: Path, make: bool = True) -> int | None:
    """Return a descriptor of the file to lock.

    It is None where the file cannot be opened, is a link, or is not to be made.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o600)
    except OSError:
        return None


def take_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool | None:
    """Lock without waiting; return whether that succeeded.

    It returns None on a disk that has no locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def sweep(parent: Path, prefix: str, lock: str, remove_folder: Callable[[Path], None], make: bool) -> None:
    """Remove this user's folders that no process holds.

    They are in `parent`.

    prefix: of their names. lock: the name of the file in each. make: whether a folder without that file is nobody's.
    """
    found: list[Path] = []
    with suppress(OSError):
        found = [parent / name for name in sorted(os.listdir(parent)) if name.startswith(prefix)]
    for folder in found:
        descriptor = open_lock(folder / lock, make) if is_private(folder) else None
        if descriptor is not None:
            if take_lock(descriptor):
                remove_folder(folder)
            os.close(descriptor)
