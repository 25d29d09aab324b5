"""Start `stacktune` as a user does, or with a change made first.

To fork it off a process that has the imports spares four of a small run's six processor seconds; but of some hundred
runs one did not end, and why is not known.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from whole_runs import STACKTUNE, rays

# The command, after a function that the test knows; both from a path like the test's.
PREPARED = """
import pickle, sys
sys.path[:] = pickle.loads(bytes.fromhex(sys.argv.pop(1)))
pickle.loads(bytes.fromhex(sys.argv.pop(1)))()
from stacktune.cli import main
main()
"""


@contextmanager
def begun(*words: object, cwd: Path, prepare: Callable[[], None] | None = None) -> Iterator[Command]:
    """Start `stacktune` in a folder; kill it where the block ends before it.

    prepare: a function of a module, which the process calls first.
    """
    start = STACKTUNE if prepare is None else [sys.executable, "-c", PREPARED, *map(_spelled, (sys.path, prepare))]
    with TemporaryDirectory() as streams:
        out, err = Path(streams) / "out", Path(streams) / "err"
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen([*start, *map(str, words)], cwd=cwd, stdout=to_out, stderr=to_err)
        with process:
            try:
                yield Command(process, out, err)
            finally:
                process.kill()


def _spelled(what: object) -> str:
    return pickle.dumps(what).hex()


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

    def __init__(self, process: subprocess.Popen, out: Path, err: Path):
        self._process, self._out, self._err = process, out, err
        self.pid, self.poll = process.pid, process.poll
        self.send_signal, self.kill = process.send_signal, process.kill

    def wait(self, timeout_s: float) -> subprocess.CompletedProcess:
        """Wait for its end."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"after {timeout_s:g} s it has not ended: {self.stdout}{self.stderr}") from None
        return subprocess.CompletedProcess(self._process.args, status, self.stdout, self.stderr)

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()
