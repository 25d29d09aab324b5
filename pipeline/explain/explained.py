"""Explains a leader on labelled rows.

It keeps to so many seconds. What a prediction costs is measured first; by that the rows are chosen, and the shuffles
that are averaged. What was left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table
from stacktune.ensemble.leader import Leader
from stacktune.explain import shapley
from stacktune.explain.columns import RawColumn
from stacktune.explain.explanation import Explanation
from stacktune.explain.inquiry import Inquiry, ask, effort_within
from stacktune.explain.progress import Tell, silent
from stacktune.explain.segments import ALL, Judged, gaps, segments
from stacktune.explain.segments import MIN_ROWS as MIN_SEGMENT_ROWS
from stacktune.explain.trees import MAX_ROWS as MAX_TREE_ROWS
from stacktune.explain.trees import Part, column_order, members_say
from stacktune.explain.worst import worst_rows
from stacktune.metrics import Metric
from stacktune.seeds import derive_seed

# That are predicted for the worst rows and for segments; of the seconds, what the worst rows may take.
MIN_PREDICTED_ROWS, MAX_PREDICTED_ROWS = 2_000, 50_000
PREDICTED_SHARE, TREES_SHARE = 0.2, 0.1


def explain(
    leader: Leader,
    table: Table,
    metric: Metric,
    seconds: float = 60.0,
    rows: Sequence[int] = (),
    seed: int = 0,
    by: Sequence[tuple[str, pd.Series]] = (),
    tell: Tell = silent,
) -> Explanation:
    """Explain a leader on rows new to it.

    table: encoded by the leader's schema. rows: positions of those that are explained one by one. by: names and raw
    values of columns, for each of whose segments the leader is scored; they and single rows are beyond `seconds`.
    """
    began_at = time.monotonic()
    inquiry = Inquiry(leader.predict_table, table, leader.schema, leader.task, metric, leader.threshold, seed)
    said = members_say(_parts(leader, table), inquiry.columns, began_at + TREES_SHARE * seconds)
    row_us = inquiry.cost_us()
    effort = effort_within(seconds, began_at, row_us, len(inquiry.columns))
    found = ask(inquiry, effort, column_order(said, inquiry.columns), tell)
    tell("predicting rows", 0, 1)
    affordable = MAX_PREDICTED_ROWS if by else PREDICTED_SHARE * seconds * 1e6 / row_us
    looked_at = evenly_spread(table.n_rows, int(np.clip(affordable, MIN_PREDICTED_ROWS, MAX_PREDICTED_ROWS)))
    prediction = leader.predict_table(table.take(looked_at))
    weight = None if table.weight is None else table.weight[looked_at]
    judged = Judged(leader.task, metric, leader.threshold, table.labels[looked_at], prediction, weight)
    parted = segments(judged, [(name, values.iloc[looked_at]) for name, values in by], seed, tell)
    notes = [*found.notes, *_segment_notes(parted)]
    if table.n_rows > len(looked_at):
        what = "the worst rows and segments are" if by else "the worst rows are"
        notes.append(f"{what} those of {len(looked_at):,} that are evenly spread over the table")
    return Explanation(
        metric.name,
        found.importance,
        found.dependence,
        found.ice,
        worst_rows(leader, prediction, judged.labels, looked_at),
        said,
        _of_rows(leader, table, inquiry.columns, rows, seed, tell),
        parted,
        gaps(parted, metric) if len(parted) else pd.DataFrame(),
        leader.task.classes[inquiry.code] if leader.task.is_classification else None,
        n_rows=found.n_rows,
        n_rows_in_all=table.n_rows,
        n_repeats=found.n_repeats,
        seconds=round(time.monotonic() - began_at, 3),
        notes=tuple(notes),
    )


def _parts(leader: Leader, table: Table) -> Iterator[Part]:
    some = table.take(evenly_spread(table.n_rows, MAX_TREE_ROWS))
    for member in leader.members:
        for predictor in member.predictors:
            yield Part(member.trial_id, predictor, some)


def _segment_notes(parted: pd.DataFrame) -> list[str]:
    if not len(parted):
        return []
    notes, small = [], parted[parted["is_small"]]
    if len(small):
        n_small = f"{len(small)} segment{'s' if len(small) > 1 else ''}"
        notes.append(f"{n_small} of fewer than {MIN_SEGMENT_ROWS} rows say little, and are in no gap")
    large = parted[(parted["segment"] != ALL) & ~parted["is_small"]].groupby("column").size()
    few = [name for name in parted["column"].unique() if large.get(name, 0) < 2]
    return notes + [f"{name} has no gaps: they take two segments of {MIN_SEGMENT_ROWS} rows" for name in few]


def _of_rows(
    leader: Leader, table: Table, columns: Sequence[RawColumn], rows: Sequence[int], seed: int, tell: Tell
) -> pd.DataFrame:
    random = np.random.default_rng(derive_seed(seed, "background"))
    crowd = table.take(random.permutation(table.n_rows)[: shapley.N_CROWD])
    return shapley.as_frame(shapley.of_leader(leader, table, columns, rows, crowd, seed, tell), columns)
