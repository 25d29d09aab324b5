"""Explains a leader within so many seconds.

What a prediction costs is measured first; by that the rows are chosen, and the shuffles that are averaged. What was
left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table
from stacktune.ensemble.leader import Leader
from stacktune.explain import importance, shapley
from stacktune.explain.columns import RawColumn, raw_columns, together
from stacktune.explain.dependence import dependence
from stacktune.explain.related import groups_of
from stacktune.metrics import Metric
from stacktune.seeds import derive_seed

# Importance on fewer rows is mostly chance; on more it hardly changes.
MIN_ROWS, MAX_ROWS, N_TIMED_ROWS = 200, 10_000, 500
N_REPEATS = 5
# Of the seconds, what importance may take; the rest is for dependence of the foremost columns, and for single rows.
IMPORTANCE_SHARE, N_DEPENDENCES = 0.7, 6
N_WORST, MAX_WORST_ROWS = 20, 50_000


@dataclass(frozen=True)
class Explanation:
    """What a leader predicts by.

    importance: a row a column or group of columns, see `Importance`. dependence: by column, see `dependence`. rows: the
    Shapley values of single rows, see `shapley`; worst: the rows that were predicted worst, with their losses. notes:
    sentences on what was sampled or left out.
    """

    metric: str
    importance: pd.DataFrame
    dependence: dict[str, pd.DataFrame]
    rows: pd.DataFrame
    worst: pd.DataFrame
    notes: tuple[str, ...]


def explain(
    leader: Leader, table: Table, metric: Metric, seconds: float = 60.0, rows: Sequence[int] = (), seed: int = 0
) -> Explanation:
    """Explain a leader on rows new to it.

    table: encoded by the leader's schema. rows: positions of those that are explained one by one.
    """
    began_at, notes = time.monotonic(), []
    columns, predict = raw_columns(leader.schema), leader.predict_table
    row_us = _cost_us(leader, table)
    sample = _sample(table, seconds * IMPORTANCE_SHARE * 1e6 / row_us / max(1, len(columns)), seed)
    if sample.n_rows < table.n_rows:
        notes.append(f"importance is of {sample.n_rows:,} of {table.n_rows:,} rows, drawn at random")
    groups = groups_of(sample, columns)
    names = [" and ".join(one.name for one in group) for group in groups]
    notes += [f"{name} say nearly the same: they are also shuffled together" for name in names]
    looked_at = [*columns, *map(together, groups)]
    scorer = importance.scorer_of(sample, leader.task, metric, leader.threshold, seed)
    deadline = began_at + seconds * IMPORTANCE_SHARE
    found = importance.importances(predict, scorer, looked_at, N_REPEATS, seed, deadline)
    fewest, most = min(one.n_repeats for one in found), max(one.n_repeats for one in found)
    if fewest < N_REPEATS:
        notes.append(f"each column was shuffled {fewest} to {most} times of {N_REPEATS}, as time was up")
    if table.n_rows > MAX_WORST_ROWS:
        notes.append(f"the worst rows are those of {MAX_WORST_ROWS:,} that are evenly spread over the table")
    by_name = {one.name: one for one in columns}
    foremost = [by_name[one.column] for one in found if one.column in by_name][:N_DEPENDENCES]
    curves = _dependences(leader, table, foremost, began_at + seconds, seed)
    return Explanation(
        metric.name,
        importance.as_frame(found),
        curves,
        _of_rows(leader, table, columns, rows, seed),
        _worst(leader, table),
        tuple(notes),
    )


def _cost_us(leader: Leader, table: Table) -> float:
    """Return microseconds that a prediction takes a row, about."""
    some = table.take(np.arange(min(N_TIMED_ROWS, table.n_rows)))
    leader.predict_table(some)
    began_at = time.monotonic()
    leader.predict_table(some)
    return max(0.1, (time.monotonic() - began_at) * 1e6 / some.n_rows)


def _sample(table: Table, affordable: float, seed: int) -> Table:
    """Return rows for two shuffles of each column."""
    n_rows = int(np.clip(affordable / 2, MIN_ROWS, MAX_ROWS))
    if n_rows >= table.n_rows:
        return table
    chosen = np.random.default_rng(derive_seed(seed, "explained rows")).permutation(table.n_rows)[:n_rows]
    return table.take(np.sort(chosen))


def _dependences(
    leader: Leader, table: Table, foremost: Sequence[RawColumn], deadline: float, seed: int
) -> dict[str, pd.DataFrame]:
    """Return curves of the foremost columns, as time allows."""
    code = _class_looked_at(leader, table)
    curves: dict[str, pd.DataFrame] = {}
    for column in foremost:
        if curves and time.monotonic() >= deadline:
            break
        curves[column.name] = dependence(leader.predict_table, table, leader.task, column, code, seed)
    return curves


def _class_looked_at(leader: Leader, table: Table) -> int:
    """Return the positive class, or the most frequent."""
    if not leader.task.is_classification:
        return 0
    return 1 if leader.task.n_outputs == 2 else int(np.bincount(table.labels).argmax())


def _of_rows(
    leader: Leader, table: Table, columns: Sequence[RawColumn], rows: Sequence[int], seed: int
) -> pd.DataFrame:
    random = np.random.default_rng(derive_seed(seed, "background"))
    background = table.take(random.permutation(table.n_rows)[: shapley.N_BACKGROUND])
    found = shapley.attributions(leader.predict_table, table, leader.task, columns, rows, background, seed)
    return shapley.as_frame(found, columns)


def _worst(leader: Leader, table: Table) -> pd.DataFrame:
    """Return the rows that were predicted worst.

    Their loss is that of the class that they are of, or the distance from their value.
    """
    looked_at = evenly_spread(table.n_rows, MAX_WORST_ROWS)
    prediction, labels = leader.predict_table(table.take(looked_at)), table.labels[looked_at]
    if leader.task.is_classification:
        loss = -np.log(np.maximum(prediction[np.arange(len(labels)), labels], np.finfo(np.float64).tiny))
        truth = np.array(leader.task.classes, dtype=object)[labels]
    else:
        loss, truth = np.abs(prediction[:, 0] - labels), labels
    order = np.argsort(-loss, kind="stable")[:N_WORST]
    shown = leader.named(prediction[order], pd.Index(looked_at[order], name="row"))
    return shown.assign(**{leader.target_name: truth[order], "loss": loss[order]}).reset_index()
