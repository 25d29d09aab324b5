"""Shapley values of single rows.

The problem: why is this row predicted so? Members' own Shapley values (TreeSHAP) do not add up to what an ensemble of
trees and nets predicts.

The solution: the game is the leader's prediction of a row whose unknown columns have the values of a background row
(interventional, Janzing et al. 2020, arXiv 1910.13413), and columns join in random orders, each order once forwards and
once backwards (antithetic, Mitchell et al. 2022, arXiv 2104.12199). Classes are explained on the scale of log-odds, on
which what columns add is nearly a sum.

A leader that is one tree model, or a weighted mean of tree models of values, has values of its own: those of its
trees' paths (`exact_contributions`), where unknown columns have the values that training rows had below the same
splits. They are exact, and of another game.

Which background rows were drawn is most of the chance in that; they are made to speak for many more (adjusted.py).

What is guaranteed: along each order the contributions add up to the difference between the row's prediction and the
background row's. Their means are unbiased, and their standard errors are printed beside them. Once they are adjusted,
what they add up to differs from the row's distance to the mean of the many by a residual, which is printed, too. What
is not: that a column's contribution is its effect in the world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.table import Table, Task
from stacktune.ensemble.leader import Leader
from stacktune.explain.adjusted import adjusted
from stacktune.explain.columns import RawColumn
from stacktune.explain.progress import Tell
from stacktune.explain.trees import exact_contributions
from stacktune.seeds import derive_seed

N_BACKGROUND, N_CROWD = 32, 500
# Probabilities nearer to 0 or 1 have no log-odds to speak of.
TINY = 1e-6
# How values came about: by orders in which columns join, or by a tree's paths, which is exact.
BY_ORDERS, BY_PATHS = "orders", "paths"
# What a sum of float32 leaves may be off by, of its size.
MAX_ROUNDING = 1e-3


@dataclass(frozen=True)
class Attribution:
    """The Shapley values of one row.

    base: the mean output of the background rows, output: the row's. values, errors: (n_columns,) contributions, and
    their standard errors. of: the class whose log-odds are explained; None for a value.
    """

    row: int
    base: float
    output: float
    values: np.ndarray
    errors: np.ndarray
    of: str | None = None
    how: str = BY_ORDERS

    @property
    def residual(self) -> float:
        """Return what the contributions leave unexplained."""
        return self.output - self.base - float(self.values.sum())


def of_leader(
    leader: Leader,
    table: Table,
    columns: Sequence[RawColumn],
    rows: Sequence[int],
    crowd: Table,
    seed: int,
    tell: Tell,
) -> list[Attribution]:
    """Return the Shapley values of rows of a leader.

    crowd: rows like those that it is used on, N_CROWD of them at most.

    They are exact where it is nothing but trees whose raw scores add up to its output, and as of `attributions`
    otherwise.
    """
    if not rows:
        return []
    exact = _by_paths(leader, table, columns, rows)
    if exact is not None:
        return exact
    found = []
    few = crowd.take(np.arange(min(N_BACKGROUND, crowd.n_rows)))
    for place, row in enumerate(rows):
        tell("explaining rows", place, len(rows))
        found += attributions(leader.predict_table, table, leader.task, columns, [row], few, seed, crowd)
    return found


def _by_paths(
    leader: Leader, table: Table, columns: Sequence[RawColumn], rows: Sequence[int]
) -> list[Attribution] | None:
    some = replace(table.take(np.array(rows)), target=None, weight=None, groups=None)
    shares = exact_contributions(leader, some)
    if shares is None:
        return None
    task = leader.task
    outputs = outputs_of(task, leader.predict_table(some), 1 if task.is_classification else 0)
    if not np.allclose(shares.sum(axis=1), outputs, rtol=MAX_ROUNDING, atol=MAX_ROUNDING * float(np.ptp(shares))):
        return None
    values = np.column_stack([shares[:, list(one.features)].sum(axis=1) for one in columns])
    nothing = np.zeros(len(columns))
    return [
        Attribution(row, float(base), float(output), own, nothing, task.positive, BY_PATHS)
        for row, base, output, own in zip(rows, shares[:, -1], outputs, values, strict=True)
    ]


def outputs_of(task: Task, prediction: np.ndarray, code: int) -> np.ndarray:
    """Return (n,) values, or the log-odds of a class."""
    if not task.is_classification:
        return prediction[:, 0]
    chance = np.clip(prediction[:, code], TINY, 1 - TINY)
    return np.log(chance / (1 - chance))


def attributions(
    predict: Callable[[Table], np.ndarray],
    table: Table,
    task: Task,
    columns: Sequence[RawColumn],
    rows: Sequence[int],
    background: Table,
    seed: int,
    crowd: Table | None = None,
) -> list[Attribution]:
    """Return the Shapley values of some rows.

    background: rows like those that the model is used on; N_BACKGROUND of them are enough, and each is one pair of
    orders. crowd: many more such rows, for which they are to speak. Of two classes the second one is explained, of more
    the likeliest.
    """
    found = []
    of_crowd = None if crowd is None else predict(replace(crowd, target=None, weight=None, groups=None))
    for row in rows:
        one = table.features[row]
        prediction = predict(replace(table.take(np.array([row])), target=None, weight=None, groups=None))
        code = 1 if task.n_outputs == 2 else int(prediction[0].argmax())
        output = float(outputs_of(task, prediction, code)[0])
        pairs, base = _pairs(predict, one, task, code, columns, background, derive_seed(seed, "row", row))
        if crowd is not None and of_crowd is not None:
            pairs = adjusted(pairs, background, crowd, columns)
            base = float(outputs_of(task, of_crowd, code).mean())
        n = len(pairs)
        errors = pairs.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(columns), np.nan)
        of = task.classes[code] if task.is_classification else None
        found.append(Attribution(row, base, output, pairs.mean(axis=0), errors, of))
    return found


def _pairs(
    predict: Callable[[Table], np.ndarray],
    one: np.ndarray,
    task: Task,
    code: int,
    columns: Sequence[RawColumn],
    background: Table,
    seed: int,
) -> tuple[np.ndarray, float]:
    """Return contributions, and the background's mean output.

    The contributions are (n_background, n_columns), each the mean of a pair of orders.
    """
    rng, n = np.random.default_rng(seed), background.n_rows
    orders = [
        order for _ in range(n) for forwards in [rng.permutation(len(columns))] for order in (forwards, forwards[::-1])
    ]
    starts = np.repeat(background.features, 2, axis=0)
    chains = [_chain(one, start, columns, order) for start, order in zip(starts, orders, strict=True)]
    hybrids = replace(background, features=np.concatenate(chains), target=None, weight=None, groups=None)
    said = outputs_of(task, predict(hybrids), code).reshape(2 * n, len(columns) + 1)
    values = np.empty((2 * n, len(columns)))
    np.put_along_axis(values, np.array(orders), np.diff(said, axis=1), axis=1)
    return values.reshape(n, 2, len(columns)).mean(axis=1), float(said[:, 0].mean())


def _chain(one: np.ndarray, start: np.ndarray, columns: Sequence[RawColumn], order: np.ndarray) -> np.ndarray:
    """Return rows in which columns join one by one."""
    chain = np.repeat(start[None, :], len(columns) + 1, axis=0)
    for step, place in enumerate(order, 1):
        chain[step:, list(columns[place].features)] = one[list(columns[place].features)]
    return chain


def as_frame(found: Sequence[Attribution], columns: Sequence[RawColumn]) -> pd.DataFrame:
    """Return a row a column of each explained row."""
    return pd.DataFrame(
        [
            (one.row, column.name, value, error, one.of, one.how, one.base, one.output)
            for one in found
            for column, value, error in zip(columns, one.values, one.errors, strict=True)
        ],
        columns=["row", "column", "contribution", "standard_error", "class", "how", "base", "output"],
    )
