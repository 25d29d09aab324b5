"""Judges and reads folders found on a disk.

It tells whether they may be believed, and what is in them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Return whether a folder is there.

    A link to one is none.
    """
    return path.is_dir() and not path.is_symlink()


def is_private(folder: Path) -> bool:
    """Return whether only this user may use a folder.

    It belongs to the user of this process, and nobody else may enter it. This is to be asked where others can write
    beside it. A run's own folder may lie on a disk that gives files other owners.
    """
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o077


def make_anew(folder: Path) -> Path:
    """Make an empty folder, whatever was there.

    Where a link was there, only the link goes. Returns the folder.
    """
    remove(folder)
    folder.mkdir(parents=True)
    return folder


def remove(path: Path) -> None:
    """Delete a folder, a file or a link.

    A folder goes with all that is in it. Nothing happens where nothing is there.
    """
    if is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


def read_plain(path: Path) -> bytes | None:
    """Return the content of a plain file.

    It is None for a link, for anything else, and where nothing is.
    """
    file = _opened(path)
    if file is None:
        return None
    with file:
        return file.read()


def digest_of_file(path: Path) -> str | None:
    """Return a plain file's blake2b digest, or None.

    It is None where there is no such file.
    """
    file = _opened(path)
    if file is None:
        return None
    with file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _opened(path: Path) -> BufferedReader | None:
    try:
        # Not blocking: a pipe that somebody put there would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def digest_of_folder(folder: Path, salt: str = "") -> str | None:
    """Return the blake2b digest of a folder's files.

    It covers every file below the folder and its place there. It is None where something in it is a link or no file,
    and where there is no such folder.
    """
    digest = hashlib.blake2b(salt.encode(), digest_size=16)
    if not is_folder(folder):
        return None
    for path in sorted(folder.rglob("*")):
        if is_folder(path):
            continue
        found = digest_of_file(path)
        if found is None:
            return None
        digest.update(f"{path.relative_to(folder).as_posix()}\n{found}\n".encode())
    return digest.hexdigest()


def n_bytes_of(folder: Path) -> int:
    """Return the bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
