"""Time what the search adds to the fitting of a trial: many quick trials on one core, and print one line.

    python tests/benchmarks/overhead.py [--trials 100]

A trial's overhead is the search's wall clock, from the first trial's first rung on, less the seconds that trials spent
in fitting and scoring, over the number of trials. They are linear models of a table that ships with scikit-learn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

from stacktune.data.folds import make_folds
from stacktune.data.table import Table, Task
from stacktune.metrics import get_metric
from stacktune.search.cluster.start import start_ray, stop_ray
from stacktune.search.events import Event
from stacktune.search.plan.plan import make_plan
from stacktune.search.tune.engine import Search, share
from stacktune.trials.climb import Problem
from stacktune.trials.result import TrialResult
from stacktune.trials.trial import Trial


class Stopwatch:
    """A listener that remembers when the first rung was reached, and what had been fitted by then."""

    def __init__(self) -> None:
        self.began_at: float | None = None

    def trial_started(self, trial: Trial) -> None:
        """Nothing is timed before the first process runs."""

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        self.began_at = self.began_at or time.monotonic()

    def trial_finished(self, result: TrialResult) -> None:
        """What it took is in its result."""

    def trial_retried_after_oom(self, trial: Trial) -> None: ...

    def family_set_aside(self, family: str, reason: str) -> None:
        """None is."""

    def tune_broke_off(self, reason: str, told: str, *, goes_on: bool) -> None:
        """The times would not count then."""
        raise RuntimeError(told)

    def event(self, event: Event) -> None:
        """None of the families tells any."""


def small_problem() -> Problem:
    """Return 569 rows of 30 numbers, in five folds."""
    features, target = load_breast_cancer(return_X_y=True)
    names = tuple(f"x{place}" for place in range(features.shape[1]))
    table = Table(np.ascontiguousarray(features, dtype=np.float32), names, target=target.astype(np.int32))
    task = Task("binary", ("malignant", "benign"))
    return Problem(table, task, make_folds(table, task, 5, 0), get_metric("roc_auc", "binary"), seed=0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    args = parser.parse_args()
    plan = make_plan(["linear"], start_ray(None, 1, 0), 0, args.trials, None, time.time())
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        search = Search(share(small_problem()), plan, Path(folder), watch)
        search.start()
        while not search.wait(0.02):
            pass
        wall_s = time.monotonic() - watch.began_at
        results = search.results()
        search.close()
    stop_ray()
    fit_s = sum(result.fit_s for result in results)
    overhead_ms = 1e3 * (wall_s - fit_s) / len(results)
    print(f"{len(results)} trials in {wall_s:.1f} s, of which {fit_s:.1f} s fitting: {overhead_ms:.0f} ms a trial more")


if __name__ == "__main__":
    main()
