"""Signals, or a program, ask a run to end.

The first signal lets a run end well, the next ends it at once. A program's wish is like a first signal.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, runtime_checkable

# What each is called when it is spoken of.
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP (the terminal was closed)"}
# Wakes the main thread wherever it waits, which only a real signal does; nothing else in a run uses it.
WAKE = signal.SIGUSR1
# How long a run that is ended at once may take to let go of what it holds.
TIDYING_S = 5.0
# How often a run that waits looks whether a program asks it to end.
LOOK_EVERY_S = 0.25


class Stopped(KeyboardInterrupt):
    """Says that a stopped run has no leader.

    Where a signal asked, it is raised in the main thread.

    number: of the signal; None where a program asked. status: what a shell would give the command.
    """

    def __init__(self, number: int | None):
        self.number = number
        by = "the program" if number is None else NAMES[signal.Signals(number)]
        super().__init__(f"Stopped by {by}.")
        self.status = 1 if number is None else 128 + number


@runtime_checkable
class StopSignal(Protocol):
    """A flag by which a program stops its run.

    It is a `threading.Event`, or one of another library.
    """

    def is_set(self) -> bool:
        """Return whether the run is to end."""


class Ears:
    """Hears NAMES on a thread of its own.

    So neither Ray nor a long call of the main thread can take them away. Ray puts the system's own handler back for
    SIGTERM when it ends: a signal that every thread blocks is not delivered to any handler, and waits for this thread.
    A signal that was ignored when the process began, as under `nohup`, stays so.

    leave: ends the process, where nothing is begun that would have to be let go of.
    """

    def __init__(self, leave: Callable[[Stopped], None]):
        self._n_heard = 0
        self._last: int = signal.SIGINT
        self._leave = leave
        self._answer: Callable[[int], None] = lambda number: leave(Stopped(number))
        self.last_words: list[Callable[[], None]] = []
        self._heard = {number for number in NAMES if signal.getsignal(number) is not signal.SIG_IGN}

    def open(self) -> None:
        """Begin to listen.

        Only the main thread may, before there is another: threads inherit what is blocked.
        """
        signal.signal(WAKE, self._wake)
        signal.pthread_sigmask(signal.SIG_BLOCK, self._heard)
        os.register_at_fork(after_in_child=self._let_child_go)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def close(self) -> None:
        """Give signals back their usual effect."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heard)

    def hear(self, number: int) -> None:
        """Do what a signal asks for."""
        self._n_heard += 1
        self._last = number
        if self._n_heard > 1:
            self._give_up_soon()
        else:
            self._answer(number)

    @contextmanager
    def answered_by(self, answer: Callable[[int], None]) -> Iterator[None]:
        """Let `answer` deal with the first signal.

        It does so while the block runs; the next signal is never waited for.
        """
        before, self._answer = self._answer, answer
        try:
            yield
        finally:
            self._answer = before

    def interrupt(self, _number: int) -> None:
        """Raise Stopped in the main thread.

        It may be waiting or working.
        """
        signal.pthread_kill(threading.main_thread().ident or 0, WAKE)

    def _listen(self) -> None:
        while True:
            self.hear(signal.sigwait(self._heard))

    def _wake(self, _number: int, _frame: FrameType | None) -> None:
        raise Stopped(self._last)

    def _give_up_soon(self) -> None:
        last = threading.Timer(TIDYING_S, self._give_up)
        last.daemon = True
        last.start()
        self.interrupt(self._last)

    def _give_up(self) -> None:
        for say in self.last_words:
            say()
        self._leave(Stopped(self._last))

    def _let_child_go(self) -> None:
        """Let a child that Ray forks be ended.

        It is ended as usual, but not by what is meant for the run and sent to its group. A closed terminal, Ctrl-C and
        `timeout` signal the whole group: Ray would be gone before the run has ended.
        """
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heard)


_ears: list[Ears] = []  # none, or those of this process


def listen(leave: Callable[[Stopped], None]) -> None:
    """Hear signals from now on.

    It is called once a process, of which no other thread may have begun.

    leave: says what stopped the command, and ends the process, from any thread.
    """
    if not _ears and threading.current_thread() is threading.main_thread():
        _ears.append(Ears(leave))
        _ears[0].open()


def hear(number: int) -> None:
    """Answer a signal that another process was sent."""
    for ears in _ears:
        ears.hear(number)


def unlisten() -> None:
    """Give signals back their usual effect.

    A program that takes this one's place needs it.
    """
    for ears in _ears:
        ears.close()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first signal raise Stopped inside.

    So what the block holds is let go of.
    """
    if not _ears:
        yield
        return
    with _ears[0].answered_by(_ears[0].interrupt):
        yield


@contextmanager
def last_words(say: Callable[[], None]) -> Iterator[None]:
    """Let `say` speak where the block is cut off.

    It tells what the user should know, as no `finally` of the block may be reached.
    """
    for ears in _ears:
        ears.last_words.append(say)
    try:
        yield
    finally:
        for ears in _ears:
            ears.last_words.remove(say)


class StopRequest:
    """Asks a run to end with what it has.

    The first signal, or a program, makes it; the next signal ends the run. It is a context manager, inside which
    signals are heard so. Where the process does not listen, it hears none.

    say: hears at once that a signal asked. by_program: is looked at, as nothing tells of it.
    """

    def __init__(self, say: Callable[[str], None], by_program: StopSignal | None = None):
        self._say = say
        self._by_program = by_program
        self.number: int | None = None

    @property
    def is_made(self) -> bool:
        """Return whether the run is asked to end."""
        return self.number is not None or self._is_made_by_program

    @property
    def _is_made_by_program(self) -> bool:
        return self._by_program is not None and self._by_program.is_set()

    def next_look(self) -> float:
        """Return until when a wait may last.

        It is on `time.monotonic()`'s scale; the program is heard then.
        """
        return math.inf if self._by_program is None else time.monotonic() + LOOK_EVERY_S

    def check(self) -> None:
        """Raise Stopped where a program asked.

        There is nothing yet to end with. A signal raises it by itself.
        """
        if self._is_made_by_program:
            raise Stopped(None)

    def make(self, number: int) -> None:
        """Ask the run to end, as `number` does."""
        self._say(f"{NAMES[signal.Signals(number)]}: the run ends with what it has; once more ends it at once")
        self.number = number

    def __enter__(self) -> StopRequest:
        self._answering = _ears[0].answered_by(self.make) if _ears else interruptible()
        self._answering.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.__exit__(None, None, None)
