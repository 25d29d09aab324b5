"""The memory of a process and of all that it starts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

LOOK_EVERY_S = 1.0


@dataclass
class Memory:
    """The most memory that a process and its descendants held at once."""

    peak_bytes: int = 0
    at_peak: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Look every few seconds until the block ends."""
        thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self, pid: int) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            held = _held_bytes(pid)
            if sum(held.values()) > self.peak_bytes:
                self.peak_bytes, self.at_peak = sum(held.values()), held


def _held_bytes(pid: int) -> dict[str, int]:
    """Return the proportional set size of the process and its descendants, most first."""
    held: Counter[str] = Counter()
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                held[_name_of(process)] += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        return {}
    return dict(held.most_common())


def _name_of(process: psutil.Process) -> str:
    """Return a process's number and the end of its first three words, which say what it runs."""
    words = process.cmdline() or [process.name()]
    return f"{process.pid} {' '.join(words[:3])[-70:]}"
