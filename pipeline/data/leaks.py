"""Finds features that say the target outright."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import rankdata

from stacktune.data.orders import ordering_features
from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table, Task

# Fewer rows agree by chance.
_MIN_ROWS_OF_A_LEAK = 20
_MAX_RANKED_ROWS = 1_000
_MIN_KNOWN_SHARE = 0.5


def leak_notes(table: Table, task: Task, target_name: str) -> list[str]:
    """Return notes on features that tell the target.

    There is a sentence for each that says it outright or orders it nearly without error.
    """
    remedy = "leave it out if it is not known when predicting"
    telling = telling_features(table, task)
    notes = [f"{name} says {target_name} exactly, row by row: {remedy}" for name in telling]
    measure = "ROC AUC" if task.is_classification else "rank correlation"
    for order in ordering_features(table, task):
        if order.name not in telling:
            what = f"whether {order.name} is missing" if order.by_missing else order.name
            # Cut rather than rounded: what is not perfect is not to look so.
            degree = math.floor(order.degree * 1e4) / 1e4
            notes.append(f"{what} alone orders {target_name} nearly without error ({measure} {degree:.4f}): {remedy}")
    return notes


def telling_features(table: Table, task: Task) -> list[str]:
    """Return names of features that determine the target.

    The target follows from them in every row where they are known. For classification such a feature has about as many
    values as there are classes, each with rows of one class only; for regression one that rises, or falls, whenever the
    target does.
    """
    if table.n_rows < _MIN_ROWS_OF_A_LEAK:
        return []
    tells = _tells_class if task.is_classification else _tells_order
    some = evenly_spread(table.n_rows, _MAX_RANKED_ROWS)
    return [
        name
        for place, name in enumerate(table.names)
        if tells(table.features[some, place], table.labels[some], task)
        and tells(table.features[:, place], table.labels, task)
    ]


def _tells_class(values: np.ndarray, target: np.ndarray, task: Task) -> bool:
    known = np.isfinite(values)
    if known.mean() < _MIN_KNOWN_SHARE:
        return False
    levels, codes = np.unique(values[known], return_inverse=True)
    if not 2 <= len(levels) <= 2 * task.n_outputs:
        return False
    pairs = np.unique(codes * task.n_outputs + target[known])
    return len(pairs) == len(levels) and len(np.unique(target[known])) > 1


def _tells_order(values: np.ndarray, target: np.ndarray, task: Task) -> bool:
    known = np.isfinite(values)
    if known.mean() < _MIN_KNOWN_SHARE or values[known].min() == values[known].max():
        return False
    rows, aims = rankdata(values[known], "dense"), rankdata(target[known], "dense")
    return bool((rows == aims).all() or (rows == aims.max() + 1 - aims).all())
