"""Lets one process at a time write somewhere.

The place is one that several machines reach. A small file at the place says who holds it, with a count that goes up
while the holder lives. Clocks of two machines need not agree: who wants the place looks whether the count moves for
longer, by its own clock, than a living holder ever lets it rest. Stores offer no step that writes only what nobody else
wrote, so a holder reads before it writes, and one that finds another's name, or has not been able to renew for a while,
takes its hands off.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.storage.processes import is_alive, this_process
from stacktune.storage.remote import delete_file, fetch_file, join, publish_file
from stacktune.storage.uris import without_secrets

LEASE = "lease.json"
RENEW_S = 10.0
# In periods: a holder that could not renew for so long writes no more, and one that was not heard of for so long is
# taken for dead. What lies between them is for an upload that was under way.
MAX_SILENT, MIN_WATCHED = 2.0, 3.5
# How long a renewal that is under way is waited for at the end, however short the periods are.
MIN_CLOSING_S = 5.0
N_LOOKS_A_PERIOD = 4


@dataclass(frozen=True)
class Held:
    """The content of the file at the place.

    run: the run whose place it is. holder: a random name of the process. process: see `this_process`. renew_s: how
    often `count` goes up. is_over: whether the holder has let go, or was found dead.
    """

    run: str
    holder: str
    process: Mapping[str, Any]
    renew_s: float
    count: int = 0
    is_over: bool = False

    @property
    def who(self) -> str:
        """Return the holder, as users can find it."""
        return f"process {self.process.get('pid')} on {self.process.get('host')}"


class Lease(threading.Thread):
    """Holds a place for a run until `close`.

    on_notice: hears, once, that another process has taken it.
    """

    def __init__(self, uri: str, run: str, on_notice: Callable[[str], None], renew_s: float | None = None):
        super().__init__(name="stacktune-lease", daemon=True)
        self._uri, self._on_notice = uri, on_notice
        self._held = Held(run, secrets.token_hex(16), this_process(), renew_s or RENEW_S)
        self._is_closing, self._is_lost, self._lock = threading.Event(), False, threading.Lock()
        write_held(uri, self._held)
        self._renewed_at = time.monotonic()

    def run(self) -> None:
        while not self._is_closing.wait(self._held.renew_s):
            if not self._renew():
                return

    def may_write(self) -> bool:
        """Return whether this process alone may write now.

        No other process can hold the place by now.
        """
        return not self._is_lost and time.monotonic() - self._renewed_at < MAX_SILENT * self._held.renew_s

    def confirm(self) -> None:
        """Raise ConfigError where another took the place.

        It is a process that did so at the same time.
        """
        if not self._renew():
            place = without_secrets(self._uri)
            raise ConfigError(f"another run took {place!r} at the same time: give another --output.")

    def close(self) -> bool:
        """Let others have the place.

        Returns whether it was held to the end.
        """
        self._is_closing.set()
        # A renewal under way would say afterwards that the place is held.
        if not self._lock.acquire(timeout=max(self._held.renew_s, MIN_CLOSING_S)):
            return False
        try:
            return self._let_go()
        finally:
            self._lock.release()

    def _let_go(self) -> bool:
        if not self.may_write():  # also where the store is away: the next one waits for a sign of life
            return False
        with suppress(OSError):
            if self._is_ours():
                write_held(self._uri, replace(self._held, is_over=True))
                return True
        return False

    def _renew(self) -> bool:
        """Raise the count; return whether to go on.

        That is so where the place is still held, or the store is away.
        """
        with self._lock:
            if not self._is_lost and not self._is_closing.is_set():
                with suppress(OSError):  # the store is away
                    self._count_on()
        return not self._is_lost

    def _count_on(self) -> None:
        started_at = time.monotonic()
        if self._is_ours():
            self._held = replace(self._held, count=self._held.count + 1)
            write_held(self._uri, self._held)
            self._renewed_at = started_at
            return
        self._is_lost = True
        self._on_notice(
            f"another process writes the copy at {without_secrets(self._uri)} now: it is left to that one, and this "
            "run goes on in its own folder"
        )

    def _is_ours(self) -> bool:
        found = read_held(self._uri)
        return found is not None and found.holder == self._held.holder and not found.is_over


def read_held(uri: str) -> Held | None:
    """Return what names the holder at `uri`.

    It is None where nothing is said of one. Raises OSError where the place cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="stacktune-lease-") as folder:
        local = Path(folder, LEASE)
        if not fetch_file(join(uri, LEASE), local):
            return None
        try:
            return Held(**json.loads(local.read_bytes()))
        except (ValueError, TypeError):
            return Held("", "", {}, RENEW_S, is_over=True)


def write_held(uri: str, held: Held) -> None:
    """Say who holds the place at `uri`."""
    with tempfile.TemporaryDirectory(prefix="stacktune-lease-") as folder:
        local = Path(folder, LEASE)
        local.write_text(json.dumps(asdict(held)))
        publish_file(local, join(uri, LEASE))


def drop_held(uri: str) -> None:
    """Delete what is said of the place at `uri`."""
    delete_file(join(uri, LEASE))


def wait_until_free(uri: str, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> float:
    """Wait until surely nobody holds `uri`.

    Returns the seconds waited.

    Raises:
        ConfigError: somebody holds the place.
        OSError: the place cannot be read.
    """
    first = read_held(uri)
    if first is None or first.is_over:
        return 0.0
    lives, waited_s = is_alive(first.process), 0.0
    if lives:
        raise _at_work(uri, first)
    if lives is None:
        waited_s = _watch(uri, first, say, sleep)
    found = read_held(uri)
    if found == first:
        write_held(uri, replace(first, is_over=True))
    elif found is not None and not found.is_over:
        raise _at_work(uri, found)
    return waited_s


def _watch(uri: str, first: Held, say: Callable[[str], None], sleep: Callable[[float], None]) -> float:
    """Return the seconds until the file surely changed.

    It has changed after them, or a living holder would have changed it.
    """
    patience_s = MIN_WATCHED * first.renew_s
    say(
        f"{first.who} was at work on {without_secrets(uri)}: if it gives no sign of life for {patience_s:.0f} s, it is "
        "taken for dead"
    )
    began_at, waited_s = time.monotonic(), 0.0
    while waited_s < patience_s and read_held(uri) == first:
        sleep(first.renew_s / N_LOOKS_A_PERIOD)
        waited_s = time.monotonic() - began_at
    return waited_s


def _at_work(uri: str, held: Held) -> ConfigError:
    place = without_secrets(uri)
    return ConfigError(f"a run is at work on {place!r}: {held.who}. Wait for it, or stop it first.")
