"""Classes that weigh more while a model learns.

The problem: a model whose rare class weighs ten times as much takes more note of it, and says ten times as often that a
row is of it. Its probabilities are of a table that is not there.

What does not work well: to leave them so and choose another threshold. Costs, log loss, calibration and the mean with
other models all take probabilities for what they say.

To divide by the weights is right for a model that has learnt what there is to learn: the odds that it learns are the
true ones times the ratio of weights (Elkan 2001, theorem 2; Saerens et al. 2002). Trees that have learnt heavy rows by
heart find fewer of the kind among others: of 600 rows, 13 % of which weighed ten times as much, the mean of their
probabilities was 7 to 9 %.

The solution: every family gets a table whose weights hold the classes' factors, and what it predicts is divided by
factors again. These begin as the weights, and are moved until the mean prediction of the rows held out is the share
that each class has in the training rows. The held-out rows' targets are not looked at. Families know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import Table
from stacktune.families._checks import is_real
from stacktune.families._encode import read_parts, write_parts
from stacktune.families.base import Attributing, Config, Family, Job, Learner, Predictor

CLASS_WEIGHTS_FILE = "class_weights.npz"
# Means are within a thousandth of the shares by then; each step costs a pass through the predictions.
N_STEPS, MAX_GAP = 60, 1e-3


@dataclass(frozen=True)
class ClassWeights:
    """What rows of each class weighed.

    factors: (n_classes,) float64, above zero: what the classes weighed, or predictions are divided by.
    """

    factors: np.ndarray

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the factors."""
        if not is_real(self.factors, 1) or not (self.factors > 0).all():
            yield "a class weighs nothing"

    def weighed(self, table: Table) -> Table:
        """Return the table with weights to learn by."""
        weight = self.factors[table.labels] * (1.0 if table.weight is None else table.weight)
        return replace(table, weight=(weight / weight.mean()).astype(np.float32))

    def corrected(self, prediction: np.ndarray) -> np.ndarray:
        """Return probabilities of the classes as they are.

        prediction: (n_rows, n_classes) probabilities of the classes as they weighed.
        """
        if prediction.shape[1] != len(self.factors):
            raise ValueError(f"{len(self.factors)} classes have weights, and {prediction.shape[1]} were predicted")
        shares = prediction / self.factors
        total = shares.sum(axis=1, keepdims=True)
        return np.divide(shares, total, out=np.array(prediction, dtype=np.float64), where=total > 0)

    def matched(self, prediction: np.ndarray, weight: np.ndarray | None, shares: np.ndarray) -> ClassWeights:
        """Return factors that make means the classes' shares.

        prediction: (n_rows, n_classes) as learnt. weight: (n_rows,) or None. shares: (n_classes,) that sum to one; a
        class that has none keeps its factor.
        """
        there, found = shares > 0, self
        for _ in range(N_STEPS if len(prediction) else 0):
            means = np.average(found.corrected(prediction), axis=0, weights=weight)
            ratio = np.where(there & (means > 0), means / np.where(there, shares, 1), 1.0)
            if np.abs(ratio - 1).max() < MAX_GAP:
                break
            found = ClassWeights(found.factors * ratio)
        return found


class WeighedPredictor:
    """A model whose classes weighed more or less."""

    def __init__(self, model: Predictor, weights: ClassWeights):
        self._model = model
        self._weights = weights

    def predict(self, table: Table) -> np.ndarray:
        """Predict each row, as (n_rows, n_classes) float64."""
        return self._weights.corrected(self._model.predict(table))

    def contributions(self, table: Table) -> np.ndarray | None:
        """Return contributions, as `Attributing` says.

        To divide odds by weights moves the base alone.
        """
        found = self._model.contributions(table) if isinstance(self._model, Attributing) else None
        if found is not None:
            logs = np.log(self._weights.factors)
            found[:, -1] -= logs[1] - logs[0] if found.shape[2] == 1 else logs
        return found

    def save(self, folder: Path) -> None:
        """Write the model and its class weights."""
        self._model.save(folder)
        write_parts(folder / CLASS_WEIGHTS_FILE, {"class_weights": self._weights})


class WeighedLearner(WeighedPredictor):
    """A learner whose classes weigh more or less.

    All other verbs are the learner's own.
    """

    def __init__(self, learner: Learner, weights: ClassWeights, job: Job):
        super().__init__(learner, weights)
        self._learner = learner
        self._learnt = self._marked = weights
        table = job.table
        self._valid_weight = None if table.weight is None else table.weight[job.valid]
        weight = None if table.weight is None else table.weight[job.rows]
        sizes = np.bincount(table.labels[job.rows], weight, job.task.n_outputs)
        self._shares = sizes / sizes.sum()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def predict_valid(self) -> np.ndarray:
        """Predict the validation rows, as (n_valid, n_classes) float64."""
        prediction = self._learner.predict_valid()
        self._weights = self._learnt.matched(prediction, self._valid_weight, self._shares)
        return self._weights.corrected(prediction)

    def keep_best(self) -> None:
        """Remember the present state and factors as best."""
        self._marked = self._weights
        self._learner.keep_best()

    def restore_best(self) -> None:
        """Return to the best state, for good."""
        self._weights = self._marked
        self._learner.restore_best()


def with_class_weights(family: Family) -> Family:
    """Return the family with learners that weigh classes."""
    return replace(family, start=partial(_start, family), load=partial(_load, family))


def _start(family: Family, job: Job, config: Config) -> Any:
    if not job.task.class_weights:
        return family.start(job, config)
    weights = ClassWeights(np.array(job.task.class_weights, dtype=np.float64))
    weighed = job.cache.get(("class weights",), lambda: weights.weighed(job.table))
    return WeighedLearner(family.start(replace(job, table=weighed), config), weights, job)


def _load(family: Family, folder: Path) -> Predictor:
    model = family.load(folder)
    if not (folder / CLASS_WEIGHTS_FILE).exists():
        return model
    parts = read_parts(folder / CLASS_WEIGHTS_FILE, {"class_weights": ClassWeights})
    return WeighedPredictor(model, parts["class_weights"])
