"""The choice of how many units a fit keeps.

Units are trees or epochs, and are chosen so that the fit's out-of-fold score stays honest.

The problem: a fit grows until the rows that it holds out stop getting better, and keeps the best state that it saw on
the way. If the same rows are then scored at that state, the score is the best of many looks: of 400 rows of pure noise
the cross-validated area under the curve was .548, where new rows gave .496. Everything that is built on out-of-fold
predictions believes it, and favours families that look more often.

What does not work well: a fixed number of units costs quality on every table. An inner split costs rows, which small
tables lack. One number for all folds, chosen on the mean of their curves, is still chosen on all rows that are scored,
and no fold can be finished before the last one is grown.

The solution: the held-out rows of a fold are dealt into N_PARTS. Each part is predicted at the number of units that was
best on the *other* parts of its fold and on the folds that were fitted before, whose score curves are added up. The
model that is kept is the one that was best on all parts and those folds. So the first fold decides from its own rows,
and later ones lean on what the earlier ones saw, which is steadier than a single fold of few rows.

What is guaranteed: no held-out row takes part in choosing the units at which it is predicted itself. What is not: the
fit ends some time after the best look at all rows (see `FoldFit.is_over`), and that look includes the row.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from stacktune.data.duplicates import copies_of
from stacktune.data.folds import Folds, deal
from stacktune.data.grouped import first_of_group
from stacktune.data.ordered import pieces
from stacktune.data.table import Table, Task
from stacktune.metrics import METRICS, Metric, is_defined
from stacktune.seeds import derive_seed

N_PARTS = 5
# Ranks among fewer rows of the rarest class than this change by leaps; log loss is defined, and smooth, on any.
MIN_ROWS_OF_A_CLASS = 10

# The (units, score) pairs of one fold's looks, in the order of the looks.
Curve = tuple[tuple[int, float], ...]


def stopping_metric(metric: Metric, task: Task, table: Table, folds: Folds) -> Metric:
    """Return the metric that decides the units kept.

    It is log loss where the chosen metric is too coarse for that: for decisions at a threshold, and for folds in which
    the rarest class has less than MIN_ROWS_OF_A_CLASS rows. It is log loss or RMSE for a metric of the run's own.
    """
    if not task.is_classification:
        # A function of the user's may take a thousand times as long, and every look at a growing model would ask it.
        return METRICS["rmse"] if metric.is_own else metric
    n_rarest = np.bincount(table.labels[folds.judged_rows], minlength=task.n_outputs).min()
    rarest = n_rarest / (folds.n_folds // folds.n_repeats)
    is_coarse = metric.needs_threshold or metric.is_own
    return METRICS["log_loss"] if is_coarse or rarest < MIN_ROWS_OF_A_CLASS else metric


def parts_of(table: Table, task: Task, folds: Folds, fold: int, seed: int) -> np.ndarray:
    """Return the part of each row held out.

    The parts are (n_valid,) int8, for the rows that fold `fold` holds out.

    A holdout is parted as it is judged, in its blocks; a fold with the same share of each class in each part, and with
    copies of a row in one part, or a row would choose for its copy what is best for itself. So it is with the rows of a
    group, and with those of one time, of which each part is a piece.
    """
    rows = folds.valid_rows(fold)
    if folds.n_folds == 1:
        return folds.blocks[rows]
    n_parts = min(N_PARTS, len(rows))
    if folds.moments is not None:
        return pieces(folds.moments[rows], n_parts)
    if folds.groups is not None:
        together = first_of_group(folds.groups[rows])
        n_groups = len(np.unique(together))
        # A single group has no parts; its rows are dealt by themselves then.
        n_parts, together = (min(n_parts, n_groups), together) if n_groups > 1 else (n_parts, np.arange(len(rows)))
    else:
        together = copies_of(table.take(rows))
    return deal(table.labels[rows], task, n_parts, derive_seed(seed, "stopping", fold), together)


@dataclass(frozen=True)
class Held:
    """The rows that a fit holds out.

    target, weight, parts: (n,); weight may be None. earlier: curves of other folds.

    Without parts, all rows decide for all.
    """

    target: np.ndarray
    weight: np.ndarray | None = None
    parts: np.ndarray | None = None
    earlier: tuple[Curve, ...] = ()


class Stopping:
    """The choice of units, look by look.

    At the units chosen, the parts are predicted and the model is kept.
    """

    def __init__(self, metric: Metric, held: Held):
        self._metric = metric
        self._held = held
        self._everywhere = np.ones(len(held.target), dtype=bool)
        inside = [] if held.parts is None else [np.asarray(held.parts == part) for part in np.unique(held.parts)]
        if len(inside) > 1:
            self._parts = [_Best(rows, ~rows) for rows in inside]
        else:
            self._parts = [_Best(self._everywhere, self._everywhere)]
        self._whole = _Best(~self._everywhere, self._everywhere)
        self._curve: list[tuple[int, float]] = []

    @property
    def best_units(self) -> int:
        """Return the units at which the model is kept.

        They are 0 before the first look.
        """
        return self._whole.units

    @property
    def curve(self) -> Curve:
        """Return the looks at all rows of this fold."""
        return tuple(self._curve)

    @property
    def predictions(self) -> np.ndarray | None:
        """Return the predictions, or None before the first look.

        They are (n, n_outputs), each part's at the units that other rows chose.
        """
        if self._whole.predictions is None:
            return None
        chosen = np.empty((len(self._everywhere), self._whole.predictions.shape[1]))
        for part in self._parts:
            chosen[part.rows] = part.predictions
        return chosen

    def look(self, n_units: int, predictions: np.ndarray) -> bool:
        """Take in the (n, n_outputs) predictions by `n_units`.

        Return whether the model is to be kept as it is now.
        """
        before = sum(_score_at(curve, n_units) for curve in self._held.earlier)
        for part in self._parts:
            part.look(n_units, before + self._score(predictions, part.judges), predictions)
        score = self._score(predictions, self._everywhere)
        self._curve.append((n_units, score))
        return self._whole.look(n_units, before + score, predictions)

    def _score(self, predictions: np.ndarray, rows: np.ndarray) -> float:
        weight = None if self._held.weight is None else self._held.weight[rows]
        return self._metric.score(self._held.target[rows], predictions[rows], weight)


class _Best:
    """The best look for some rows, judged by others."""

    def __init__(self, rows: np.ndarray, judges: np.ndarray):
        self.rows = rows
        self.judges = judges
        self.units = 0
        self.score = -np.inf
        self.predictions: np.ndarray | None = None

    def look(self, n_units: int, score: float, predictions: np.ndarray) -> bool:
        is_best = score > self.score or self.units == 0
        if is_best:
            self.units, self.score, self.predictions = n_units, score, predictions[self.rows]
        return is_best


def _score_at(curve: Curve, n_units: int) -> float:
    """Return a fold's score at `n_units`.

    It is the score of the fold's last look up to there, or of its first, and the fold's worst where that is undefined.
    """
    n_seen = bisect_right(curve, n_units, key=lambda look: look[0])
    score = curve[max(0, n_seen - 1)][1]
    if is_defined(score):
        return score
    return min((other for _, other in curve if is_defined(other)), default=0.0)
