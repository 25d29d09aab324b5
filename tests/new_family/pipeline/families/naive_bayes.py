"""Gaussian naive Bayes: within a class every feature is normal by itself, and a missing value says nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stacktune.data.table import Table
from stacktune.families.base import Config, Family, Job
from stacktune.families.suitability import SearchConditions, Turn, Unsuited

MAX_ROWS = 10_000


@dataclass(frozen=True)
class NaiveBayes:
    """means, variances: (n_outputs, n_features) float64. priors: (n_outputs,) float64, 0 for a class never seen."""

    means: np.ndarray
    variances: np.ndarray
    priors: np.ndarray

    def predict(self, table: Table) -> np.ndarray:
        """Return (n_rows, n_outputs) float64."""
        with np.errstate(divide="ignore"):
            margins = np.tile(np.log(self.priors), (table.n_rows, 1))
        for code, (mean, variance) in enumerate(zip(self.means, self.variances, strict=True)):
            terms = (table.features - mean) ** 2 / variance + np.log(variance)
            margins[:, code] -= 0.5 * np.nansum(terms, axis=1)
        odds = np.exp(margins - margins.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        np.savez(folder / "naive_bayes.npz", **asdict(self))


def load(folder: Path) -> NaiveBayes:
    """Read what `save` wrote."""
    with np.load(folder / "naive_bayes.npz", allow_pickle=False) as stored:
        return NaiveBayes(**stored)


class NaiveBayesLearner:
    """The first unit fits, further ones have nothing to add."""

    def __init__(self, job: Job, config: Config):
        self._job = job
        self._smoothing = config["smoothing"]
        self.n_units = 0

    def advance(self, units: int) -> None:
        if self.n_units == 0:
            self._model = _fit(self._job.table.take(self._job.rows), self._job.task.n_outputs, self._smoothing)
        self.n_units += units

    def predict_valid(self) -> np.ndarray:
        return self.predict(self._job.table.take(self._job.valid))

    def keep_best(self) -> None: ...

    def restore_best(self) -> None: ...

    def predict(self, table: Table) -> np.ndarray:
        return self._model.predict(table)

    def save(self, folder: Path) -> None:
        self._model.save(folder)


def _fit(table: Table, n_outputs: int, smoothing: float) -> NaiveBayes:
    weight = np.ones(table.n_rows) if table.weight is None else table.weight.astype(np.float64)
    features = table.features.astype(np.float64)
    overall = np.nan_to_num(np.nanvar(features, axis=0)) + 1e-9
    means, variances = np.zeros((n_outputs, table.n_features)), np.tile(overall, (n_outputs, 1))
    for code in np.unique(table.target):
        rows = np.ma.masked_invalid(features[table.target == code])
        given = weight[table.target == code]
        means[code] = np.ma.average(rows, axis=0, weights=given).filled(0.0)
        variances[code] = np.ma.average((rows - means[code]) ** 2, axis=0, weights=given).filled(0.0)
    priors = np.bincount(table.target, weight, minlength=n_outputs) / weight.sum()
    return NaiveBayes(means, variances + smoothing * overall, priors)


def _suits(conditions: SearchConditions) -> Unsuited | None:
    if conditions.n_rows <= MAX_ROWS:
        return None
    return Unsuited(f"naive Bayes learns nothing more from over {MAX_ROWS:,} rows")


FAMILY = Family(
    name="naive_bayes",
    unit="fit",
    max_units=lambda _: 1,
    start=NaiveBayesLearner,
    load=load,
    tasks=frozenset({"binary", "multiclass"}),
    suits=_suits,
    turn=Turn(usual=15, many_classes=5),
)
