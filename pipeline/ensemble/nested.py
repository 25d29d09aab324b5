"""Learns and scores ensembles by nested cross-validation.

So they compare fairly with their members.

For each fold, candidates, weights and thresholds are learnt on the out-of-fold predictions of the other folds, and what
was learnt is scored on that fold. The blend to be used is learnt on all folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import BINARY, Task
from stacktune.ensemble.blend import AVERAGE, Blend
from stacktune.ensemble.candidates import Costs
from stacktune.ensemble.selection import BlendScorer, Block, select_nested
from stacktune.ensemble.stacker import fit_stack
from stacktune.ensemble.subsample import rows_to_learn_on
from stacktune.metrics import Metric, best_threshold, metrics_for, threshold_counts
from stacktune.objectives import SQUARED
from stacktune.seeds import derive_seed


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of some trials, and the truth.

    Rows are sorted by fold.

    predictions: (m, n, n_outputs). target: (n,). weight: (n,) or None. edges: (n_folds + 1,) where each fold begins.
    """

    predictions: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    edges: np.ndarray

    @property
    def n_folds(self) -> int:
        return len(self.edges) - 1

    def fold(self, fold: int) -> slice:
        """Return the rows of one fold."""
        return slice(self.edges[fold], self.edges[fold + 1])

    def other_rows(self, fold: int) -> np.ndarray:
        """Return the positions of rows outside a fold.

        They are of all rows for `n_folds`, the walk that sees everything.
        """
        rows = np.arange(len(self.target))
        return rows if fold == self.n_folds else np.delete(rows, self.fold(fold))

    def take(self, rows: np.ndarray, stands_for: np.ndarray | None) -> OutOfFold:
        """Return a copy of the ascending `rows`.

        Their weights are multiplied by what each stands for.
        """
        weight = None if self.weight is None else self.weight[rows]
        if stands_for is not None:
            weight = stands_for if weight is None else weight * stands_for
        return OutOfFold(self.predictions[:, rows], self.target[rows], weight, np.searchsorted(rows, self.edges))

    def learnt_on(self, task: Task, seed: int) -> OutOfFold:
        """Return the rows that ensembles are learnt on."""
        middle = self.predictions[:, :, 1].mean(axis=0) if task.kind == BINARY else None
        rows, stands_for = rows_to_learn_on(self.target, middle, derive_seed(seed, "ensemble rows"))
        return self if len(rows) == len(self.target) else self.take(rows, stands_for)


def gather(oof: Sequence[np.ndarray], target: np.ndarray, weight: np.ndarray | None, folds: Folds) -> OutOfFold:
    """Sort out-of-fold predictions by fold.

    They are (n, n_outputs) a trial in table order.
    """
    order = folds.judged_rows[np.argsort(folds.blocks[folds.judged_rows], kind="stable")]
    edges = np.searchsorted(folds.blocks[order], np.arange(folds.n_blocks + 1))
    predictions = np.stack([prediction[order] for prediction in oof])
    return OutOfFold(predictions, target[order], None if weight is None else weight[order], edges)


def greedy(
    held_out: OutOfFold, metric: Metric, allowed: np.ndarray, costs: Costs, go_on: Callable[[], bool]
) -> list[Blend]:
    """Return greedily selected averages, one without each fold.

    The last one is selected on all.
    """
    parts = [held_out.fold(fold) for fold in range(held_out.n_folds)]
    weight = held_out.weight
    blocks = tuple(Block(part, held_out.target[part], None if weight is None else weight[part]) for part in parts)
    shares = select_nested(held_out.predictions, BlendScorer(metric, blocks), allowed, go_on=go_on, fits=costs.fit)
    return [Blend(AVERAGE, tuple(row.tolist())) for row in shares]


def stacked(
    held_out: OutOfFold, allowed: np.ndarray, costs: Costs, pool: ThreadPoolExecutor, loss: str = SQUARED
) -> list[Blend]:
    """Return fitted stacks, one without each fold.

    The last one is fitted on all. loss: of values, see Task.
    """

    def fit(fold: int) -> Blend:
        rows = held_out.other_rows(fold)
        stack = _stack_of(held_out, loss, rows, np.flatnonzero(allowed[fold]))
        if costs.fit(stack.weights):
            return stack
        return _stack_of(held_out, loss, rows, costs.worthiest(np.array(stack.weights)))

    return list(pool.map(fit, range(len(allowed))))


def _stack_of(held_out: OutOfFold, loss: str, rows: np.ndarray, models: np.ndarray) -> Blend:
    """Return the stack of some models and rows.

    The other models weigh nothing.
    """
    weight = None if held_out.weight is None else held_out.weight[rows]
    stack = fit_stack(held_out.predictions[np.ix_(models, rows)], held_out.target[rows], weight, loss)
    weights = np.zeros(len(held_out.predictions))
    weights[models] = stack.weights
    return replace(stack, weights=tuple(weights.tolist()))


def nested_scores(
    held_out: OutOfFold, task: Task, blends: Sequence[Blend], pool: ThreadPoolExecutor, chosen: Metric
) -> dict[str, tuple[float, ...]]:
    """Return (n_folds,) scores by metric, higher better.

    Each fold is scored by the blend and the threshold learnt without it (see `all_metrics`). chosen: the run's metric.
    """
    metrics = metrics_for(task.kind, chosen)

    def score(fold: int) -> list[float]:
        prediction = blends[fold].combine(held_out.predictions)
        decided_at = _threshold(held_out, task, fold, prediction, chosen)
        part = held_out.fold(fold)
        weight = None if held_out.weight is None else held_out.weight[part]
        target, part_prediction = held_out.target[part], prediction[part]
        return [m.score(target, part_prediction, weight, decided_at) for m in metrics]

    by_fold = list(pool.map(score, range(held_out.n_folds)))
    columns = zip(*by_fold, strict=True)
    return {metric.name: scores for metric, scores in zip(metrics, columns, strict=True)}


def _threshold(held_out: OutOfFold, task: Task, fold: int, prediction: np.ndarray, chosen: Metric) -> float:
    rows = held_out.other_rows(fold)
    if task.kind != BINARY or not chosen.decides.needs_threshold or not np.isfinite(prediction[rows]).all():
        return 0.5
    weight = None if held_out.weight is None else held_out.weight[rows]
    return best_threshold(chosen.decides, *threshold_counts(held_out.target[rows], prediction[rows], weight))[0]


def thresholds_of(
    task: Task, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, chosen: Metric | None = None
) -> dict[str, float]:
    """Return the best threshold of each decision metric.

    They are keyed by the metric's name; there are none for tasks other than two classes. chosen: the run's metric.
    """
    if task.kind != BINARY or not np.isfinite(prediction).all():
        return {}
    thresholds, counts = threshold_counts(target, prediction, weight)
    deciding = [metric for metric in metrics_for(task.kind, chosen) if metric.needs_threshold]
    return {metric.name: best_threshold(metric, thresholds, counts)[0] for metric in deciding}
