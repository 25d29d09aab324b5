"""Fits a first, cheap model while Ray starts.

So a run has a leader whatever comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from stacktune.families.registry import all_families, get_family
from stacktune.search.log import SearchLog
from stacktune.search.narrowing import USUAL_SPACES, Spaces
from stacktune.storage.folders import make_anew, remove
from stacktune.storage.run_folder import RunFolder
from stacktune.trials.attempt import Attempt, Climb, failed
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.provenance import NO_RUN, Provenance
from stacktune.trials.result import COMPLETED, TrialResult
from stacktune.trials.trial import Progress, Trial

# Rows times columns times outputs times folds: a linear model on so many takes a core a second or two.
MAX_CELLS = 1_000_000
# Fewer rows than this cost nothing, and say too little.
MIN_ROWS = 2_000
# What grows unit by unit grows for so long; a unit a fold is grown however long it takes.
MAX_GROWING_S = 2.0
# A run that ends without a leader leaves no folder: what the first model is at is waited for so long.
MAX_LETTING_GO_S = 10.0

Story = tuple[tuple[Progress, ...], TrialResult]


def first_trial(
    families: Sequence[str], problem: Problem, n_before: int = 0, spaces: Spaces = USUAL_SPACES
) -> Trial | None:
    """Return the trial to begin with.

    It is the cheapest family's first entry, on as many rows as are soon done.

    It is None where no family may be fitted in this process (see `Turn.first_model`). Where the trial is not what a
    search would make of its configuration, it is preliminary, and the search tries that configuration once more.

    n_before: trials that the run has asked for already. spaces: what families are searched in.
    """
    family = _cheapest(families)
    if family is None:
        return None
    share, config = rows_share(problem), spaces.load(family).portfolio[0]
    # One unit needs no clock: what it costs depends on rows and columns alone.
    grows_by_clock = get_family(family).max_units(config) > 1
    return Trial(
        trial_id=f"{family}-{n_before:04d}",
        family=family,
        config=config,
        must_complete=True,
        rows_share=share,
        is_preliminary=share < 1 or grows_by_clock,
    )


def _cheapest(families: Sequence[str]) -> str | None:
    turns = {name: family.turn.first_model for name, family in all_families().items() if name in families}
    known = {name: turn for name, turn in turns.items() if turn is not None}
    return min(known, key=known.__getitem__, default=None)


def rows_share(problem: Problem) -> float:
    """Return the share of rows that keeps to MAX_CELLS.

    It is never less than MIN_ROWS are.
    """
    table, n_outputs = problem.table, problem.task.n_outputs
    cells_a_row = table.n_features * (n_outputs if n_outputs > 2 else 1) * problem.folds.n_folds
    return min(1.0, max(MIN_ROWS, MAX_CELLS / max(1, cells_a_row)) / table.n_rows)


class FirstModel:
    """Fits a trial on a thread of its own.

    The run need not wait for it: a library may hang.

    folder: the run's; what the trial leaves lies in its folder of trials once it is complete. made_by: the run.
    """

    def __init__(self, trial: Trial, problem: Problem, folder: Path, made_by: Provenance = NO_RUN):
        self.trial = trial
        self._places, self._made_by = RunFolder(folder), made_by
        self._aside = self._places.first_model
        self._story: Future[Story] = Future()
        self._is_told = threading.Event()
        self._is_told.set()
        self._is_given_up = False
        threading.Thread(target=self._fit, args=(problem,), name="first-model", daemon=True).start()

    def _fit(self, problem: Problem) -> None:
        deadline, seen = time.monotonic() + MAX_GROWING_S, []
        resources = TrialResources(
            self._aside,
            self._aside / "states",
            deadline=deadline,
            cpu_clock=time.thread_time,
            made_by=self._made_by,
        )

        def begin() -> Climb:
            make_anew(self._aside)  # of a session that was cut off
            return climb(self.trial, problem, resources)

        attempt = Attempt(self.trial, begin)
        while isinstance(outcome := attempt.advance(), Progress) and not self._is_given_up:
            seen.append(outcome)
        if isinstance(outcome, Progress):
            attempt.close()
            outcome = failed(self.trial, "the run was over")
        try:
            outcome = self._published(outcome)
        except OSError as error:  # the disk is full
            outcome = failed(self.trial, f"OSError: {error}", outcome.fit_s, outcome.cpu_s)
        self._story.set_result((tuple(seen), outcome))

    def _published(self, result: TrialResult) -> TrialResult:
        if result.status != COMPLETED:
            remove(self._aside)
            return result
        place = self._places.trials / result.trial_id
        result = replace(result, folder=str(place))
        result.save(self._aside, self._made_by)
        self._places.trials.mkdir(parents=True, exist_ok=True)
        remove(place)  # of another run
        self._aside.replace(place)
        return result

    def wait(self, timeout_s: float) -> bool:
        """Wait; return whether the trial has ended.

        timeout_s: the longest wait. Whoever is told of the trial knows of it by then.
        """
        if _times_out(self._story, timeout_s):
            return False
        self._is_told.wait()  # a future wakes who waits for it before it calls back
        return True

    def __enter__(self) -> FirstModel:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Keep a failed run's model from writing more.

        What is under way is waited for, as the run's folder may go.
        """
        if kind is not None:
            self._is_given_up = True
            self.wait(MAX_LETTING_GO_S)

    def tell(self, log: SearchLog) -> None:
        """Let the log know of the trial.

        It was asked for by now; what came of it is told when that is known.
        """
        log.add(self.trial)
        self._is_told.clear()
        self._story.add_done_callback(lambda story: self._tell(log, *story.result()))

    def _tell(self, log: SearchLog, seen: Sequence[Progress], result: TrialResult) -> None:
        try:
            log.started(result.trial_id, None)
            for progress in seen:
                log.progressed(result.trial_id, progress)
            log.ended(result)
        finally:
            self._is_told.set()


def _times_out(story: Future[Story], timeout_s: float) -> bool:
    try:
        story.result(timeout_s)
    except TimeoutError:
        return True
    return False
