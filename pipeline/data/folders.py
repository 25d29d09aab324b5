"""Folders that processes find on a disk: whether they may be believed, and what is in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def is_ours(folder: Path) -> bool:
    """Whether a folder, and no link to one, is there that belongs to the user of this process."""
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()


def is_private(folder: Path) -> bool:
    """Whether a folder is ours and nobody else may enter it."""
    return is_ours(folder) and not folder.lstat().st_mode & 0o077


def make_anew(folder: Path) -> Path:
    """Make an empty folder, whatever was there; of a link, only the link goes. Return the folder."""
    remove(folder)
    folder.mkdir(parents=True)
    return folder


def remove(path: Path) -> None:
    """Delete a folder with all that is in it, a file or a link, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


def read_own(path: Path) -> bytes | None:
    """Return the content of a plain file of this user's; None for a link, for anything else, and where nothing is."""
    file = _opened(path)
    if file is None:
        return None
    with file:
        return file.read()


def digest_of_file(path: Path) -> str | None:
    """Return the blake2b digest of a plain file of this user's, None where there is none."""
    file = _opened(path)
    if file is None:
        return None
    with file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _opened(path: Path) -> BinaryIO | None:
    try:
        # Not blocking: a pipe that somebody put there would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    seen = os.fstat(descriptor)
    if stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid():
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def digest_of_folder(folder: Path, salt: str = "") -> str | None:
    """Return the blake2b digest of every file below a folder and of its place there.

    None where something in it is a link or not this user's, and where there is no such folder.
    """
    digest = hashlib.blake2b(salt.encode(), digest_size=16)
    if not is_ours(folder):
        return None
    for path in sorted(folder.rglob("*")):
        if is_ours(path):
            continue
        found = digest_of_file(path)
        if found is None:
            return None
        digest.update(f"{path.relative_to(folder).as_posix()}\n{found}\n".encode())
    return digest.hexdigest()
