"""The scores of a trial.

A trial is scored while a fit grows, at a rung, and on all folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import BINARY, Table, Task
from stacktune.metrics import Metric, choose_threshold, metrics_for


def part_score(metric: Metric, task: Task, table: Table, rows: np.ndarray, predictions: np.ndarray) -> float:
    """Score predictions (n_rows, n_outputs) of some `rows`.

    A threshold is chosen on these very rows, alike for all.
    """
    target = table.labels[rows]
    weight = None if table.weight is None else table.weight[rows]
    if metric.needs_threshold and task.kind == BINARY:
        threshold = choose_threshold(metric, target, predictions, weight)
        return metric.score(target, predictions, weight, threshold)
    return metric.score(target, predictions, weight)


def fold_scores(
    metric: Metric,
    task: Task,
    table: Table,
    folds: Folds,
    oof: np.ndarray,
    decided_at: Sequence[float] | None = None,
) -> tuple[float, ...]:
    """Score out-of-fold predictions block by block.

    decided_at: a threshold for each block; by default the metric's best on the other blocks.
    """
    if decided_at is None:
        decided_at = _thresholds(metric, task, table, folds, oof)
    scores = []
    for block, threshold in enumerate(decided_at):
        rows = folds.block_rows(block)
        weight = None if table.weight is None else table.weight[rows]
        scores.append(metric.score(table.labels[rows], oof[rows], weight, threshold))
    return tuple(scores)


def _thresholds(metric: Metric, task: Task, table: Table, folds: Folds, oof: np.ndarray) -> list[float]:
    """Return each block's threshold, chosen on the others."""
    if not metric.needs_threshold or task.kind != BINARY:
        return [0.5] * folds.n_blocks
    found = []
    for block in range(folds.n_blocks):
        others = folds.other_block_rows(block)
        weight = None if table.weight is None else table.weight[others]
        found.append(choose_threshold(metric, table.labels[others], oof[others], weight))
    return found


def all_metrics(task: Task, table: Table, folds: Folds, oof: np.ndarray, chosen: Metric) -> dict[str, float]:
    """Return every metric of the task, averaged over folds.

    Higher is better. All of them judge the same decisions, which are the model's own: an F1 at a threshold of its own
    is of decisions that nobody is given. chosen: the run's, which may be one of its own.
    """
    decided_at = _thresholds(chosen.decides, task, table, folds, oof)
    return {
        metric.name: float(np.mean(fold_scores(metric, task, table, folds, oof, decided_at)))
        for metric in metrics_for(task.kind, chosen)
    }
