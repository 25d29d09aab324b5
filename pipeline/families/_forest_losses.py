"""How forests fit losses.

Trees split by squares, or by Poisson's deviance; what they say together is a mean where the loss is least at the mean,
else something that the values of all trees' leaves tell of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from stacktune.data.table import Task
from stacktune.objectives import ABSOLUTE, HUBER, HUBER_DELTA, LOG_LINK, QUANTILE, kind_of, level_of
from stacktune.seeds import derive_seed

ROWS_A_THREAD = 2000
# What a note says of forests under these losses.
WAYS = {
    ABSOLUTE: "the median of trees",
    QUANTILE: "the quantile of a row drawn from each tree's leaf",
    HUBER: "Huber's mean of trees",
    "tweedie": "Poisson's deviance, which is least at the mean, too",
}

Together = Callable[[Sequence[Any], np.ndarray], np.ndarray]


def split_parameters(task: Task) -> dict[str, str]:
    """Return scikit-learn's parameters for the splits."""
    return {"criterion": "poisson"} if kind_of(task.loss) in LOG_LINK else {}


def together_of(loss: str) -> Together | None:
    """Return what trees say together under a loss.

    It is None where that is the mean, which can be added up tree by tree.
    """
    if loss == ABSOLUTE:
        return median_of
    if kind_of(loss) == QUANTILE:
        return partial(quantile_of, level_of(loss))
    return huber_of if kind_of(loss) == HUBER else None


def median_of(trees: Sequence[Any], columns: np.ndarray) -> np.ndarray:
    """Take the median of trees, as (n_rows, 1) float64.

    It is that of what scikit-learn's tree objects say of `columns`.

    Leaves of few rows hold about what a random row like this one has, so the median over trees is near the median of
    such rows, which their mean is not. It lost to no other way to fit absolute errors on nine tables, at no cost:
    medians in leaves, other scales of the target, or scikit-learn's own criterion, which is four times slower.
    """
    return _by_parts(trees, columns, lambda said: np.median(said, axis=1))


def quantile_of(level: float, trees: Sequence[Any], columns: np.ndarray) -> np.ndarray:
    """Take a quantile of trees, as (n_rows, 1) float64.

    See `draw_leaf_rows` for what each tree says.
    """
    return _by_parts(trees, columns, lambda said: np.quantile(said, level, axis=1))


def huber_of(trees: Sequence[Any], columns: np.ndarray) -> np.ndarray:
    """Take Huber's mean of trees, as (n_rows, 1) float64.

    It is one step from the median, to which trees that are further off than the loss is wide add no more than those
    that are as far (Huber 1964).
    """

    def one_step(said: np.ndarray) -> np.ndarray:
        middle = np.median(said, axis=1, keepdims=True)
        return (middle + np.clip(said - middle, -HUBER_DELTA, HUBER_DELTA).mean(axis=1, keepdims=True))[:, 0]

    return _by_parts(trees, columns, one_step)


def _by_parts(trees: Sequence[Any], columns: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    parts = np.split(columns, range(ROWS_A_THREAD, len(columns), ROWS_A_THREAD))
    said = (np.hstack([tree.predict(part).reshape(-1, 1) for tree in trees]) for part in parts)
    return np.concatenate([of(values) for values in said]).reshape(-1, 1)


def draw_leaf_rows(
    trees: Sequence[Any],
    columns: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    seed: int,
    first: int,
) -> None:
    """Give each leaf the target of one random row.

    The row is one of those of `columns` that fall into the leaf, drawn by their weights. Over all trees, these are
    draws from the weights that a quantile regression forest gives the rows (Meinshausen 2006), without their lists
    (Wright and Ziegler 2017, ranger, has it so).

    trees: scikit-learn's tree objects, in place; the first of them is number `first` of its forest.
    """
    for number, tree in enumerate(trees, first):
        random = np.random.default_rng(derive_seed(seed, "leaf rows", number))
        lot = random.exponential(size=len(target)) / (1.0 if weight is None else weight)
        leaf = tree.apply(columns)
        order = np.lexsort((lot, leaf))
        chosen = order[np.append(True, np.diff(leaf[order]) > 0)]
        tree.value[leaf[chosen], 0, 0] = target[chosen]
