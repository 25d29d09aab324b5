"""Finds features that alone order the target.

They may order it only nearly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table, Task

# Of honest features hardly any comes so far alone.
_MIN_ORDER = 0.999
# A part of the rows is looked at first, where chance may take something away.
_MIN_ORDER_OF_SOME = 0.99
_MAX_RANKED_ROWS = 1_000
# Fewer rows are put in order by chance.
_MIN_ROWS_IN_ORDER, _MIN_OF_A_CLASS = 50, 5
_MAX_CLASSES = 50
_MIN_KNOWN_SHARE = 0.5
# The mean target of a level says nothing of levels that have one row each.
_MIN_ROWS_A_LEVEL = 50

Measure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Order:
    """A feature that orders the target.

    degree: the least ROC AUC between neighbouring classes, or the rank correlation without its sign. by_missing: it is
    not its values that do, but whether there is one.
    """

    name: str
    degree: float
    by_missing: bool = False


def ordering_features(table: Table, task: Task) -> list[Order]:
    """Return features that alone order the target.

    They do so with an AUC or a rank correlation of at least .999.

    Several classes count as ordered if any two are, so that a feature which tells one class from all others, as honest
    ones do, is not among them. Categories are ordered by the mean of the target.
    """
    rows = _rows_of_usual_classes(table, task)
    if len(rows) < _MIN_ROWS_IN_ORDER or (task.is_classification and len(np.unique(table.labels[rows])) < 2):
        return []
    if task.n_outputs > _MAX_CLASSES:
        return []
    some = _some(rows, table.labels, task)
    found = []
    for place, name in enumerate(table.names):
        column, is_coded = table.features[:, place], place >= table.n_numeric
        if is_coded and table.cardinalities[place - table.n_numeric] > len(rows) / _MIN_ROWS_A_LEVEL:
            continue
        for by_missing in (False, True):
            measure = _measure(task, is_coded, by_missing)
            if measure is None or measure(column[some], table.labels[some]) < _MIN_ORDER_OF_SOME:
                continue
            degree = measure(column[rows], table.labels[rows])
            if degree >= _MIN_ORDER:
                found.append(Order(name, degree, by_missing))
                break
    return found


def _rows_of_usual_classes(table: Table, task: Task) -> np.ndarray:
    if not task.is_classification:
        return np.arange(table.n_rows)
    sizes = np.bincount(table.labels, minlength=task.n_outputs)
    return np.flatnonzero(sizes[table.labels] >= _MIN_OF_A_CLASS)


def _some(rows: np.ndarray, target: np.ndarray, task: Task) -> np.ndarray:
    """Return some of the rows, by class.

    There are about as many of each class, so that a rare one is not missed.
    """
    if not task.is_classification:
        return rows[evenly_spread(len(rows), _MAX_RANKED_ROWS)]
    groups = [rows[target[rows] == code] for code in np.unique(target[rows])]
    return np.concatenate(
        [group[evenly_spread(len(group), max(20, _MAX_RANKED_ROWS // len(groups)))] for group in groups]
    )


def _measure(task: Task, is_coded: bool, by_missing: bool) -> Measure | None:
    """Return the measure of a feature's order.

    It says how well the feature orders the target, and is None where it does not apply.
    """
    if by_missing:
        return _missing_order if task.is_classification and not is_coded else None
    if is_coded:
        return _level_order if task.is_classification else _level_correlation
    return _class_order if task.is_classification else _correlation


def _class_order(values: np.ndarray, target: np.ndarray) -> float:
    known = np.isfinite(values)
    return _least_auc(values[known], target[known]) if known.mean() >= _MIN_KNOWN_SHARE else 0.0


def _missing_order(values: np.ndarray, target: np.ndarray) -> float:
    missing = np.isnan(values)
    return _least_auc(missing.astype(np.float32), target) if missing.any() and not missing.all() else 0.0


def _least_auc(values: np.ndarray, target: np.ndarray) -> float:
    """Return the least AUC between neighbouring classes.

    They are neighbours in the order of their mean ranks.
    """
    codes, places = np.unique(target, return_inverse=True)
    if len(codes) < 2 or values.min() == values.max():
        return 0.0
    ranks = rankdata(values)
    by_rank = np.argsort(np.bincount(places, ranks) / np.bincount(places))
    return min(_auc(ranks[places == one], ranks[places == other]) for one, other in pairwise(by_rank))


def _auc(lower: np.ndarray, upper: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([lower, upper]))[len(lower) :]
    return float((ranks.sum() - len(upper) * (len(upper) + 1) / 2) / (len(lower) * len(upper)))


def _level_order(codes: np.ndarray, target: np.ndarray) -> float:
    """Return the least AUC of classes, by level.

    It is of any class against the others, the rows ordered by their level's share of that class.
    """
    places = np.unique(codes, return_inverse=True)[1]
    least = 1.0
    for code in np.unique(target):
        shares = np.bincount(places, target == code) / np.bincount(places)
        least = min(least, _least_auc(shares[places], (target == code).astype(np.int64)))
        if least < _MIN_ORDER_OF_SOME:
            break
    return least


def _level_correlation(codes: np.ndarray, target: np.ndarray) -> float:
    places = np.unique(codes, return_inverse=True)[1]
    return _correlation((np.bincount(places, target) / np.bincount(places))[places], target)


def _correlation(values: np.ndarray, target: np.ndarray) -> float:
    """Return Spearman's rank correlation without its sign.

    It is of the rows where the value is known.
    """
    known = np.isfinite(values)
    values, target = values[known], target[known]
    if known.mean() < _MIN_KNOWN_SHARE or values.min() == values.max() or target.min() == target.max():
        return 0.0
    return float(abs(np.corrcoef(rankdata(values), rankdata(target))[0, 1]))
