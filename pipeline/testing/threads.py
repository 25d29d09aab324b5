"""Measures what a learner's threads take."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from stacktune.families.base import Compute, Config
from stacktune.testing.learners import grown, make_job
from stacktune.testing.subject import Subject
from stacktune.testing.tables import N_ROWS, make_table

TASK_FOLDER = Path("/proc/self/task")  # of Linux; elsewhere threads are not counted


def busy_s_by_thread() -> dict[str, float]:
    """Return each thread's seconds on a core (Linux).

    The threads are those of this process.
    """
    busy_s = {}
    for task in TASK_FOLDER.iterdir():
        # A thread may end between being listed and being read.
        with suppress(FileNotFoundError, ProcessLookupError):
            busy_s[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return busy_s


def busy_s_of_helpers(subject: Subject, kind: str, config: Config) -> tuple[float, float]:
    """Return the seconds that threads spend on growing.

    They are those of the busiest thread and of all others, where it grows with a single thread.
    """
    rng = np.random.default_rng(0)
    table = make_table(kind)
    rows = rng.integers(N_ROWS, size=6000)
    job = make_job(kind, table.take(rows).sealed(), rows=np.arange(5000), valid=np.arange(5000, 6000))
    job = replace(job, compute=Compute(n_threads=1))
    # A library's pool spins for a moment when it is started, whoever starts it.
    grown(subject, job, config).predict(job.table)
    before = busy_s_by_thread()
    learner = grown(subject, job, config)
    learner.predict_valid()
    learner.predict(job.table)
    spent = sorted(busy - before.get(thread, 0.0) for thread, busy in busy_s_by_thread().items())
    return spent[-1], sum(spent[:-1])
