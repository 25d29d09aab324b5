"""Targets for models, and predictions from their numbers.

Targets and weights become what a model trains on, and a model's numbers become a prediction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stacktune.data.table import BINARY, REGRESSION, Task
from stacktune.families._checks import refuse
from stacktune.families.base import Job
from stacktune.families.losses import (
    LOGARITHMIC,
    relative_weight,
    scaled,
    unit_of,
    unscaled,
    weighted_median,
    weighted_quantile,
)
from stacktune.objectives import ABSOLUTE, HUBER, LOG_LINK, PERCENTAGE, QUANTILE, SQUARED, kind_of, level_of

# On a scale of logarithms, predictions leave the range of training by this share of its width at most: an exponential
# of what a trend goes on to would soon be beyond all bounds.
BEYOND = 0.25
# Of models of exponentials, predictions go so many times beyond the largest target at most.
MOST_TIMES = 2.0
# A label where all are zero, as some libraries refuse targets that add up to nothing.
_NEXT_TO_NOTHING = 1e-6
# The spread of a normal distribution is so many times its median absolute deviation.
_SPREAD_OF_MEDIAN_DEVIATION = 1.4826


@dataclass(frozen=True)
class Output:
    """How a model's numbers become a prediction.

    Most models keep labels and sums in float32 and regularise in units of the target, so they are given regression
    targets less `mean` and over `spread`, and what they predict is turned back in float64.
    loss, unit: the scale that mean and spread are on, see losses.py. low, high: bounds on a scale of logarithms, or of
        predictions that are exponentials (see `_of_means`).
    """

    kind: str
    n_outputs: int
    mean: float = 0.0
    spread: float = 1.0
    loss: str = SQUARED
    unit: float = 1.0
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, task: Task, target: np.ndarray, weight: np.ndarray | None) -> Output:
        """Return the output of a model trained on `target`.

        The target is (n_rows,), and so is `weight` unless it is None.
        """
        if task.kind != REGRESSION:
            return cls(task.kind, task.n_outputs)
        if kind_of(task.loss) in LOG_LINK:
            return cls._of_means(task, target, weight)
        unit = unit_of(target, task.loss)
        values = scaled(target, task.loss, unit)
        if task.loss == ABSOLUTE or kind_of(task.loss) in (QUANTILE, HUBER):
            mean = weighted_median(values, weight)
            if kind_of(task.loss) == QUANTILE:
                mean = weighted_quantile(values, weight, level_of(task.loss))
            gaps = np.abs(values - mean)
            spread = float(np.average(gaps, weights=weight))
            if kind_of(task.loss) == HUBER:
                spread = _SPREAD_OF_MEDIAN_DEVIATION * weighted_median(gaps, weight) or spread
        else:
            mean = float(np.average(values, weights=weight))
            spread = float(np.sqrt(np.average(np.square(values - mean), weights=weight)))
        return cls(task.kind, 1, mean, spread if spread > 0 else 1.0, task.loss, unit, *_bounds(values, task.loss))

    @classmethod
    def _of_means(cls, task: Task, target: np.ndarray, weight: np.ndarray | None) -> Output:
        """Return the output of models of logarithms.

        Labels are shares of the mean, so that they are one on average. No prediction is below the mean over the number
        of rows: no part of a table can be known to be nearer to nothing.
        """
        mean = float(np.average(target, weights=weight))
        spread = mean if mean > 0 else 1.0
        most = MOST_TIMES * max(float(target.max()), spread)
        return cls(task.kind, 1, 0.0, spread, task.loss, 1.0, spread / len(target), most)

    def label(self, target: np.ndarray) -> np.ndarray:
        """Return what a model learns for each row.

        This is (n_rows,) float32: class codes, or values in units of the spread.
        """
        label = ((scaled(target, self.loss, self.unit) - self.mean) / self.spread).astype(np.float32)
        if kind_of(self.loss) in LOG_LINK and not label.any():
            label[:] = _NEXT_TO_NOTHING
        return label

    def response(self, margins: np.ndarray) -> np.ndarray:
        """Return sums of values, or their exponentials.

        They are exponentials where a model adds up logarithms of the mean.
        """
        if kind_of(self.loss) not in LOG_LINK:
            return margins
        return np.exp(np.minimum(margins, np.log(self.high / self.spread)))

    def prediction(self, raw: np.ndarray) -> np.ndarray:
        """Return the prediction, (n_rows, n_outputs) float64.

        raw: what the model puts out: P(class 1), softmax rows, or scaled values.
        """
        raw = np.asarray(raw, dtype=np.float64)
        if self.kind == REGRESSION:
            values = raw * self.spread + self.mean
            if self.loss in LOGARITHMIC or kind_of(self.loss) in LOG_LINK:
                values = np.clip(values, self.low, self.high)
            return unscaled(values, self.loss, self.unit).reshape(-1, 1)
        if self.kind == BINARY:
            return np.column_stack([1.0 - raw, raw])
        raw = raw.reshape(-1, self.n_outputs)
        return raw / raw.sum(axis=1, keepdims=True)

    def raw_contributions(self, margins: np.ndarray) -> np.ndarray:
        """Return contributions to raw scores (see `Attributing`).

        margins: (n_rows, n_features + 1, n_scores) contributions to what the model sums up; the base comes last.
        """
        found = np.array(margins, dtype=np.float64)
        if self.kind != REGRESSION:
            return found
        if kind_of(self.loss) in LOG_LINK:
            found[:, -1] += np.log(self.spread)
            return found
        found *= self.spread
        found[:, -1] += self.mean
        return found

    def save(self, folder: Path) -> None:
        """Write output.json."""
        (folder / "output.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Output:
        """Read output.json, or raise DataError where it is none."""
        path = folder / "output.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise refuse(path, f"it cannot be read ({error})") from None


def output_of(job: Job) -> Output:
    """Return the output for models of the job's rows."""
    return Output.of(job.task, job.table.labels[job.rows], weight_of(job))


def weight_of(job: Job) -> np.ndarray | None:
    """Return the weights of the job's rows, or None.

    They are (n_rows,) float32, and one on average as penalties are in units of rows. Where errors are shares of the
    target, the weights are part of the loss; see losses.py.
    """
    given = given_weight_of(job)
    if job.task.loss != PERCENTAGE:
        return given
    target = job.table.labels[job.rows]
    weight = relative_weight(target, unit_of(target, PERCENTAGE)) * (1.0 if given is None else given)
    return (weight / weight.mean()).astype(np.float32)


def given_weight_of(job: Job) -> np.ndarray | None:
    """Return the table's own weights of the job's rows.

    They are as `weight_of` returns them, without what a loss of shares adds.
    """
    if job.table.weight is None:
        return None
    weight = job.table.weight[job.rows].astype(np.float64)
    return (weight / weight.mean()).astype(np.float32)


def objective_of(task: Task, names: Mapping[str, str]) -> str:
    """Return the library's own name for the task's loss.

    `names` has what models fit by kind of task, and by loss where it is another.
    """
    kind = kind_of(task.loss)
    return names[kind if kind in names else task.kind]


def level_parameter(task: Task, names: Mapping[str, str]) -> dict[str, float]:
    """Return the library's parameter for a loss's level.

    names: what it is called, by kind of loss. There is none for losses without a level.
    """
    kind = kind_of(task.loss)
    return {names[kind]: level_of(task.loss)} if kind in names else {}


def _bounds(values: np.ndarray, loss: str) -> tuple[float, float]:
    if loss not in LOGARITHMIC:
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    return low - BEYOND * (high - low), high + BEYOND * (high - low)
