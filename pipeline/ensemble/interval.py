"""Prediction intervals from errors on rows held out.

The problem: a prediction does not say how far off it may be.

The solution is split-conformal (Papadopoulos et al. 2002; Lei et al. 2018, arXiv 1604.04173): on rows that models had
not seen, the errors' own quantiles say how far a new row may lie above and below. Errors often grow with the value that
is predicted, so they are taken apart by that: each bin of predictions has its own quantiles (Mondrian conformal
regressors, Bostroem and Johansson 2020, PMLR 128). Both tails have the same share of the rows outside.

What is guaranteed: if a new row is exchangeable with the rows held out, and is predicted by a model that learnt from as
much as the one that held them out, its interval holds it with a probability of at least the level, also within a bin
(Vovk et al. 2005, 4.5). Here the errors are out-of-fold and the prediction is of all fold models together, so this
holds for one fold's model and its rows; over all folds it is a matter of measurement, as CV+ has 2 level - 1 at least
in the worst case and about the level in practice (Barber et al. 2021, arXiv 1905.02928, theorem 4). So the share of
rows that intervals hold is measured on each fold by intervals of the others, and on test rows. What is not guaranteed:
anything about rows that differ from those learnt from, as later ones or those of other groups may.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import Task
from stacktune.errors import ConfigError
from stacktune.objectives import LOG_LINK, kind_of

# Names of the columns beside a prediction.
LOWER, UPPER = "lower", "upper"
# A bin has at least so many rows beyond each end, as a quantile of fewer is known to a third of itself at best.
MIN_ROWS_BEYOND, MAX_BINS = 10, 10


@dataclass(frozen=True)
class Interval:
    """How far rows lie from their predictions.

    level: the share that intervals are to hold. edges: (n_bins - 1,) predictions at which the next bin begins.
    below, above: (n_bins,) what is added to a prediction for the ends. floor: no end is below it.
    """

    level: float
    edges: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    floor: float | None = None

    def ends(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends, both (n,).

        prediction: (n,) values.
        """
        place = np.searchsorted(np.array(self.edges), prediction, side="right")
        lower, upper = (prediction + np.array(gap)[place] for gap in (self.below, self.above))
        if self.floor is None:
            return lower, upper
        return np.maximum(lower, self.floor), np.maximum(upper, self.floor)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | None) -> Interval | None:
        """Read what `to_dict` wrote, or None."""
        if document is None:
            return None
        ends = {name: tuple(document[name]) for name in ("edges", "below", "above")}
        return cls(document["level"], **ends, floor=document["floor"])


@dataclass(frozen=True)
class Held:
    """What intervals held of some rows.

    coverage: the share of rows (or of weight) inside. width: of an interval, on average.
    """

    coverage: float
    width: float
    n_rows: int


def check_interval(level: float | None, task: Task, folds: Folds) -> None:
    """Raise ConfigError where intervals cannot be had.

    That is for classes, and for fewer rows than have one beyond each end.
    """
    if level is None:
        return
    if task.is_classification:
        raise ConfigError(
            f"--interval {level:g} is for regression, but this is a {task.kind} target, whose probabilities say how "
            "sure the model is. Leave --interval out; --calibrate makes the probabilities truer."
        )
    n_needed, n_rows = rows_needed(level), len(folds.judged_rows)
    if n_rows < n_needed:
        most = 1 - 2 / (n_rows + 1)
        raise ConfigError(
            f"--interval {level:g} needs {n_needed:,} rows that are held out, of which one lies beyond each end, but "
            f"there are {n_rows:,}: give at most --interval {math.floor(100 * most) / 100:g}."
        )


def rows_needed(level: float) -> int:
    """Return the least number of rows for a level."""
    return math.ceil(2 / (1 - level) - 1 - 1e-9)


def fit_interval(
    prediction: np.ndarray, target: np.ndarray, weight: np.ndarray | None, level: float, loss: str
) -> Interval:
    """Return the interval that errors on unseen rows need.

    prediction, target, weight: (n,); weight may be None. loss: what was fitted: some are only for targets above zero.
    """
    tail = (1 - level) / 2
    n_bins = int(np.clip(len(target) * tail // MIN_ROWS_BEYOND, 1, MAX_BINS))
    edges = np.unique(np.quantile(prediction, np.linspace(0, 1, n_bins + 1)[1:-1]))
    edges = edges[(edges > prediction.min()) & (edges <= prediction.max())]
    place = np.searchsorted(edges, prediction, side="right")
    gap = target - prediction
    below, above = [], []
    for bin_ in range(len(edges) + 1):
        rows = place == bin_
        of_rows = None if weight is None else weight[rows]
        below.append(-_beyond(-gap[rows], of_rows, tail))
        above.append(_beyond(gap[rows], of_rows, tail))
    floor = 0.0 if kind_of(loss) in LOG_LINK else None
    return Interval(level, tuple(edges.tolist()), tuple(below), tuple(above), floor)


def _beyond(gap: np.ndarray, weight: np.ndarray | None, tail: float) -> float:
    """Return the gap that a share of rows exceeds.

    The new row counts as one more, beyond all; where that is too much for the rows, it is the largest gap.
    """
    order = np.argsort(gap, kind="stable")
    total = np.cumsum(np.ones(len(gap)) if weight is None else weight[order], dtype=np.float64)
    aim = (1 - tail) * (total[-1] + total[-1] / len(gap))
    place = np.searchsorted(total, aim * (1 - 1e-12))
    return float(gap[order[min(place, len(gap) - 1)]])


def held_by(interval: Interval, prediction: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> Held:
    """Measure what intervals hold of rows, all (n,)."""
    lower, upper = interval.ends(prediction)
    inside = (lower <= target) & (target <= upper)
    return Held(
        float(np.average(inside, weights=weight)), float(np.average(upper - lower, weights=weight)), len(target)
    )


def held_out_of_fold(
    prediction: np.ndarray, target: np.ndarray, weight: np.ndarray | None, folds: Folds, level: float, loss: str
) -> Held:
    """Measure intervals on each block, made on the others.

    prediction, target, weight: (n_rows,) of all rows of the table.
    """
    coverage, width, n_rows, total = 0.0, 0.0, 0, 0.0
    for block in range(folds.n_blocks):
        rows, others = folds.block_rows(block), folds.other_block_rows(block)
        of_rows, of_others = (None if weight is None else weight[part] for part in (rows, others))
        held = held_by(
            fit_interval(prediction[others], target[others], of_others, level, loss),
            prediction[rows],
            target[rows],
            of_rows,
        )
        share = len(rows) if of_rows is None else float(of_rows.sum())
        coverage, width = coverage + share * held.coverage, width + share * held.width
        n_rows, total = n_rows + len(rows), total + share
    return Held(coverage / total, width / total, n_rows)
