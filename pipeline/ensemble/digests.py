"""Checks that a model's files are as written.

The digests lie beside the files: they tell damage (a copy that broke off, a file that was touched), not forgery, for
whoever may write the files may write the digests too. What keeps a model from being forged is who may write to its
folder and to the registry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from stacktune.errors import DataError


def digests_of(folder: Path) -> dict[str, str]:
    """Return the blake2b digest of every file below `folder`.

    Each is known by its path there. What Python makes of code when it is imported is not looked at. Raises DataError
    for a symbolic link.
    """
    refuse_links(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def refuse_links(folder: Path) -> None:
    """Raise DataError for a symbolic link below `folder`.

    It may lead to a file of this machine, or to another's.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():
            name = path.relative_to(folder).as_posix()
            raise DataError(
                f"the model in {str(folder)!r} holds a symbolic link, {name!r}, which no model has. Put the file "
                "itself there if you know what it is; it is not loaded."
            )


def check_digests(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise DataError unless the files below `folder` are unchanged.

    It names a file that is not as `digests_of` saw it.
    """
    found = digests_of(folder)
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            fate = "is missing" if name not in found else "was added" if name not in expected else "was changed"
            raise DataError(
                f"the model in {str(folder.parent)!r} is not as it was written: {folder.name}/{name} {fate}. "
                "Take it from where it came from once more; it is not loaded."
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
