"""Makes a run's scratch folder on another node.

It is on that node's disk, private, of this run, and gone when the run is over.

Whoever works in one holds a shared lock on a file in it, so that another run can tell a folder that is in use from one
whose run was killed. Nothing is lost but time where the latter is removed and the run goes on: trials begin anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from stacktune.storage import locked_folders
from stacktune.storage.folders import is_private, read_plain, remove
from stacktune.storage.lines import write_whole
from stacktune.storage.locked_folders import open_lock, take_lock
from stacktune.trials.provenance import Provenance

PREFIX = "stacktune-scratch-"
IN_USE, MADE_BY = "in-use.lock", "made-by.json"
# A folder can be swept between its making and its locking, once by each other run that begins at this moment.
N_TRIES = 10


@dataclass(frozen=True)
class Scratch:
    """An open scratch folder.

    descriptor: of the file in it that is locked until `close`.
    """

    folder: Path
    descriptor: int

    def close(self) -> None:
        """Release the folder for others to remove."""
        os.close(self.descriptor)


@cache
def scratch_here(made_by: Provenance) -> Path:
    """Return this process's folder of a run.

    It is in use until the process ends; those of runs that were killed are removed.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent)
    return open_scratch(made_by, parent).folder


def open_scratch(made_by: Provenance, parent: Path) -> Scratch:
    """Return the run's folder in `parent`, made if missing.

    Where something of that name is not this user's, open to others, a link, or of another run, it is left alone, and
    a folder of a new name serves.
    """
    folder = parent / _name_of(made_by)
    for _ in range(N_TRIES):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not is_private(folder):
            break
        scratch = _entered(folder, made_by)
        if scratch is not None:
            return scratch
    scratch = _entered(Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=parent)), made_by)
    if scratch is None:
        raise OSError(f"a folder that was just made in {str(parent)!r} cannot be written, or was taken away")
    return scratch


def _entered(folder: Path, made_by: Provenance) -> Scratch | None:
    """Lock the folder for this process, and open it.

    It returns None where the folder is another run's, or being removed.
    """
    descriptor = open_lock(folder / IN_USE)
    if descriptor is None:
        return None
    is_in_use = take_lock(descriptor, fcntl.LOCK_SH) is not False and _is_still(folder / IN_USE, descriptor)
    if is_in_use and _is_of(folder, made_by):
        return Scratch(folder, descriptor)
    os.close(descriptor)
    return None


def _is_of(folder: Path, made_by: Provenance) -> bool:
    """Return whether the folder is this run's.

    A new one is made to say so.
    """
    if not os.path.lexists(folder / MADE_BY):
        write_whole(folder / MADE_BY, json.dumps(asdict(made_by)))
    return read_plain(folder / MADE_BY) == json.dumps(asdict(made_by)).encode()


def sweep(parent: Path) -> None:
    """Remove this user's folders that nobody uses.

    Their runs were killed.
    """
    locked_folders.sweep(parent, PREFIX, IN_USE, _remove, make=True)


def remove_scratch(made_by: Provenance, parent: Path | None = None) -> int:
    """Remove an ended run's folders; return how many stay.

    They are this user's.
    """
    parent = parent or Path(tempfile.gettempdir())
    own = [folder for folder in parent.glob(f"{_name_of(made_by)}*") if is_private(folder)]
    for folder in own:
        _remove(folder)
    return sum(folder.exists() for folder in own)


def _name_of(made_by: Provenance) -> str:
    return f"{PREFIX}{made_by.run}-{made_by.digest or 'any'}"


def _remove(folder: Path) -> None:
    """Rename the folder, then remove it.

    So a process that still writes into it finds no half of it.
    """
    gone = folder.with_name(f"{PREFIX}gone-{secrets.token_hex(8)}")
    with suppress(OSError):  # another process was first
        folder.rename(gone)
        remove(gone)


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether a path names the file opened there."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False
