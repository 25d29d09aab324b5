"""Many commands that end soon, each a process of its own, forked off one that has imported what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import whole_runs


@dataclass(frozen=True)
class Ended:
    """What a command left. rays: processes of Ray that were there after it and not before."""

    status: int
    stdout: str
    stderr: str
    rays: list[int]


def several(commands: list[tuple[list[str], Path]]) -> list[Ended]:
    """Run `stacktune` with each list of words, in its folder, one after another."""
    asked = json.dumps([(words, str(folder)) for words, folder in commands])
    command = [sys.executable, __file__]
    answered = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=300, check=False)
    assert answered.returncode == 0, answered.stderr
    return [Ended(**one) for one in json.loads(answered.stdout)]


def _forked(words: list[str], folder: str) -> dict[str, object]:
    before = whole_runs.rays()
    with TemporaryFile() as out, TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _become(words, folder, out.fileno(), err.fileno())
        _, status = os.waitpid(pid, 0)
        said = [os.pread(file.fileno(), 10**6, 0).decode() for file in (out, err)]
    rays = sorted(whole_runs.rays() - before)
    return {"status": os.waitstatus_to_exitcode(status), "stdout": said[0], "stderr": said[1], "rays": rays}


def _become(words: list[str], folder: str, out: int, err: int) -> None:
    from stacktune import cli

    os.chdir(folder)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.argv, cli.STARTED_AT = ["stacktune", *words], time.monotonic()
    try:
        cli.main()
    finally:
        os._exit(1)  # it ends by itself


if __name__ == "__main__":
    import ray  # noqa: F401

    import stacktune.run.driver  # noqa: F401

    json.dump([_forked(*one) for one in json.load(sys.stdin)], sys.stdout)
