"""Write files and folders whole or not at all.

They are written beside their place, then renamed. What is written so outlives its process. Nothing waits for the disk,
so a loss of power may take it.
"""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stacktune.storage.folders import is_folder, remove

_ENDING = ".arriving"
# A name has at most 255 bytes, and a character of it four: with more of a long one, the name beside it would not fit.
_MAX_STEM = 50


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`.

    What the block writes there takes the place of `path`, which stays as it was if the block raises.
    """
    with _aside(path) as aside:
        yield aside
        if is_folder(aside):
            remove(path)  # a folder can be renamed over an empty one alone
        aside.replace(path)


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`.

    What the block writes there gets the name `path`, unless that is taken by then. Of several processes that make the
    same, the first wins.
    """
    with _aside(path) as aside:
        yield aside
        move_to_new(aside, path)


def move_to_new(aside: Path, path: Path) -> bool:
    """Give a file or folder a new name.

    Both names are on the same disk. Returns False where something has the new one already.
    """
    if is_folder(aside):
        return _move_folder(aside, path)
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links, such as that of a memory stick or of some shares
        if path.exists():
            return False
        aside.rename(path)
        return True
    aside.unlink()
    return True


def _move_folder(aside: Path, path: Path) -> bool:
    try:
        aside.rename(path)
    except OSError:
        if not os.path.lexists(path):
            raise
        return False
    return True


def remove_asides(path: Path) -> None:
    """Remove what killed writers left beside `path`.

    Nobody else may be writing it now.
    """
    for aside in path.parent.glob(f"{glob.escape(_stem(path))}*{_ENDING}"):
        remove(aside)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    aside = path.with_name(f"{_stem(path)}{secrets.token_hex(4)}{_ENDING}")
    try:
        yield aside
    finally:
        remove(aside)


def _stem(path: Path) -> str:
    return f".{path.name[:_MAX_STEM]}."
