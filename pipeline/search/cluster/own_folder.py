"""Makes a short folder for one run's Ray.

Nobody else may read it, and it is gone with the run that made it.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stacktune.errors import SearchError
from stacktune.storage.locked_folders import open_lock, sweep, take_lock

PREFIX, UNCLAIMED = "stacktune-ray-", "stacktune-new-"
LOCK = "lock"
# Ray lets everybody into the folder that it is given, so that it is given one inside.
INSIDE = "r"
# What a system takes for a socket's path (Linux 107 bytes, macOS 103), and what Ray hangs below the folder; a process
# number has seven digits at most.
MAX_SOCKET_BYTES = 103
RAYS_OWN_BYTES = len(f"/{INSIDE}/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
MAX_FOLDER_BYTES = MAX_SOCKET_BYTES - RAYS_OWN_BYTES
# What `mkdtemp` puts behind a prefix.
RANDOM_BYTES = 8
VARIABLES = ("RAY_TMPDIR", "TMPDIR", "TEMP", "TMP")
USUAL_PARENTS = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def own_folder(parents: Sequence[Path], holds_sockets: bool = True) -> Iterator[Path]:
    """Make a private folder for Ray; remove it afterwards.

    It is inside one that only this user may enter. What dead runs left is removed first.

    A run holds a lock in its folder for as long as it lives, however it ends: so a folder whose lock is free is of a
    run that was killed. Where there are no locks nothing is removed but the run's own.

    Raises:
        SearchError: none of `parents` will have it.
    """
    for parent in parents:
        remove_abandoned(parent)
    folder = _make_in_first(parents, holds_sockets)
    lock = _claim(folder)
    folder = folder.rename(folder.with_name(PREFIX + folder.name.removeprefix(UNCLAIMED)))
    try:
        (folder / INSIDE).mkdir()
        yield folder / INSIDE
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def parents_for_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the folders for temporary files, best first."""
    wanted = [environment.get(name) for name in VARIABLES]
    places = [Path(place) for place in (*wanted, *USUAL_PARENTS, environment.get("XDG_RUNTIME_DIR")) if place]
    return [path for path in dict.fromkeys(places) if path.is_absolute()]


def parents_for_sockets(environment: Mapping[str, str]) -> list[Path]:
    """Return parents short enough for a socket's path."""
    return [path for path in parents_for_files(environment) if _bytes_of_folder_in(path) <= MAX_FOLDER_BYTES]


def remove_abandoned(parent: Path) -> None:
    """Remove this user's folders of dead runs.

    They are in `parent`.
    """
    # One without the file may be of a run that lives where there are no locks.
    sweep(parent, PREFIX, LOCK, _remove, make=False)


def _remove(folder: Path) -> None:
    """Remove the folder, its lock last.

    Where a process of a dying Ray still writes, a later run finds what it left.
    """
    shutil.rmtree(folder / INSIDE, ignore_errors=True)
    if not (folder / INSIDE).exists():
        shutil.rmtree(folder, ignore_errors=True)


def _bytes_of_folder_in(parent: Path) -> int:
    return len(os.fsencode(parent)) + len(f"/{PREFIX}") + RANDOM_BYTES


def _make_in_first(parents: Sequence[Path], holds_sockets: bool) -> Path:
    """Make a folder that no other run removes.

    It is not locked yet, so its name is one that they do not remove.
    """
    reasons = []
    for parent in parents:
        folder = None
        try:
            folder = Path(tempfile.mkdtemp(prefix=UNCLAIMED, dir=parent))
            if holds_sockets:
                _try_socket(folder)
            return folder
        except OSError as error:
            reasons.append(f"{parent}: {(error.strerror or str(error)).lower()}")
            if folder is not None:
                folder.rmdir()
    raise SearchError(
        f"Ray needs a folder for its files, and there is none that can be written ({'; '.join(reasons)}). Set TMPDIR "
        f"to one whose path has at most {MAX_FOLDER_BYTES - len(f'/{PREFIX}') - RANDOM_BYTES} characters."
    )


def _try_socket(folder: Path) -> None:
    """Raise OSError where the file system has no sockets.

    File systems that are shared with another system may have none.
    """
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as trial:
        trial.bind(os.fspath(path))
    path.unlink()


def _claim(folder: Path) -> int | None:
    """Lock the folder; return the lock.

    It is None where the file system has no locks, and then no other run removes the folder.
    """
    lock = open_lock(folder / LOCK)
    if lock is None or take_lock(lock):
        return lock
    os.close(lock)
    (folder / LOCK).unlink()
    return None
