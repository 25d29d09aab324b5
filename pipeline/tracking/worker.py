"""Writes to MLflow on a thread.

It gathers news for a while, then writes a run's news in as few calls as can be. Few calls matter because the thread
shares its process, and so Python's lock, with Ray Tune's event loop.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from stacktune.errors import ConfigError
from stacktune.storage.uris import masked_uri
from stacktune.tracking.client import Attempt
from stacktune.tracking.spool import Key, Spool, key_of
from stacktune.tracking.updates import Update
from stacktune.tracking.writer import Writer

_GATHER_S = 1.5
_FIRST_PAUSE_S, _MAX_PAUSE_S, _FLUSH_PAUSE_S = 1.0, 15.0, 1.0


@dataclass(frozen=True)
class _Numbered:
    """One or more updates, with the last one's number.

    The number is the spool's.
    """

    number: int
    update: Update

    def then(self, later: _Numbered) -> _Numbered:
        return _Numbered(later.number, self.update.then(later.update))


class Worker(threading.Thread):
    """Writes what `put` hands over, until `stop`.

    News that cannot be written waits in memory, and in the spool.

    is_optional: whether a store that cannot be used is tried again and again, like one that goes away later.
    ready: set when `ids` or `failure` is known, or one try was made. failure: why the store could not be used at all.
    """

    def __init__(
        self, writer: Writer, uri: str, on_notice: Callable[[str], None], spool: Spool, is_optional: bool = False
    ):
        super().__init__(name="stacktune-tracking", daemon=True)
        self._writer, self._uri, self._on_notice, self._spool = writer, uri, on_notice, spool
        self._is_optional = is_optional
        self._inbox: queue.SimpleQueue[_Numbered | threading.Event | None] = queue.SimpleQueue()
        self._waiting: dict[Key, _Numbered] = {}
        self._flushes: list[threading.Event] = []
        self._pause_s = 0.0
        self._stopping = False
        self._noted_subjects: set[str] = set()
        self.ready = threading.Event()
        self.ids: tuple[str, str] | None = None
        self.failure: ConfigError | None = None
        for number, update in spool.past.waiting.items():
            self._take(_Numbered(number, update))

    @property
    def n_waiting(self) -> int:
        """Return the number of runs with unwritten news.

        It holds as far as the thread has looked.
        """
        return len({run for run, _ in list(self._waiting)})

    def put(self, update: Update) -> None:
        """Hand over news; returns at once."""
        self._inbox.put(_Numbered(self._spool.put(update), update))

    def flush(self, timeout_s: float, tell: Callable[[int], None] = lambda n_waiting: None) -> bool:
        """Write everything handed over so far.

        Returns whether that was done within `timeout_s`. tell: hears meanwhile how many runs have unwritten news.
        """
        done = threading.Event()
        self._inbox.put(done)
        deadline = time.monotonic() + timeout_s
        while not done.wait(min(0.2, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or not self.is_alive():
                return False
            tell(self.n_waiting)
        return True

    def stop(self) -> None:
        """End the thread, and lose what is unwritten."""
        self._inbox.put(None)

    def run(self) -> None:
        try:
            while self.ids is None and not self._stopping:
                self._open()
        except ConfigError as error:
            self.failure = error
            return
        finally:
            self.ready.set()
        while not self._stopping:
            self._gather()
            self._write_all()

    def _open(self) -> None:
        try:
            self.ids = self._writer.open()
        except ConfigError as error:
            if not self._is_optional:
                raise
            self._wait_longer()
            self._say("away", f"{error} The search goes on; what is not logged is written when it is back.")
            self.ready.set()
            self._gather()

    def _wait_longer(self) -> None:
        self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _MAX_PAUSE_S)

    def _gather(self) -> None:
        """Collect news until it is time to write.

        It is time after a while, or at once when someone waits for it.
        """
        longest = min(self._pause_s, _FLUSH_PAUSE_S) if self._flushes else self._pause_s
        deadline = time.monotonic() + (longest or _GATHER_S)
        while not self._stopping:
            idle = not self._waiting and not self._flushes
            try:
                news = self._inbox.get(timeout=None if idle else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            if idle:
                deadline = time.monotonic() + _GATHER_S
            self._take(news)
            if isinstance(news, threading.Event):
                return

    def _take(self, news: _Numbered | threading.Event | None) -> None:
        if news is None:
            self._stopping = True
        elif isinstance(news, threading.Event):
            self._flushes.append(news)
        else:
            key = key_of(news.update)
            waiting = self._waiting.get(key)
            self._waiting[key] = waiting.then(news) if waiting else news

    def _write_all(self) -> None:
        # Files last: where they are kept may be out of reach while the store itself is not.
        for key in sorted(self._waiting, key=lambda key: key[1]):
            gone: list[str] = []
            with Attempt() as attempt:
                gone = self._writer.write(self._waiting[key].update)
            if attempt.error and not attempt.refused:
                self._wait_longer()
                # The next try begins with another run, lest this one's news is what the store cannot take.
                self._waiting[key] = self._waiting.pop(key)
                self._say("away", _AWAY.format(uri=masked_uri(self._uri), reason=attempt.reason))
                return
            if attempt.error:
                self._say("refused", _REFUSED.format(run=key[0] or "the run", reason=attempt.reason))
            if gone:
                self._say("gone", _GONE.format(files=", ".join(gone)))
            self._spool.written(key, self._waiting.pop(key).number)
        if self._pause_s:
            self._say("back", f"MLflow at {masked_uri(self._uri)} is back, and all is logged.")
        self._pause_s = 0.0
        for flush in self._flushes:
            flush.set()
        self._flushes.clear()

    def _say(self, subject: str, text: str) -> None:
        if subject not in self._noted_subjects:
            self._noted_subjects.add(subject)
            self._on_notice(text)


_AWAY = (
    "MLflow at {uri} cannot be written ({reason}). The search goes on; what is not logged is written when it is back."
)
_GONE = "MLflow has no copy of {files}: it was gone before it could be sent."
_REFUSED = "MLflow did not take what was logged for {run} ({reason}). The search goes on without it."
