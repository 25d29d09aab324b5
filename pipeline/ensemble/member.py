"""One trial's fold models as one predictor.

The K models are averaged as probabilities (or values), not as logits. Both averages lose less than the models do on the
mean, but one fold model that says 0 (a forest's empty leaf) would veto the others in a mean of logits; and a mean is
what greedy selection takes across members, so that one operation serves both.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.table import Table
from pipeline.errors import DataError
from pipeline.families.base import Predictor
from pipeline.families.registry import get_family

_N_LOADERS = 4


@dataclass(frozen=True)
class Member:
    """One trial's fold models."""

    trial_id: str
    family: str
    predictors: tuple[Predictor, ...]

    def predict(self, table: Table) -> np.ndarray:
        """Return (n_rows, n_outputs) float64: the mean of the fold models' predictions."""
        total = np.array(self.predictors[0].predict(table), dtype=np.float64)
        for predictor in self.predictors[1:]:
            total += predictor.predict(table)
        return total / len(self.predictors)


def load_member(folder: Path, trial_id: str, family: str) -> Member:
    """Read the models in `folder`/fold0, fold1, …; DataError if there is none."""
    n_folds = len(list(folder.glob("fold[0-9]*")))
    if n_folds == 0:
        raise DataError(f"{folder} holds no fold models of {trial_id!r}; is the folder complete?")
    load = get_family(family).load
    with ThreadPoolExecutor(_N_LOADERS) as pool:
        predictors = tuple(pool.map(load, [folder / f"fold{fold}" for fold in range(n_folds)]))
    return Member(trial_id, family, predictors)
