"""One trial's life as a generator.

It yields its score at each rung and is closed to be stopped.

The problem: a trial is stopped where others are better, cut off where the time is up or its machine is gone, gone on
with on another machine, and copied by other members of a population. What it leaves must not depend on which of these
befell it, and a model family should know of none of them.

What does not work well: to grow all folds side by side asks K times the work before anything can be stopped. To judge a
trial on one fold, and fit the best anew on all rows, leaves ensembles without predictions to learn from.

The solution is one fold first, then the others. The rungs of a trial are a first share of the first fold (or, for PBT
families, equal intervals of it), the whole first fold, and all folds; on a holdout the last two are one. Whoever steps
the generator decides at each rung; nothing is asked of it inside a library's call. Each finished fold of a trial that
takes long is kept on disk, from which the same trial goes on.

What is guaranteed: what reaches the last rung owns one model a fold, and for every row that is held out a prediction by
a model that has not learnt from it; where folds are in the order of time, or --refit asks for it, also a model of all
rows (see all_rows.py). In a reproducible run it is the same for the same configuration, problem and seed, in one go or
in several.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import Table, Task
from stacktune.families.base import AdjustableLearner, Cache, Compute, Config, Job, Learner, WarmStartLearner
from stacktune.families.registry import get_family
from stacktune.metrics import Metric
from stacktune.seeds import derive_seed
from stacktune.storage.folders import digest_of_folder, make_anew
from stacktune.storage.run_folder import ALL_ROWS, TrialFolder
from stacktune.trials.all_rows import fit_on_all_rows
from stacktune.trials.checkpoint import Checkpoint, drop_checkpoint, load_checkpoint
from stacktune.trials.fold_fit import FoldFit
from stacktune.trials.provenance import NO_RUN, Provenance, keep_state
from stacktune.trials.result import COMPLETED, STOPPED, TrialResult
from stacktune.trials.scoring import all_metrics, fold_scores, part_score
from stacktune.trials.stopping import Curve, parts_of, stopping_metric
from stacktune.trials.trial import Progress, Trial

# A trial of a PBT family is compared this often on the first fold, the last time at its end.
N_PBT_INTERVALS = 4
# A trial goes on to the other folds only if each can have at least this share of the first fold's time.
MIN_FOLD_SHARE = 0.4
# A trial that took less begins anew sooner than its folds are written and read.
WORTH_KEEPING_S = 2.0
N_TIMED_ROWS, N_WARMING_ROWS = 2000, 100


@dataclass(frozen=True)
class Problem:
    """What all trials of a run share."""

    table: Table
    task: Task
    folds: Folds
    metric: Metric
    seed: int


@dataclass(frozen=True)
class TrialResources:
    """What one trial may use.

    deadline: on `time.monotonic()`'s scale; infinite in reproducible runs.
    folder: where the trial's predictions and models are written.
    states: where a PBT trial's state at each interval is written, for other members to take up.
    warm_start_from: folders of completed trials whose weights the trial begins with.
    cpu_clock: what counts the trial's processor seconds; its process's, unless it shares that with other work.
    made_by: what is written and read is of this run only.
    """

    folder: Path
    states: Path
    warm_start_from: tuple[Path, ...] = ()
    compute: Compute = field(default_factory=Compute)
    deadline: float = math.inf
    cache: Cache = field(default_factory=Cache)
    cpu_clock: Callable[[], float] = time.process_time
    made_by: Provenance = NO_RUN


def climb(trial: Trial, problem: Problem, resources: TrialResources) -> Generator[Progress, None, TrialResult]:
    """Grow one trial.

    Yield its Progress at every rung but the last; return its result.
    """
    return (yield from _Climb(trial, problem, resources).run())


class _Climb:
    def __init__(self, trial: Trial, problem: Problem, resources: TrialResources):
        self.trial = trial
        self.problem = problem
        self.resources = resources
        self.made_by = resources.made_by.of(trial)
        self.family = get_family(trial.family)
        self.lineage = [*(trial.resume.lineage if trial.resume else ())]
        # A trial that has fitted its only fold has nothing left that stopping it could save.
        self.is_holdout = problem.folds.n_folds == 1
        self.n_rungs = (N_PBT_INTERVALS if trial.scheduler == "pbt" else 2) + (not self.is_holdout)
        self.curve: list[float] = []
        self.started_s = time.monotonic()
        self.cpu_started_s = resources.cpu_clock()

    def run(self) -> Generator[Progress, None, TrialResult]:
        kept = load_checkpoint(self.resources.folder, self.made_by)
        if kept is not None:
            return self._all_folds(None, *kept)
        first = self._fold_fit(0)
        if self.trial.scheduler == "pbt":
            yield from self._population_rungs(first)
        else:
            yield from self._growth_rungs(first)
        first_fold_s = self._elapsed()
        if not self._can_finish(first_fold_s):
            return self._result(STOPPED, error="no time left for the other folds")
        done = Checkpoint(self._rung(), tuple(self.curve), tuple(self.lineage))
        unknown = np.full((self.problem.table.n_rows, self.problem.task.n_outputs), np.nan)
        return self._all_folds(first, done, unknown)

    def _rung(self) -> int:
        return (self.trial.resume.rung if self.trial.resume else 0) + len(self.curve)

    def _growth_rungs(self, first: FoldFit) -> Generator[Progress, None, None]:
        deadline = self._fold_deadline(0)
        if first.max_units > 1:
            first.grow_to(math.ceil(self.family.first_rung * first.max_units), deadline)
            yield self._progress(first, self._first_fold_score(first))
        else:
            yield self._progress(first, self._score_on_fewer_rows())
        first.grow_to(first.max_units, deadline)
        if not self.is_holdout:
            yield self._progress(first, self._first_fold_score(first))

    def _population_rungs(self, first: FoldFit) -> Generator[Progress, None, None]:
        deadline = self._fold_deadline(0)
        start_rung = 0
        if self.trial.resume:
            first.take_up(Path(self.trial.resume.folder))
            cast(AdjustableLearner, first.learner).adjust(self.trial.config)
            start_rung = self.trial.resume.rung
        config = dict(self.trial.config)
        if not self.lineage or self.lineage[-1][1] != config:
            self.lineage.append((first.learner.n_units, config))
        for rung in range(start_rung + 1, N_PBT_INTERVALS + 1):
            first.grow_to(math.ceil(first.max_units * rung / N_PBT_INTERVALS), deadline)
            if rung == self.n_rungs:
                return
            save = cast(AdjustableLearner, first.learner).save_state
            state = keep_state(self.resources.states, self.trial.trial_id, rung, save, self.resources.made_by)
            yield self._progress(first, self._first_fold_score(first), rung, str(state))

    def _all_folds(self, first: FoldFit | None, done: Checkpoint, oof: np.ndarray) -> TrialResult:
        """Finish the folds that are not `done`.

        Where nothing is done, the first of them is grown already.
        """
        table, folds = self.problem.table, self.problem.folds
        self.curve, self.lineage = [*done.curve], [*done.lineage]
        for fold in range(len(done.n_units), folds.n_folds):
            fit = first if fold == 0 and first else self._grown_fold(fold, done.looks)
            _take_in(oof, folds, fold, fit.finish())
            folder = make_anew(TrialFolder(self.resources.folder).fold(fold))
            fit.learner.save(folder)
            done = done.with_fold(
                fit.best_units, self._predict_us(fit.learner, fit.job.valid), fit.curve, digest_of_folder(folder)
            )
            if self._elapsed() > WORTH_KEEPING_S:
                done.save(self.resources.folder, oof, self.made_by)
        np.save(TrialFolder(self.resources.folder).out_of_fold, oof)
        predict_us = self._on_all_rows(done.n_units) if folds.fits_all_rows else sum(done.predict_us)
        drop_checkpoint(self.resources.folder)
        scores = fold_scores(self.problem.metric, self.problem.task, table, folds, oof)
        self.curve.append(float(np.mean(scores)))
        return self._result(
            COMPLETED,
            rungs_reached=done.rung + 1,
            fold_scores=scores,
            metrics=all_metrics(self.problem.task, table, folds, oof, self.problem.metric),
            n_units=done.n_units,
            predict_us=predict_us,
        )

    def _on_all_rows(self, n_units_of_folds: Sequence[int]) -> float:
        """Fit a model on all rows, and save it.

        It grows as far as the fold of the newest rows did, or where rows have no order, as folds did on average.
        Returns a core's microseconds for a row.
        """
        is_ordered = self.problem.folds.is_ordered
        n_units = n_units_of_folds[0] if is_ordered else max(1, round(float(np.mean(n_units_of_folds))))
        lineage = self.lineage or [(0, dict(self.trial.config))]
        deadline = self._fold_deadline(self.problem.folds.n_folds)
        learner = fit_on_all_rows(self.family, self._job(ALL_ROWS), lineage, n_units, self._donors(ALL_ROWS), deadline)
        learner.save(make_anew(TrialFolder(self.resources.folder).fold(ALL_ROWS)))
        return self._predict_us(learner, self.problem.folds.judged_rows)

    def _grown_fold(self, fold: int, earlier: tuple[Curve, ...]) -> FoldFit:
        fit = self._fold_fit(fold, earlier=earlier)
        deadline = self._fold_deadline(fold)
        for position, (_, config) in enumerate(self.lineage):
            until = self.lineage[position + 1][0] if position + 1 < len(self.lineage) else fit.max_units
            cast(AdjustableLearner, fit.learner).adjust(config)
            fit.grow_to(until, deadline)
        fit.grow_to(fit.max_units, deadline)
        return fit

    def _fold_fit(self, fold: int, rows_share: float = 1.0, earlier: tuple[Curve, ...] = ()) -> FoldFit:
        problem, folds = self.problem, self.problem.folds
        job = self._job(fold, rows_share)
        metric = stopping_metric(problem.metric, problem.task, problem.table, folds)
        parts = parts_of(problem.table, problem.task, folds, fold, problem.seed)
        fit = FoldFit(self.family, self._initial_config(), job, metric, parts, earlier)
        if self.resources.warm_start_from:
            cast(WarmStartLearner, fit.learner).warm_start(self._donors(fold))
        return fit

    def _donors(self, fold: int) -> list[Path]:
        # What another fold's model has learnt, it has learnt from validation rows of this one.
        return [TrialFolder(folder).fold(fold) for folder in self.resources.warm_start_from]

    def _job(self, fold: int, rows_share: float = 1.0) -> Job:
        """Return the fit of a fold, or of ALL_ROWS."""
        problem, folds = self.problem, self.problem.folds
        rows, valid, part = np.arange(problem.table.n_rows), np.arange(0), "all rows"
        if fold != ALL_ROWS:
            rows, valid, part = folds.train_rows(fold), folds.valid_rows(fold), f"fold{fold}"
        rows_share *= self.trial.rows_share
        if rows_share < 1:
            chosen = np.random.default_rng(derive_seed(problem.seed, "fewer rows")).permutation(len(rows))
            rows = np.sort(rows[chosen[: max(1, round(rows_share * len(rows)))]])
        return Job(
            table=problem.table,
            task=problem.task,
            rows=rows,
            valid=valid,
            part=part if rows_share == 1 else f"{part}/{len(rows)} rows",
            seed=derive_seed(problem.seed, "fit", fold),
            compute=self.resources.compute,
            cache=self.resources.cache,
        )

    def _initial_config(self) -> Config:
        return self.lineage[0][1] if self.lineage else self.trial.config

    def _score_on_fewer_rows(self) -> float:
        fit = self._fold_fit(0, self.family.first_rung)
        fit.grow_to(1)
        return self._first_fold_score(fit)

    def _first_fold_score(self, fit: FoldFit) -> float:
        problem = self.problem
        return part_score(problem.metric, problem.task, problem.table, fit.job.valid, fit.predictions)

    def _progress(self, fit: FoldFit, score: float, rung: int | None = None, state: str | None = None) -> Progress:
        self.curve.append(score)
        reached = len(self.curve) if rung is None else rung
        return Progress(
            rung=reached,
            n_rungs=self.n_rungs,
            score=score,
            n_units=fit.learner.n_units,
            fit_s=self._elapsed(),
            cpu_s=self._cpu(),
            state=state,
            lineage=tuple(self.lineage),
        )

    @property
    def _n_fits(self) -> int:
        return self.problem.folds.n_folds + self.problem.folds.fits_all_rows

    def _elapsed(self) -> float:
        return time.monotonic() - self.started_s

    def _cpu(self) -> float:
        return self.resources.cpu_clock() - self.cpu_started_s

    def _fold_deadline(self, fold: int) -> float:
        """Share the time left equally between the folds left.

        A slow trial still has them all, then.
        """
        now = time.monotonic()
        return now + (self.resources.deadline - now) / (self._n_fits - fold)

    def _can_finish(self, first_fold_s: float) -> bool:
        n_more = self._n_fits - 1
        remaining_s = self.resources.deadline - time.monotonic()
        return n_more == 0 or self.trial.must_complete or remaining_s >= MIN_FOLD_SHARE * first_fold_s * n_more

    def _predict_us(self, learner: Learner, rows: np.ndarray) -> float:
        """Return a core's microseconds for predicting a row.

        What a first call sets up is not counted, nor who else is at work.
        """
        sample = self.problem.table.take(rows[:N_TIMED_ROWS])
        learner.predict(sample.take(np.arange(min(N_WARMING_ROWS, sample.n_rows))))
        started = self.resources.cpu_clock()
        learner.predict(sample)
        return (self.resources.cpu_clock() - started) * 1e6 / sample.n_rows

    def _result(self, status: str, rungs_reached: int | None = None, **outcome: Any) -> TrialResult:
        return TrialResult(
            trial_id=self.trial.trial_id,
            family=self.trial.family,
            config=dict(self.trial.config),
            scheduler=self.trial.scheduler,
            status=status,
            rungs_reached=self._rung() if rungs_reached is None else rungs_reached,
            n_rungs=self.n_rungs,
            curve=tuple(self.curve),
            fit_s=self._elapsed(),
            cpu_s=self._cpu(),
            lineage=tuple(self.lineage),
            rows_share=self.trial.rows_share,
            folder=str(self.resources.folder) if status == COMPLETED else None,
            **outcome,
        )


def _take_in(oof: np.ndarray, folds: Folds, fold: int, predicted: np.ndarray) -> None:
    """Write a fold's predictions, averaged over repeats."""
    rows, n_before = folds.valid_rows(fold), folds.repeat_of(fold)
    oof[rows] = predicted if n_before == 0 else oof[rows] + (predicted - oof[rows]) / (n_before + 1)
