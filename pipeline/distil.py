"""Teaches one model what an ensemble says.

The problem: an ensemble of dozens of models is better than each of them, and slower by their number.

What does not work well: to teach a model what the ensemble says of the rows that it has learnt from. It knows many of
those targets by heart, and so would its pupil, less well than from the targets themselves.

The solution is to learn from what the ensemble said out of fold (Bucila et al. 2006, "Model compression"; Hinton et
al. 2015, arXiv 1503.02531). A class's probability is learnt by a copy of the row for each class, which weighs as much
as its probability: the log loss of such rows is the cross-entropy with the ensemble, whatever the family. Half of what
is learnt is the targets themselves, and all of it in rows that nobody held out. Copies of a row are a group: they are
held out together, and none tells of another.

What it is worth cannot be told by cross-validation on what was said: that comes from models that knew the target of the
row that is judged, and a pupil of their answers on rows like it knows it, too. By measurement, of pure noise such
scores were an area under the curve of .675 (600 rows, six seeds), and .816 where new rows had .753. So the pupil is
judged on rows that no model has seen: test rows, or one fold, for which the leader's trials are fitted anew on the
others (`judged_on_a_fold`), which takes as long as they once did. By that, new rows of noise have .5.

What is guaranteed: the rows that a pupil is judged on were known neither to it, nor to whoever taught it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stacktune.data.folds import MIN_FOLDS, Folds
from stacktune.data.table import Table
from stacktune.ensemble.blend import Blend
from stacktune.ensemble.member import load_member, predict_members
from stacktune.errors import SearchError
from stacktune.families.base import Config
from stacktune.families.losses import REWEIGHTED
from stacktune.objectives import SQUARED, kind_of
from stacktune.trials.attempt import Attempt
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.result import TrialResult, load_oof
from stacktune.trials.trial import Trial

# Classes that are less likely are not worth a copy of the row.
MIN_CHANCE = 0.005
# The targets' own part in what is learnt, beside what the teacher said: adult's test rows had an AUC of .9303 by none
# of it, .9312 by half and .9311 by nothing else (39,000 rows).
TRUTH = 0.5


@dataclass(frozen=True)
class OneFold:
    """A pupil's word on a fold set aside.

    rows: (n,) of the run's table. prediction: (n, n_outputs).
    """

    rows: np.ndarray
    prediction: np.ndarray


def taught(problem: Problem, teacher: np.ndarray, family: str, config: Config, folder: Path) -> TrialResult:
    """Return the trial of one taught model.

    It is fitted on all rows.

    problem: the run's own. teacher: (n_rows, n_outputs) out-of-fold predictions, NaN for rows without. folder: where
    the model is written.

    Raises:
        SearchError: it could not be fitted.
    """
    return _completed(
        Trial(f"distilled-{family}", family, config, must_complete=True), lesson_of(problem, teacher), folder
    )


def can_judge_on_a_fold(folds: Folds) -> bool:
    """Return whether a fold can be set aside.

    There must be two others to teach by.
    """
    return not folds.is_ordered and folds.n_folds // folds.n_repeats > MIN_FOLDS


def judged_on_a_fold(
    problem: Problem,
    members: Sequence[tuple[str, Config]],
    blend: Blend,
    family: str,
    config: Config,
    folder: Path,
) -> OneFold:
    """Teach a pupil without the first fold.

    It is then asked about that one.

    members: (family, configuration) of the trials that teach. blend: of them, learnt without that fold.
    """
    rest, rows = np.flatnonzero(problem.folds.assignment != 0), np.flatnonzero(problem.folds.assignment == 0)
    without = replace(problem, table=problem.table.take(rest), folds=_without_first(problem.folds, rest))
    said = []
    for place, (name, of_member) in enumerate(members):
        trial = Trial(f"teacher-{place}", name, of_member, must_complete=True)
        said.append(load_oof(_completed(trial, without, folder)))
    pupil = taught(without, blend.combine(said), family, config, folder)
    model = load_member(pupil.place, pupil.trial_id, family)
    return OneFold(rows, predict_members([model], problem.table.take(rows))[0])


def _without_first(folds: Folds, rest: np.ndarray) -> Folds:
    """Return the folds without the first one's rows."""
    n_folds = folds.n_folds // folds.n_repeats - 1
    assignment = (folds.assignment[rest] - 1).astype(folds.assignment.dtype)
    groups = None if folds.groups is None else folds.groups[rest]
    return Folds(assignment, n_folds, assignment, n_folds, groups=groups)


def _completed(trial: Trial, problem: Problem, folder: Path) -> TrialResult:
    place = folder / trial.trial_id
    place.mkdir(parents=True)
    attempt = Attempt(trial, lambda: climb(trial, problem, TrialResources(place, folder / "states")))
    while not isinstance(outcome := attempt.advance(), TrialResult):
        pass
    if outcome.error:
        raise SearchError(f"{trial.family} could not be fitted: {outcome.error.splitlines()[0]}. Try another --family.")
    return outcome


def lesson_of(problem: Problem, teacher: np.ndarray) -> Problem:
    """Return what is to be learnt.

    It is a problem whose targets are what the teacher said, on the same folds, with a model of all rows at the end.
    """
    table, task = problem.table, replace(problem.task, class_weights=())
    if task.is_classification:
        rows, target, share = _copies(table, teacher)
        weight = (1.0 if table.weight is None else table.weight[rows]) * share
        weight = (weight / weight.mean()).astype(np.float32)
    else:
        rows = np.arange(table.n_rows)
        # What is said is a median or a quantile already, and its mean with a target would be none.
        is_quantile = kind_of(task.loss) in REWEIGHTED
        truth = 0.0 if is_quantile else TRUTH
        mixed = (1 - truth) * np.nan_to_num(teacher[:, 0]) + truth * table.labels
        target = np.where(np.isfinite(teacher[:, 0]), mixed, table.labels)
        weight = table.weight
        task = replace(task, loss=SQUARED if is_quantile else task.loss)
    groups = rows if table.groups is None else table.groups[rows]
    taken = Table(table.features[rows], table.names, table.cardinalities, target, weight, groups.astype(np.int64))
    return replace(problem, table=taken, task=task, folds=_of_copies(problem.folds, rows))


def _copies(table: Table, teacher: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return copies: rows, classes and their probabilities.

    Rows are ascending.
    """
    true = np.eye(teacher.shape[1])[table.labels]
    said = np.isfinite(teacher).all(axis=1, keepdims=True)
    chances = np.where(said, (1 - TRUTH) * teacher + TRUTH * true, true)
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
