"""Start `stacktune` as a user does, or with a change made first; or several commands in one process.

To fork it off a process that has the imports spares four of a small run's six processor seconds; but of some hundred
runs one did not end, and why is not known.
"""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from whole_runs import STACKTUNE, lend_store, rays

# The command, after a function that the test knows; both from a path like the test's.
PREPARED = """
import pickle, sys
sys.path[:] = pickle.loads(bytes.fromhex(sys.argv.pop(1)))
pickle.loads(bytes.fromhex(sys.argv.pop(1)))()
from stacktune.cli import main
main()
"""


# Commands of one process; their streams are those of the process, so that what libraries write is heard too.
SEVERAL = """
import pickle, sys
sys.path[:] = pickle.loads(bytes.fromhex(sys.argv[1]))
from commands import run_each
run_each(*(pickle.loads(bytes.fromhex(spelled)) for spelled in sys.argv[2:]))
"""


@contextmanager
def begun(*words: object, cwd: Path, prepare: Callable[[], None] | None = None) -> Iterator[Command]:
    """Start `stacktune` in a folder; kill it where the block ends before it.

    prepare: a function of a module, which the process calls first.
    """
    if words[0] == "run":
        lend_store(words, cwd)
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
    """What a command left.

    rays: processes of Ray that were there after it and not before. kept: what a file held then, if it was there.
    """

    status: int
    stdout: str
    stderr: str
    rays: list[int]
    kept: str


def several(
    commands: list[tuple[list[object], Path]],
    keep: Path | None = None,
    code: Path | None = None,
    prepare: Callable[[], None] | None = None,
) -> list[Ended]:
    """Run `stacktune` with each list of words, in its folder, one after another in one process.

    They share its imports, which take more than a small run itself.

    keep: a file that is read after each. code: where `stacktune` is, if it is not the one under test. prepare: a
        function of a module, which the process calls first.
    """
    path = [str(code), *sys.path] if code else sys.path
    spelled = [(list(map(str, words)), folder) for words, folder in commands]
    with TemporaryDirectory() as streams:
        process = subprocess.run(
            [sys.executable, "-c", SEVERAL, *map(_spelled, (path, spelled, streams, keep, prepare))],
            capture_output=True,
            text=True,
            timeout=240 * len(commands),
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return pickle.loads((Path(streams) / "ended").read_bytes())


class _HasEnded(BaseException):
    """A command's process would have ended."""


def run_each(
    commands: list[tuple[list[str], Path]], streams: str, keep: Path | None, prepare: Callable[[], None] | None
) -> None:
    """Run each in this process, and leave what they ended with in `streams`/ended."""
    from stacktune import cli
    from stacktune.runs import command, ray_session
    from stacktune.search.tune import engine

    def end(status: int) -> NoReturn:
        raise _HasEnded(status)

    if prepare is not None:
        prepare()
    # They end no process, which would end Ray and Tune with it: those are waited for, as a program waits.
    ray_session.MIN_PATIENCE_S = engine.MAX_TUNE_ENDING_S = math.inf
    cli.end, out, err = end, Path(streams) / "out", Path(streams) / "err"
    ended = []
    for words, folder in commands:
        before, status = rays(), None
        os.chdir(folder)
        command.STARTED_AT = time.monotonic()
        sys.argv = ["stacktune", *words]
        with _written_to(1, out), _written_to(2, err):
            try:
                cli.main()
            except _HasEnded as has_ended:
                (status,) = has_ended.args
            sys.stdout.flush()
            sys.stderr.flush()
        kept = keep.read_text() if keep and keep.exists() else ""
        ended.append(Ended(status, out.read_text(), err.read_text(), sorted(rays() - before), kept))
    (Path(streams) / "ended").write_bytes(pickle.dumps(ended))


@contextmanager
def _written_to(stream: int, path: Path) -> Iterator[None]:
    """Let what is written to a stream of this process, and of those that it starts, go into a file."""
    kept, file = os.dup(stream), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, stream)
    os.close(file)
    try:
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)


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
