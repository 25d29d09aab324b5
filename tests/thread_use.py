"""What a learner's threads take, told by a process of its own that imports little besides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from family_cases import N_ROWS, grown, make_job, make_table

from stacktune.families.base import Compute, Config

TASK_FOLDER = Path("/proc/self/task")


def busy_s_by_thread() -> dict[str, float]:
    """Return the seconds on a core of each of this process's threads (Linux)."""
    return {task.name: int((task / "schedstat").read_text().split()[0]) / 1e9 for task in TASK_FOLDER.iterdir()}


def busy_s_of_helpers(name: str, kind: str, config: Config) -> tuple[float, float]:
    """Return the seconds that the busiest thread and all others spend on growing with a single thread."""
    rng = np.random.default_rng(0)
    table = make_table(kind)
    rows = rng.integers(N_ROWS, size=6000)
    job = make_job(kind, table.take(rows).sealed(), rows=np.arange(5000), watched=np.arange(5000, 6000))
    job = replace(job, compute=Compute(n_threads=1))
    # A library's pool spins for a moment when it is started, whoever starts it.
    grown(name, job, config).predict(job.table)
    before = busy_s_by_thread()
    learner = grown(name, job, config)
    learner.watch()
    learner.predict(job.table)
    spent = sorted(busy - before.get(thread, 0.0) for thread, busy in busy_s_by_thread().items())
    return spent[-1], sum(spent[:-1])
