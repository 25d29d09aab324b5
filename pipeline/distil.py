"""Teaches one model what an ensemble says.

The problem: an ensemble of dozens of models is better than each of them, and slower by their number.

What does not work well: to teach a model what the ensemble says of the rows that it has learnt from. It knows many of
those targets by heart, and so would its pupil, less well than from the targets themselves.

The solution is to learn from what the ensemble said out of fold (Bucila et al. 2006, "Model compression"; Hinton et al.
2015, arXiv 1503.02531). A class's probability is learnt by a copy of the row for each class, which weighs as much as its
probability: the log loss of such rows is the cross-entropy with the ensemble, whatever the family. Rows that nobody held
out keep their targets. Copies of a row are a group: they are held out together, and none tells of another.

What is guaranteed: each row is judged by a model that has learnt neither from it nor from what was said of it, against
its true target. What is not: what was said of other rows comes from models that knew its target. So scores may flatter
by a little, which only rows that no model has seen (test rows) are free of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import Table
from stacktune.errors import SearchError
from stacktune.families.losses import REWEIGHTED
from stacktune.objectives import SQUARED, kind_of
from stacktune.trials.attempt import Attempt
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.result import TrialResult, load_oof
from stacktune.trials.scoring import all_metrics, fold_scores
from stacktune.trials.trial import Trial

# Classes that are less likely are not worth a copy of the row.
MIN_CHANCE = 0.005


@dataclass(frozen=True)
class Pupil:
    """A model that was taught.

    result: as of a trial of the run, with the scores of its predictions against the true targets. oof: (n_rows,
    n_outputs) these predictions, each by a model that had not learnt from the row.
    """

    result: TrialResult
    oof: np.ndarray


def taught(problem: Problem, teacher: np.ndarray, family: str, config: Mapping[str, Any], folder: Path) -> Pupil:
    """Return one model of all rows, taught by predictions.

    problem: the run's own. teacher: (n_rows, n_outputs) out-of-fold predictions, NaN for rows without. folder: where the
    model is written.

    Raises:
        SearchError: it could not be fitted.
    """
    lesson, first = lesson_of(problem, teacher)
    trial = Trial(f"distilled-{family}", family, config, must_complete=True)
    place = folder / trial.trial_id
    place.mkdir(parents=True)
    attempt = Attempt(trial, lambda: climb(trial, lesson, TrialResources(place, folder / "states")))
    while not isinstance(outcome := attempt.advance(), TrialResult):
        pass
    if outcome.error:
        raise SearchError(f"{family} could not be taught: {outcome.error.splitlines()[0]}. Try another --family.")
    oof = load_oof(outcome)[first]
    judged = (problem.metric, problem.task, problem.table, problem.folds, oof)
    scores = fold_scores(*judged)
    metrics = all_metrics(*judged[1:], chosen=problem.metric)
    return Pupil(replace(outcome, fold_scores=scores, metrics=metrics), oof)


def lesson_of(problem: Problem, teacher: np.ndarray) -> tuple[Problem, np.ndarray]:
    """Return what is to be learnt, and where each row's first copy is.

    It is a problem whose targets are what the teacher said, on the same folds, with a model of all rows at the end.
    """
    table, task = problem.table, replace(problem.task, class_weights=())
    if task.is_classification:
        rows, target, share = _copies(table, teacher)
        weight = (1.0 if table.weight is None else table.weight[rows]) * share
        weight = (weight / weight.mean()).astype(np.float32)
    else:
        rows, share = np.arange(table.n_rows), None
        said = np.isfinite(teacher[:, 0])
        target = np.where(said, np.nan_to_num(teacher[:, 0]), table.labels)
        weight = table.weight
        # What is said is a median, or a quantile, already.
        task = replace(task, loss=SQUARED if kind_of(task.loss) in REWEIGHTED else task.loss)
    groups = rows if table.groups is None else table.groups[rows]
    taken = Table(table.features[rows], table.names, table.cardinalities, target, weight, groups.astype(np.int64))
    lesson = replace(problem, table=taken, task=task, folds=_of_copies(problem.folds, rows))
    return lesson, np.searchsorted(rows, np.arange(table.n_rows))


def _copies(table: Table, teacher: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, ascending, with a class and its probability each."""
    chances = np.where(np.isfinite(teacher), teacher, 0.0)
    silent = ~np.isfinite(teacher).all(axis=1)
    chances[silent] = np.eye(teacher.shape[1])[table.labels[silent]]
    chances[chances < MIN_CHANCE] = 0
    chances /= chances.sum(axis=1, keepdims=True)
    rows, target = np.nonzero(chances)
    return rows, target.astype(np.int32), chances[rows, target]


def _of_copies(folds: Folds, rows: np.ndarray) -> Folds:
    """Return the folds of copies: those of their rows."""
    return replace(
        folds,
        assignment=folds.assignment[rows],
        blocks=folds.blocks[rows],
        n_learning=None if folds.n_learning is None else folds.n_learning[rows],
        moments=None if folds.moments is None else folds.moments[rows],
        groups=rows if folds.groups is None else folds.groups[rows],
        again=tuple(assignment[rows] for assignment in folds.again),
        refits=True,
    )
