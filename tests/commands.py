"""Commands in processes of their own, in which a test may change something first.

To fork them off a process that has the imports spares four of a small run's six processor seconds; but of some hundred
runs one did not end. So each begins from nothing, as a user's does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from whole_runs import rays


@contextmanager
def begun(*words: object, cwd: Path, prepare: Callable[[], None] | None = None) -> Iterator[Command]:
    """Start `stacktune` with these words in a folder; it is killed where the block ends before it.

    prepare: a function of a module, which the process calls first.
    """
    with TemporaryDirectory() as streams:
        out, err = Path(streams) / "out", Path(streams) / "err"
        asked = ([*map(str, words)], str(cwd), out, err, dict(os.environ), prepare)
        process = multiprocessing.get_context("spawn").Process(target=_become, args=asked)
        process.start()
        command = Command(process, out, err)
        try:
            yield command
        finally:
            command.kill()
            process.join()
            process.close()


def stacktune(
    *words: object, cwd: Path, prepare: Callable[[], None] | None = None, timeout_s: float = 240
) -> subprocess.CompletedProcess:
    """Run `stacktune` with these words in a folder, to its end."""
    with begun(*words, cwd=cwd, prepare=prepare) as command:
        return command.wait(timeout_s)


@dataclass(frozen=True)
class Ended:
    """What a command left. rays: processes of Ray that were there after it and not before."""

    status: int
    stdout: str
    stderr: str
    rays: list[int]


def several(commands: list[tuple[list[str], Path]]) -> list[Ended]:
    """Run `stacktune` with each list of words, in its folder, one after another."""
    return [_ended(words, folder) for words, folder in commands]


def _ended(words: list[str], folder: Path) -> Ended:
    before = rays()
    ended = stacktune(*words, cwd=folder)
    return Ended(ended.returncode, ended.stdout, ended.stderr, sorted(rays() - before))


class Command:
    """A command at work."""

    def __init__(self, process: multiprocessing.Process, out: Path, err: Path):
        self._process, self._out, self._err = process, out, err
        self.pid = process.pid

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_s: float) -> subprocess.CompletedProcess:
        """Wait for its end."""
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise TimeoutError(f"after {timeout_s:g} s it has not ended: {self.stdout}{self.stderr}")
        return subprocess.CompletedProcess("stacktune", self._process.exitcode, self.stdout, self.stderr)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return self._out.read_text() if self._out.exists() else ""

    @property
    def stderr(self) -> str:
        return self._err.read_text() if self._err.exists() else ""


def _become(
    words: list[str], cwd: str, out: Path, err: Path, environment: Mapping[str, str], prepare: Callable[[], None] | None
) -> None:
    from stacktune import cli
    from stacktune.run import command

    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv, command.STARTED_AT = ["stacktune", *words], time.monotonic()
    try:
        if prepare:
            prepare()
        cli.main()
    finally:
        os._exit(1)  # it ends by itself
