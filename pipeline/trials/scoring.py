"""The scores of a trial.

A trial is scored while a fit grows, at a rung, and on all folds.
"""

from __future__ import annotations

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


def fold_scores(metric: Metric, task: Task, table: Table, folds: Folds, oof: np.ndarray) -> tuple[float, ...]:
    """Score out-of-fold predictions block by block.

    A block's threshold is chosen on the other blocks.
    """
    scores = []
    for block in range(folds.n_blocks):
        rows, others = folds.block_rows(block), folds.other_block_rows(block)
        weight = None if table.weight is None else table.weight[rows]
        threshold = 0.5
        if metric.needs_threshold and task.kind == BINARY:
            other_weight = None if table.weight is None else table.weight[others]
            threshold = choose_threshold(metric, table.labels[others], oof[others], other_weight)
        scores.append(metric.score(table.labels[rows], oof[rows], weight, threshold))
    return tuple(scores)


def all_metrics(
    task: Task, table: Table, folds: Folds, oof: np.ndarray, chosen: Metric | None = None
) -> dict[str, float]:
    """Return every metric of the task, averaged over folds.

    Higher is better. chosen: the run's, which may be one of its own.
    """
    metrics = metrics_for(task.kind, chosen)
    return {metric.name: float(np.mean(fold_scores(metric, task, table, folds, oof))) for metric in metrics}
