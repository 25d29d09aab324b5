"""Keeps a copy of a run's folder elsewhere.

It is in shared storage, and another machine can go on with the run from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from stacktune.errors import ConfigError
from stacktune.progress import progress
from stacktune.report.outputs import DEFAULT_PARENT
from stacktune.runs.copy_place import Place, reading
from stacktune.storage.atomic import making, remove_asides
from stacktune.storage.lease import wait_until_free
from stacktune.storage.remote import exists, fetch_file, fetch_folder, folders_in, join, publish_file, publish_folder
from stacktune.storage.run_folder import COPIED, EXPLANATION, LEADER, PLOTS, STATE, TRIALS
from stacktune.storage.uris import first_line, keep_secret, without_secrets

_logger = logging.getLogger(__name__)
EVERY_S = 10.0
N_AT_ONCE = 8
# How often it is said, once a run has ended, how much of it is copied.
SAY_EVERY_S = 10.0


class Mirror(threading.Thread):
    """Copies what is new in `folder` every ten seconds.

    It goes to `uri`, until `close`.

    A store that is away is tried again each time; `on_notice` hears of it once. may_write: whether the place is still
    this process's.
    """

    def __init__(
        self,
        folder: Path,
        uri: str,
        on_notice: Callable[[str], None],
        may_write: Callable[[], bool] = lambda: True,
    ):
        super().__init__(name="stacktune-mirror", daemon=True)
        self._folder, self._uri, self._on_notice, self._may_write = folder, uri, on_notice, may_write
        self._copied: dict[str, tuple[int, int]] = {}
        self._is_closing = threading.Event()
        self._is_away = False
        self._spoke_at = time.monotonic()

    def run(self) -> None:
        while not self._is_closing.wait(EVERY_S):
            self._copy()

    def close(self) -> bool:
        """Copy the rest; return whether the copy is whole."""
        self._is_closing.set()
        self._spoke_at = time.monotonic()
        if self.is_alive():
            self.join()
        return self._copy()

    def _copy(self) -> bool:
        try:
            self._copy_news()
        except OSError as error:
            _logger.warning("nothing was copied: %s", error)
            if not self._is_away:
                self._is_away = True
                self._on_notice(
                    f"the storage cannot be written ({first_line(error)}). The run goes on; it is tried again."
                )
            return False
        self._is_away = False
        return True

    def _copy_news(self) -> None:
        exists(self._uri)  # raises where the store is away, in half the time of an upload that fails
        trials = sorted((self._folder / TRIALS).glob("[!.]*"))
        with ThreadPoolExecutor(N_AT_ONCE) as pool:
            folders = [*trials, *(self._folder / name for name in (LEADER, EXPLANATION, PLOTS))]
            news = [one for one in folders if self._is_new(one)]
            for n_done, _ in enumerate(pool.map(self._copy_folder, news), start=1):  # raises what one of them raised
                self._say_how_far(n_done, len(news))
        for name in COPIED:
            stamp = _stamp(self._folder / name)
            if stamp is not None and self._copied.get(name) != stamp and self._is_held():
                publish_file(self._folder / name, join(self._uri, name))
                self._copied[name] = stamp

    def _is_new(self, folder: Path) -> bool:
        stamp = _stamp(folder)
        return stamp is not None and self._copied.get(folder.relative_to(self._folder).as_posix()) != stamp

    def _say_how_far(self, n_done: int, n_in_all: int) -> None:
        """Say how much is copied, once a run ended."""
        if self._is_closing.is_set() and time.monotonic() >= self._spoke_at + SAY_EVERY_S and n_done < n_in_all:
            self._spoke_at = time.monotonic()
            self._on_notice(f"copied {n_done:,} of {n_in_all:,} folders to the storage")

    def _is_held(self) -> bool:
        """Return whether this process may write.

        Raises OSError where that is not sure.
        """
        if not self._may_write():
            raise OSError("another process may write the copy by now")
        return True

    def _copy_folder(self, folder: Path) -> None:
        name, stamp = folder.relative_to(self._folder).as_posix(), _stamp(folder)
        if stamp is None or not self._is_held():
            return
        try:
            publish_folder(folder, join(self._uri, name))
            self._copied[name] = stamp
        except OSError:
            # Where a loser's models were dropped meanwhile, the next time copies what is left.
            if _stamp(folder) == stamp:
                raise


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when `path` does.

    It is None where nothing is there.
    """
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_mtime_ns, seen.st_size


@contextmanager
def mirror_run(folder: Path, place: Place | None, on_notice: Callable[[str], None]) -> Iterator[None]:
    """Keep a copy of `folder` while the block runs.

    place: where, if anywhere. The copy is completed at the end.
    """
    if place is None:
        yield
        return
    place.lease.confirm()
    mirror = Mirror(folder, place.uri, on_notice, place.lease.may_write)
    mirror.start()
    try:
        yield
    finally:
        if mirror.close():
            on_notice(f"a copy of the run is at {without_secrets(place.uri)}")


def downloaded(resume: str, output: str | None, say: Callable[[str], None]) -> tuple[Path, float]:
    """Return the local folder to go on with.

    Beside it stand the seconds that it was waited for whoever was at work on the run.

    Of a run that a URI names, the folder is a copy in `output` or below the usual one.

    Raises:
        ConfigError: see `fetch_run`; or somebody is at work on it.
    """
    if "://" not in resume:
        return Path(resume), 0.0
    keep_secret(resume)
    name = resume.partition("?")[0].rstrip("/").rpartition("/")[2]
    folder = Path(output) if output else Path(DEFAULT_PARENT) / name
    _refuse_existing(resume, folder)
    with reading(resume):
        waited_s = wait_until_free(resume, say)
    fetch_run(resume, folder)
    return folder, waited_s


def fetch_run(uri: str, folder: Path) -> None:
    """Copy the run at `uri` into a new folder.

    Raises:
        ConfigError: there is no run at `uri`, it cannot be read, or `folder` is there.
    """
    _refuse_existing(uri, folder)
    remove_asides(folder)  # of a command that was killed
    with reading(uri), making(folder) as arriving:
        (arriving / TRIALS).mkdir(parents=True)
        _fetch_into(uri, arriving)
        _refuse_existing(uri, folder)  # which came meanwhile


def _refuse_existing(uri: str, folder: Path) -> None:
    if folder.exists():
        raise ConfigError(
            f"{str(folder)!r} is there already: resume it, or give another --output for {without_secrets(uri)!r}."
        )


def _fetch_into(uri: str, arriving: Path) -> None:
    if not fetch_file(join(uri, STATE), arriving / STATE):
        raise ConfigError(f"there is no run to go on with at {without_secrets(uri)!r} (it holds no {STATE}).")
    for name in COPIED:
        fetch_file(join(uri, name), arriving / name)
    folders: list[tuple[str, ...]] = [(TRIALS, name) for name in folders_in(join(uri, TRIALS))]
    folders += [(name,) for name in (LEADER, EXPLANATION, PLOTS) if exists(join(uri, name))]
    with progress("downloading the run", len(folders), "folders") as done, ThreadPoolExecutor(N_AT_ONCE) as pool:
        for _ in pool.map(lambda names: fetch_folder(join(uri, *names), arriving.joinpath(*names)), folders):
            done(1)
