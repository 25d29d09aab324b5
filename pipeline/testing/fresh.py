"""A fresh process answers questions about a family.

It has imported nothing else. One process serves all checks that need one: it tells what importing the family imports,
what its threads take and what it predicts, and ends while a learner stands half grown. It imports this module and no
more, above all not Ray.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stacktune.families.base import Config, Learner
from stacktune.testing.learners import grown, make_job
from stacktune.testing.subject import Subject
from stacktune.testing.threads import TASK_FOLDER, busy_s_of_helpers

HEAVY = frozenset({"lightgbm", "xgboost", "catboost", "sklearn", "scipy", "torch", "ray", "mlflow", "pyarrow"})
# A process that hangs is ended; one that does not takes seconds, and on a busy machine a minute.
MAX_PROCESS_S = 300
# The learner is held by the interpreter when it ends.
PROGRAM = "from stacktune.testing.fresh import main; half_grown = main()"
IMPORTED = "imported.json"
SECONDS = "seconds.json"


@dataclass(frozen=True)
class FreshProcess:
    """The answers that a fresh process left.

    code: its exit status, None where it did not end. stderr: what it wrote there.
    imported: the libraries that importing the family imported.
    busy_s: of the busiest thread, and of all others; valid: (n_valid, n_outputs) of each task.

    A part that it did not come to is None or missing.
    """

    code: int | None
    stderr: str
    imported: list[str] | None
    busy_s: list[float] | None
    valid: dict[str, np.ndarray]


@cache
def fresh_process(subject: Subject) -> FreshProcess:
    """Start the process, and return what it left."""
    with TemporaryDirectory() as name:
        code, stderr = _ask(subject, name)
        folder = Path(name)
        valid = {file.stem: np.load(file, allow_pickle=False) for file in folder.glob("*.npy")}
        return FreshProcess(code, stderr, _read(folder / IMPORTED), _read(folder / SECONDS), valid)


def _ask(subject: Subject, folder: str) -> tuple[int | None, str]:
    """Return the process's exit status and stderr."""
    asked = json.dumps([asdict(subject), subject.kinds, dict(subject.default)])
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, folder],
            input=asked.encode(),
            capture_output=True,
            check=False,
            timeout=MAX_PROCESS_S,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return None, f"it had not ended after {MAX_PROCESS_S} s"
    return done.returncode, done.stderr.decode(errors="replace")


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def answer(subject: Subject, kinds: tuple[str, ...], config: Config, folder: Path) -> Learner:
    """Write all answers down.

    Returns a learner that stands half grown.
    """
    libraries = HEAVY | ({subject.family.requires} - {None})
    (folder / IMPORTED).write_text(json.dumps(sorted(libraries & set(sys.modules))))
    if TASK_FOLDER.exists():
        (folder / SECONDS).write_text(json.dumps(busy_s_of_helpers(subject, kinds[0], config)))
    for kind in kinds:
        np.save(folder / f"{kind}.npy", grown(subject, make_job(kind), config).predict_valid())
    return grown(subject, make_job(kinds[0]), config, units=1)


def main() -> Learner:
    """Answer what stdin asks."""
    subject, kinds, config = json.load(sys.stdin)
    return answer(Subject(**subject), tuple(kinds), config, Path(sys.argv[1]))
