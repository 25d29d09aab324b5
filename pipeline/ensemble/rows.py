"""The leaderboard's rows, and their table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stacktune.data.table import BINARY, Task
from stacktune.ensemble.blend import Blend
from stacktune.ensemble.fold_pruning import FoldSubsets
from stacktune.ensemble.limits import megabytes
from stacktune.errors import SearchError
from stacktune.metrics import WORST, Metric, metrics_for
from stacktune.trials.result import COMPLETED

if TYPE_CHECKING:
    import pandas as pd

TRIAL, ENSEMBLE = "trial", "ensemble"


@dataclass(frozen=True)
class LeaderboardRow:
    """One trial or ensemble.

    score: the chosen metric as people read it; the mean over folds, or the last rung's where it did not complete.
    score_se: standard error of that mean, std over folds (ddof 1) / sqrt(n_folds); NaN where it did not complete.
    fold_scores: the chosen metric fold by fold, higher is better.
    metrics: every metric of the task as people read it; empty where it did not complete.
    thresholds: the best threshold of each two-class decision metric on all rows.
    members, folds, blend: the trials that it predicts by, which of their fold models, and how; of a completed trial,
        itself.
    candidates, nested: of an ensemble, the trials that it was chosen from, and the blends of these that were learnt
        without each block of rows.
    fit_s: of an ensemble, its members' together. predict_us: microseconds a raw row, to encode it and by
        all models that are asked. n_bytes: of these models on the disk; None where size is not limited.
    is_dear: whether even one model of each member takes more time or room than a leader may.
    test: every metric on the test table as people read it, once scored.
    error: why a trial failed, or has no score.
    """

    name: str
    family: str
    kind: str
    status: str
    score: float
    score_se: float
    fold_scores: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    folds: FoldSubsets = ()
    blend: Blend | None = None
    candidates: tuple[str, ...] = ()
    nested: tuple[Blend, ...] = ()
    fit_s: float = 0.0
    predict_us: float = 0.0
    n_bytes: int | None = None
    is_dear: bool = False
    scheduler: str = ""
    rungs_reached: int = 0
    n_rungs: int = 0
    test: Mapping[str, float] | None = None
    error: str | None = None

    @property
    def how(self) -> Blend:
        """Return the blend of a predicting row.

        Raises TypeError where the row cannot predict.
        """
        if self.blend is None:
            raise TypeError(f"{self.name} was not completed and cannot predict")
        return self.blend

    @property
    def is_scored(self) -> bool:
        """Return whether the chosen metric is defined for it."""
        return math.isfinite(self.score)

    @property
    def rungs(self) -> str:
        """Return the rungs reached of all, e.g. "3/3".

        It is empty for ensembles.
        """
        return f"{self.rungs_reached}/{self.n_rungs}" if self.kind == TRIAL else ""


@dataclass(frozen=True)
class Leaderboard:
    """The results of every trial and ensemble.

    rows: completed ones from the best on, those without a score last, then stopped, then failed ones.
    metric: the chosen one.
    selection_penalty: what trials' scores are lowered by to be ranked beside ensembles, see leaderboard.py.
    predict_budget_us: what a prediction was to cost a row at most, if a limit was set. max_model_mb: the megabytes that
        its models may take, likewise.
    """

    rows: tuple[LeaderboardRow, ...]
    metric: Metric
    task: Task
    selection_penalty: float = 0.0
    predict_budget_us: float | None = None
    max_model_mb: float | None = None

    @property
    def n_too_large(self) -> int:
        """Return how many completed rows are too large.

        Their models take more of the disk than a leader may.
        """
        if self.max_model_mb is None:
            return 0
        return sum(megabytes(row.n_bytes) > self.max_model_mb for row in self.rows)

    @property
    def n_too_dear(self) -> int:
        """Return how many completed rows are too dear.

        Their predictions cost more than the budget.
        """
        limit = float("inf") if self.predict_budget_us is None else self.predict_budget_us
        return sum(row.status == COMPLETED and row.predict_us > limit for row in self.rows)

    @property
    def leader(self) -> LeaderboardRow:
        """Return the best row.

        Raises SearchError if nothing was completed, or nothing that was has a score.
        """
        if not self.rows or self.rows[0].status != COMPLETED:
            raise SearchError(f"no trial was completed, so there is no leader; give the search more time.{self._why()}")
        if not self.rows[0].is_scored:
            name = self.metric.name
            raise SearchError(
                f"no trial has a defined {name}, so there is no leader; choose another --metric.{self._why()}"
            )
        return self.rows[0]

    def threshold(self, row: LeaderboardRow) -> float | None:
        """Return a row's threshold for the positive class.

        From that probability on, a completed row decides for the positive of two classes.

        It is the best for the chosen metric; 0.5 where that ranks rows or judges probabilities, which no threshold
        changes.
        """
        if self.task.kind != BINARY or row.status != COMPLETED:
            return None
        return row.thresholds.get(self.metric.decides.name, 0.5)

    def _why(self) -> str:
        errors = {row.error.strip().splitlines()[-1] for row in self.rows if row.error and row.error.strip()}
        return f" What went wrong: {'; '.join(sorted(errors)[:3])}" if errors else ""

    def to_frame(self) -> pd.DataFrame:
        """Return the leaderboard as a table, best first.

        Every other metric's mean is in a column of its name.
        """
        import pandas as pd

        absent = float("nan")
        columns: dict[str, Sequence[Any]] = {"rank": range(1, len(self.rows) + 1)}
        columns |= self._attributes("name", "family", "kind", "status", "score", "score_se")
        for other in metrics_for(self.task.kind, self.metric):
            if other.name != self.metric.name:
                columns[other.name] = [row.metrics.get(other.name, absent) for row in self.rows]
        if self.task.kind == BINARY:
            thresholds = map(self.threshold, self.rows)
            columns["threshold"] = [absent if threshold is None else threshold for threshold in thresholds]
        columns |= self._attributes("fit_s", "predict_us", "scheduler", "rungs")
        # Of a model that is not whole nobody knows what it would take.
        columns["predict_us"] = [row.predict_us if row.status == COMPLETED else absent for row in self.rows]
        if self.max_model_mb is not None:
            columns["model_mb"] = [megabytes(row.n_bytes) for row in self.rows]
        if any(row.test is not None for row in self.rows):
            columns["test_score"] = [(row.test or {}).get(self.metric.name, absent) for row in self.rows]
        columns["error"] = [row.error or "" for row in self.rows]
        return pd.DataFrame(columns)

    def _attributes(self, *names: str) -> dict[str, list]:
        return {name: [getattr(row, name) for row in self.rows] for name in names}


def standard_error(scores: np.ndarray | Sequence[float]) -> float:
    """Return the standard error of a mean over folds.

    It is NaN of one score, and where one is undefined.
    """
    if len(scores) < 2 or min(scores) <= WORST:
        return float("nan")
    return float(np.std(scores, ddof=1) / np.sqrt(len(scores)))
