"""Permutation importance of the leader, with intervals and p-values.

The problem: a stacked ensemble has no coefficients, and its members' own measures (gain, SHAP of trees) are of the
members, not of what predicts.

The solution is to shuffle a column's values and to see what that costs the leader's score (Breiman 2001; Fisher,
Rudin and Dominici 2019, arXiv 1801.01489), on rows that it has not learnt from. Two things make that figure uncertain:
which shuffle it was, and which rows they were. Shuffles are repeated and averaged. The rows are parted into blocks,
each of which gives a figure of its own; their spread is that of the rows, and with it come an interval and a one-sided
t-test of "shuffling costs nothing".

What is guaranteed: of a column that the leader does not look at, the figure is zero. What is not: that a column of no
figure tells nothing (another may tell the same, see related.py), nor that p-values hold for many columns at once: of a
hundred columns of noise five are below .05.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from stacktune.data.folds import deal
from stacktune.data.table import Table, Task
from stacktune.explain.columns import RawColumn
from stacktune.explain.progress import Tell, silent
from stacktune.metrics import Metric, is_defined
from stacktune.seeds import derive_seed

Predict = Callable[[Table], np.ndarray]
N_BLOCKS, MIN_ROWS_A_BLOCK = 10, 20
# Of the confidence interval.
LEVEL = 0.95
# Groups of fewer rows are shuffled together.
MIN_IN_A_GROUP = 20
# Several columns are asked about in one go, as a call costs more than a few rows.
MAX_ROWS_AT_ONCE, MAX_CELLS_AT_ONCE = 20_000, 4_000_000


@dataclass(frozen=True)
class Importance:
    """What shuffling a column costs.

    column: its name, or those of several that were shuffled together. importance: the loss of score, positive where the
    column helps. low, high: its interval. p_value: of "it helps nothing". n_repeats: shuffles that were averaged.
    """

    column: str
    importance: float
    low: float
    high: float
    p_value: float
    n_repeats: int


@dataclass(frozen=True)
class Scorer:
    """Scores predictions on all rows and on each block.

    threshold: from which probability on the second of two classes is decided for.
    """

    table: Table
    metric: Metric
    threshold: float
    blocks: tuple[np.ndarray, ...]

    def scores(self, prediction: np.ndarray) -> np.ndarray:
        """Return scores of all rows and each block."""
        return np.array([self._score(prediction, rows) for rows in (np.arange(self.table.n_rows), *self.blocks)])

    def _score(self, prediction: np.ndarray, rows: np.ndarray) -> float:
        weight = None if self.table.weight is None else self.table.weight[rows]
        score = self.metric.score(self.table.labels[rows], prediction[rows], weight, self.threshold)
        return score if is_defined(score) else math.nan


def scorer_of(table: Table, task: Task, metric: Metric, threshold: float, seed: int) -> Scorer:
    """Return the scorer of a table."""
    labels = table.labels
    n_rarest = int(np.bincount(labels, minlength=task.n_outputs).min()) if task.is_classification else len(labels)
    n_blocks = int(np.clip(min(len(labels) // MIN_ROWS_A_BLOCK, n_rarest), 0, N_BLOCKS))
    blocks: tuple[np.ndarray, ...] = ()
    if n_blocks > 1:
        parts = deal(labels, task, n_blocks, derive_seed(seed, "importance"), np.arange(len(labels)))
        blocks = tuple(np.flatnonzero(parts == block) for block in range(n_blocks))
    return Scorer(table, metric, threshold, blocks)


def importances(
    predict: Predict,
    scorer: Scorer,
    columns: Sequence[RawColumn],
    n_repeats: int,
    seed: int,
    deadline: float = math.inf,
    at_latest: float = math.inf,
    n_rows_at_once: int = MAX_ROWS_AT_ONCE,
    tell: Tell = silent,
) -> list[Importance]:
    """Return the importance of each column, the largest first.

    columns: also such as are shuffled together. deadline: on `time.monotonic()`'s scale: shuffles that are not done by
    then are left out, but each column has one. at_latest: columns whose first shuffle is not begun by then are left
    out. n_rows_at_once: that are predicted in one go.
    """
    table = scorer.table
    base = scorer.scores(predict(table))
    losses: list[list[np.ndarray]] = [[] for _ in columns]
    n_at_once = max(1, min(n_rows_at_once, MAX_CELLS_AT_ONCE // max(1, table.n_features)) // max(1, table.n_rows))
    for repeat in range(n_repeats):
        for start in range(0, len(columns), n_at_once):
            if time.monotonic() >= (deadline if repeat else at_latest):
                return _sorted(columns, losses)
            batch = range(start, min(start + n_at_once, len(columns)))
            said = predict(_shuffled(table, [columns[place] for place in batch], repeat, seed))
            for place, own in zip(batch, np.split(said, len(batch)), strict=True):
                if time.monotonic() >= at_latest:  # a metric of the run's own may take long
                    return _sorted(columns, losses)
                losses[place].append(base - scorer.scores(own))
            tell("shuffling columns", repeat * len(columns) + batch.stop, n_repeats * len(columns))
    return _sorted(columns, losses)


def _shuffled(table: Table, columns: Sequence[RawColumn], repeat: int, seed: int) -> Table:
    """Return the table once for each column, that shuffled.

    Values stay within a table's groups, where it has some; those of few rows are one group together, as within them
    there is little to shuffle.
    """
    n_rows = table.n_rows
    asked = table.take(np.tile(np.arange(n_rows), len(columns)))
    for place, column in enumerate(columns):
        random = np.random.default_rng(derive_seed(seed, "shuffle", column.name, repeat))
        rows, features = slice(place * n_rows, (place + 1) * n_rows), list(column.features)
        asked.features[rows, features] = table.features[:, features][_order(table, random)]
    return asked


def _order(table: Table, random: np.random.Generator) -> np.ndarray:
    order = random.permutation(table.n_rows)
    if table.groups is None:
        return order
    # Each row gets a row of its own group: those come in the order drawn, to places in the order of the table.
    _, group, counts = np.unique(table.groups, return_inverse=True, return_counts=True)
    group = np.where(counts[group] < MIN_IN_A_GROUP, -1, group)
    found = np.empty_like(order)
    found[np.argsort(group, kind="stable")] = order[np.argsort(group[order], kind="stable")]
    return found


def _sorted(columns: Sequence[RawColumn], losses: Sequence[Sequence[np.ndarray]]) -> list[Importance]:
    pairs = zip(columns, losses, strict=True)
    found = [_summed_up(column.name, np.array(of_column)) for column, of_column in pairs if of_column]
    return sorted(found, key=lambda one: -one.importance)


def _summed_up(name: str, losses: np.ndarray) -> Importance:
    """Return the importance of (n_repeats, 1 + n_blocks) losses."""
    from scipy.stats import t

    mean, of_blocks = float(losses[:, 0].mean()), losses[:, 1:].mean(axis=0)
    of_blocks = of_blocks[np.isfinite(of_blocks)]
    if len(of_blocks) < 2:
        return Importance(name, mean, math.nan, math.nan, math.nan, len(losses))
    if not losses[:, 0].any():  # the leader does not look at it
        return Importance(name, 0.0, 0.0, 0.0, 1.0, len(losses))
    error = float(of_blocks.std(ddof=1) / np.sqrt(len(of_blocks)))
    half = error * float(t.ppf((1 + LEVEL) / 2, len(of_blocks) - 1))
    p_value = float(t.sf(mean / error, len(of_blocks) - 1)) if error > 0 else float(mean <= 0)
    return Importance(name, mean, mean - half, mean + half, p_value, len(losses))


def as_frame(found: Sequence[Importance]) -> pd.DataFrame:
    """Return importances as a table, a row each."""
    return pd.DataFrame([asdict(one) for one in found], columns=[one.name for one in fields(Importance)])
