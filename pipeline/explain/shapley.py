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

What is guaranteed: along each order the contributions add up to the difference between the row's prediction and the
background row's, so their sum has no residual beyond rounding; their means are unbiased, and their standard errors are
printed beside them. What is not: that a column's contribution is its effect in the world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.table import Table, Task
from stacktune.ensemble.leader import Leader
from stacktune.explain.columns import RawColumn
from stacktune.explain.progress import Tell
from stacktune.explain.trees import exact_contributions
from stacktune.seeds import derive_seed

N_BACKGROUND = 32
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
    background: Table,
    seed: int,
    tell: Tell,
) -> list[Attribution]:
    """Return the Shapley values of rows of a leader.

    They are exact where it is nothing but trees whose raw scores add up to its output, and as of `attributions`
    otherwise.
    """
    if not rows:
        return []
    exact = _by_paths(leader, table, columns, rows)
    if exact is not None:
        return exact
    found = []
    for place, row in enumerate(rows):
        tell("explaining rows", place, len(rows))
        found += attributions(leader.predict_table, table, leader.task, columns, [row], background, seed)
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
) -> list[Attribution]:
    """Return the Shapley values of some rows.

    background: rows like those that the model is used on; N_BACKGROUND of them are enough, and each is one pair of
    orders. Of two classes the second one is explained, of more the likeliest.
    """
    found = []
    for row in rows:
        one = table.features[row]
        prediction = predict(replace(table.take(np.array([row])), target=None, weight=None, groups=None))
        code = 1 if task.n_outputs == 2 else int(prediction[0].argmax())
        output = float(outputs_of(task, prediction, code)[0])
        found.append(_of_row(predict, one, task, code, columns, background, derive_seed(seed, "row", row), row, output))
    return found


def _of_row(
    predict: Callable[[Table], np.ndarray],
    one: np.ndarray,
    task: Task,
    code: int,
    columns: Sequence[RawColumn],
    background: Table,
    seed: int,
    row: int,
    output: float,
) -> Attribution:
    rng, n = np.random.default_rng(seed), background.n_rows
    orders = np.array([rng.permutation(len(columns)) for _ in range(n)])
    chains = [
        _chain(one, start, columns, order)
        for start, forwards in zip(background.features, orders, strict=True)
        for order in (forwards, forwards[::-1])
    ]
    hybrids = replace(background, features=np.concatenate(chains), target=None, weight=None, groups=None)
    said = outputs_of(task, predict(hybrids), code).reshape(2 * n, len(columns) + 1)
    steps = np.diff(said, axis=1)
    values = np.empty((2 * n, len(columns)))
    for place, order in enumerate(order for forwards in orders for order in (forwards, forwards[::-1])):
        values[place, order] = steps[place]
    pairs = values.reshape(n, 2, len(columns)).mean(axis=1)
    errors = pairs.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(columns), np.nan)
    of = task.classes[code] if task.is_classification else None
    return Attribution(row, float(said[:, 0].mean()), output, pairs.mean(axis=0), errors, of)


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
            (one.row, column.name, value, error, one.of, one.how)
            for one in found
            for column, value, error in zip(columns, one.values, one.errors, strict=True)
        ],
        columns=["row", "column", "contribution", "standard_error", "class", "how"],
    )
