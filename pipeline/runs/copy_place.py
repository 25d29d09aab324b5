"""Holds the place of a run's copy.

It is one that is empty or the run's own, and written by one process at a time.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stacktune.errors import ConfigError
from stacktune.storage.lease import LEASE, Lease, drop_held, read_held, wait_until_free
from stacktune.storage.remote import check_storage, delete_folder, fetch_file, join, names_in
from stacktune.storage.run_folder import JOURNAL, STATE
from stacktune.storage.uris import first_line, names_place, without_secrets


@dataclass(frozen=True)
class Place:
    """A place that this process holds.

    waited_s: how long it was waited for another to show whether it lives.
    """

    uri: str
    lease: Lease
    waited_s: float


@contextmanager
def claim_place(
    storage: str | None, name: str, folder: Path, run: str, say: Callable[[str], None]
) -> Iterator[Place | None]:
    """Hold the place `name` below `storage` for a run.

    folder: the run's. None is yielded without storage, or where the folder is that place.

    What a run writes there that leaves no folder is removed.

    Raises:
        ConfigError: `storage` cannot be written, or the place is another run's, ahead of the folder, or in use.
    """
    if storage is not None and not names_place(storage):
        raise ConfigError(f"--storage {without_secrets(storage)!r} names no place: give e.g. s3://BUCKET/FOLDER.")
    uri = join(storage or "", name)
    if storage is None or _is_here(uri, folder):
        yield None
        return
    check_storage(storage)
    with reading(uri):
        waited_s = wait_until_free(uri, say)
        is_new = _is_empty(uri)
        if not is_new:
            _refuse_other_run(uri, run)
            _refuse_later_copy(uri, folder)
        lease = Lease(uri, run, say)
    lease.start()
    try:
        yield Place(uri, lease, waited_s)
    finally:
        if lease.close() and is_new and not folder.exists():
            with suppress(OSError):  # the store is away; the next run of that name is told what is there
                drop_held(uri)
                delete_folder(uri)


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turn a store's errors of reading into a ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"the run at {without_secrets(uri)!r} cannot be read: {first_line(error)}.") from None


def _is_here(uri: str, folder: Path) -> bool:
    """Return whether the place is the run's own folder.

    It is where a copy on a shared disk is resumed by its path.
    """
    return "://" not in uri and Path(uri).expanduser().absolute() == folder.absolute()


def _is_empty(uri: str) -> bool:
    return all(name.lstrip(".").startswith(LEASE) for name in names_in(uri))  # beside it, one that is being written


def _refuse_other_run(uri: str, run: str) -> None:
    held = read_held(uri)
    if _run_at(uri) != run and (held is None or held.run != run):
        place = without_secrets(uri)
        raise ConfigError(
            f"{place!r} holds the copy of another run, or other files: give another --output, whose name the copy "
            f"has, or another --storage; or go on with that run: --resume {place}."
        )


def _run_at(uri: str) -> str | None:
    content = _content_of(join(uri, STATE))
    try:
        return json.loads(content)["run"] if content else None
    except (ValueError, KeyError, TypeError):
        return None


def _refuse_later_copy(uri: str, folder: Path) -> None:
    """Raise ConfigError where the run has gone on elsewhere.

    The folder would overwrite what it lacks.
    """
    copied, here = _lines(_content_of(join(uri, JOURNAL))), folder / JOURNAL
    known = _lines(here.read_bytes()) if here.exists() else []
    if copied != known[: len(copied)]:
        place = without_secrets(uri)
        raise ConfigError(
            f"the run went on elsewhere, and its copy at {place!r} has trials that {str(folder)!r} lacks: go on with "
            f"the copy (--resume {place}), or give another --storage."
        )


def _lines(content: bytes) -> list[bytes]:
    """Return the lines that are whole."""
    return content.split(b"\n")[:-1]


def _content_of(uri: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="stacktune-place-") as folder:
        local = Path(folder, "file")
        return local.read_bytes() if fetch_file(uri, local) else b""
