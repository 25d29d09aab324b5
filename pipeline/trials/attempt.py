"""A guard that lets trials fail, not the run.

It is the one place where an exception of a trial's library is caught: the trial fails, the run goes on.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator

from stacktune.trials.result import FAILED, TrialResult
from stacktune.trials.trial import Progress, Trial

Climb = Generator[Progress, None, TrialResult]
# How NumPy and Python, torch, C++ and Ray's watch over a node's memory say that there is none left.
OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError", "can't allocate memory", "bad_alloc", "bad allocation")


class Attempt:
    """A climb that ends in a result whatever happens."""

    def __init__(self, trial: Trial, start: Callable[[], Climb]):
        self._trial = trial
        self._start = start
        self._climb: Climb | None = None
        self._started_s, self._cpu_started_s = time.monotonic(), time.process_time()

    def advance(self) -> Progress | TrialResult:
        """Return the next rung's progress, or the final result."""
        try:
            if self._climb is None:
                self._climb = self._start()
            return next(self._climb)
        except StopIteration as end:
            return end.value
        except Exception as error:  # whatever a library raises ends this trial, and only this trial
            reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            spent_s, cpu_s = time.monotonic() - self._started_s, time.process_time() - self._cpu_started_s
            return failed(self._trial, reason, spent_s, cpu_s)

    def close(self) -> None:
        """Stop early and let go of the fitted models."""
        if self._climb is not None:
            self._climb.close()
            self._climb = None


def failed(trial: Trial, error: str, fit_s: float = 0.0, cpu_s: float = 0.0) -> TrialResult:
    """Return the result of a trial that broke.

    The first line of `error` is the reason shown.

    fit_s, cpu_s: wall-clock and processor seconds that it had taken by then.
    """
    return TrialResult(
        trial_id=trial.trial_id,
        family=trial.family,
        config=dict(trial.config),
        scheduler=trial.scheduler,
        status=FAILED,
        rungs_reached=0,
        n_rungs=0,
        fit_s=fit_s,
        cpu_s=cpu_s,
        rows_share=trial.rows_share,
        error=error,
    )


def ran_out_of_memory(error: str) -> bool:
    """Return whether a failure says that memory ran out.

    The words of a process that was killed by the kernel do not say so.
    """
    return any(words in error for words in OUT_OF_MEMORY)
