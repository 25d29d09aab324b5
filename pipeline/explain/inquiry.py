"""Asks any function what it predicts by.

The same is asked of a leader on a labelled table and, within a run, of models on the rows that they held out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from stacktune.data.schema import Schema
from stacktune.data.table import Table, Task
from stacktune.explain import importance
from stacktune.explain.columns import RawColumn, raw_columns, together, varies
from stacktune.explain.dependence import MAX_ROWS as MAX_CURVE_ROWS
from stacktune.explain.dependence import N_LINES, N_POINTS, curves, in_words
from stacktune.explain.explanation import joined
from stacktune.explain.progress import Tell, silent
from stacktune.explain.related import groups_of
from stacktune.metrics import Metric
from stacktune.seeds import derive_seed

# How a prediction is timed, and that no second time is taken where it would last longer.
N_TIMED_ROWS, MAX_TIMED_US = (500, 2_000), 200_000
# Importance on fewer rows is mostly chance; on more it hardly changes.
MIN_ROWS, MAX_ROWS, N_REPEATS, N_DEPENDENCES = 200, 10_000, 5, 6
# Of the seconds, what importance may take, and when it must have ended; the rest is for dependence.
IMPORTANCE_SHARE, AT_LATEST_SHARE = 0.7, 0.85
# Until when columns that say the same are looked for.
GROUPS_SHARE = 0.15
# One call takes this share of the seconds at most, as nothing can be left off within it.
CALL_SHARE = 0.05
N_ROWS_IN_A_CURVE = 40


@dataclass(frozen=True)
class Inquiry:
    """A model beside labelled rows new to it.

    threshold: from which probability on the second of two classes is decided for.
    """

    predict: Callable[[Table], np.ndarray]
    table: Table
    schema: Schema
    task: Task
    metric: Metric
    threshold: float
    seed: int

    @cached_property
    def columns(self) -> list[RawColumn]:
        """Return the raw columns of the table."""
        return raw_columns(self.schema)

    @cached_property
    def code(self) -> int:
        """Return the class that is looked at.

        It is the positive one of two, and the most frequent of more; 0 stands for values.
        """
        if not self.task.is_classification:
            return 0
        return 1 if self.task.n_outputs == 2 else int(np.bincount(self.table.labels).argmax())

    def on(self, n_rows: int) -> Inquiry:
        """Return the inquiry on rows drawn at random."""
        if n_rows >= self.table.n_rows:
            return self
        random = np.random.default_rng(derive_seed(self.seed, "explained rows"))
        return replace(self, table=self.table.take(np.sort(random.permutation(self.table.n_rows)[:n_rows])))

    def cost_us(self) -> float:
        """Return microseconds that a prediction takes a row.

        The first call does what is done once; the more rows, the less a call itself costs each.
        """
        row_us = 0.0
        for n_rows in N_TIMED_ROWS:
            if row_us * n_rows > MAX_TIMED_US:
                break
            some = self.table.take(np.arange(n_rows) % self.table.n_rows)
            began_at = time.monotonic()
            self.predict(some)
            row_us = (time.monotonic() - began_at) * 1e6 / n_rows
        return max(0.1, row_us)


@dataclass(frozen=True)
class Effort:
    """How much is asked.

    n_rows, n_repeats: of importance. deadline: until when columns are shuffled again, at_latest: for the first time,
    curves_until: until when dependence is begun, groups_until: until when columns that say the same are looked for;
    all on `time.monotonic()`'s scale. n_rows_at_once: of one call. n_curve_rows: that dependence is a mean of.
    """

    n_rows: int
    n_repeats: int
    deadline: float = math.inf
    at_latest: float = math.inf
    curves_until: float = math.inf
    n_rows_at_once: int = importance.MAX_ROWS_AT_ONCE
    n_curve_rows: int = MAX_CURVE_ROWS
    groups_until: float = math.inf


def effort_within(seconds: float, began_at: float, row_us: float, n_columns: int, is_strict: bool = False) -> Effort:
    """Return what so many seconds allow.

    row_us: microseconds that a prediction takes a row. is_strict: whether to rather leave columns out than take longer.
    """
    affordable = seconds * 1e6 / row_us
    n_rows = int(np.clip(affordable * IMPORTANCE_SHARE / 2 / max(1, n_columns), MIN_ROWS, MAX_ROWS))
    left = affordable * (1 - AT_LATEST_SHARE) / N_DEPENDENCES / N_POINTS
    return Effort(
        n_rows,
        N_REPEATS,
        began_at + seconds * IMPORTANCE_SHARE,
        began_at + seconds * AT_LATEST_SHARE if is_strict else math.inf,
        began_at + seconds,
        int(np.clip(affordable * CALL_SHARE, MIN_ROWS, importance.MAX_ROWS_AT_ONCE)),
        int(np.clip(left, N_LINES, MAX_CURVE_ROWS)),
        began_at + seconds * GROUPS_SHARE,
    )


def effort_of(n_predictions: int, n_columns: int) -> Effort:
    """Return what so many predictions allow, whatever they take."""
    n_columns = max(1, n_columns)
    n_repeats = int(np.clip(n_predictions // (n_columns * MIN_ROWS), 1, N_REPEATS))
    n_rows = int(np.clip(n_predictions // (n_columns * n_repeats), MIN_ROWS, MAX_ROWS))
    return Effort(n_rows, n_repeats, n_curve_rows=N_ROWS_IN_A_CURVE)


@dataclass(frozen=True)
class Answers:
    """What was found; see `Explanation`."""

    importance: pd.DataFrame
    dependence: pd.DataFrame
    ice: pd.DataFrame
    n_rows: int
    n_repeats: int
    notes: tuple[str, ...]


def ask(inquiry: Inquiry, effort: Effort, columns: Sequence[RawColumn], tell: Tell = silent) -> Answers:
    """Return importance and dependence.

    columns: in the order in which they are shuffled.
    """
    on_some = inquiry.on(effort.n_rows)
    n_in_all, columns = len(columns), [one for one in columns if varies(on_some.table, one)]
    groups = groups_of(on_some.table, [one for one in inquiry.columns if one in columns], effort.groups_until)
    has_all_groups = time.monotonic() < effort.groups_until
    looked_at = [*columns, *map(together, groups)]
    scorer = importance.scorer_of(on_some.table, inquiry.task, inquiry.metric, inquiry.threshold, inquiry.seed)
    found = importance.importances(
        inquiry.predict,
        scorer,
        looked_at,
        effort.n_repeats,
        inquiry.seed,
        effort.deadline,
        effort.at_latest,
        effort.n_rows_at_once,
        tell,
    )
    by_name = {one.name: one for one in columns}
    foremost = [by_name[one.column] for one in found if one.column in by_name][:N_DEPENDENCES]
    frames = _curves(inquiry, effort, foremost, tell)
    notes = [*_notes(inquiry, on_some, effort, found, looked_at), *_said_of(groups), *_said_of_class(inquiry)]
    notes += _limits_of(on_some, scorer, n_in_all - len(columns), found)
    if not has_all_groups:
        notes.append("not all columns that say the same were looked for, as time was up")
    if len(frames) < len(foremost):
        notes.append(f"dependence is of {len(frames)} of the {len(foremost)} foremost columns, as time was up")
    n_repeats = max((one.n_repeats for one in found), default=0)
    dependence, ice = joined([one for one, _ in frames]), joined([lines for _, lines in frames])
    return Answers(importance.as_frame(found), dependence, ice, on_some.table.n_rows, n_repeats, tuple(notes))


def _limits_of(
    on_some: Inquiry, scorer: importance.Scorer, n_same: int, found: Sequence[importance.Importance]
) -> list[str]:
    """Return what such rows cannot tell."""
    labels, n_rows = on_some.table.labels, f"{on_some.table.n_rows:,} rows"
    notes = []
    if n_same:
        notes.append(
            f"columns of one value, or none, in all {n_rows} are left out, as shuffling them tells nothing: {n_same:,}"
        )
    is_one = bool((labels == labels[0]).all())
    if is_one:
        value = on_some.task.classes[labels[0]] if on_some.task.is_classification else f"{labels[0]:g}"
        notes.append(f"the target is {value} in all {n_rows}: by what it differs cannot be known from them")
    if found and not any(one.importance for one in found):
        notes.append(f"no shuffle changed the {on_some.metric.name} of {n_rows}: which column matters is not known")
    elif found and len(scorer.blocks) < 2 and not is_one:
        notes.append(f"{n_rows} are too few, or too few of a class, for intervals: importance may be chance")
    return notes


def _said_of(groups: Sequence[Sequence[RawColumn]]) -> list[str]:
    if not groups:
        return []
    names = "; ".join(", ".join(one.name for one in group) for group in groups)
    return [f"columns that say nearly the same are also shuffled together: {names}"]


def _said_of_class(inquiry: Inquiry) -> list[str]:
    classes = inquiry.task.classes
    if len(classes) <= 2:
        return []
    return [
        f"dependence is of the probability of {classes[inquiry.code]}, the most frequent of {len(classes):,} classes"
    ]


def _notes(
    inquiry: Inquiry,
    on_some: Inquiry,
    effort: Effort,
    found: Sequence[importance.Importance],
    looked_at: Sequence[RawColumn],
) -> list[str]:
    notes = []
    if on_some.table.n_rows < inquiry.table.n_rows:
        notes.append(f"importance is of {on_some.table.n_rows:,} of {inquiry.table.n_rows:,} rows, drawn at random")
    counts = [one.n_repeats for one in found]
    if counts and min(counts) < effort.n_repeats:
        fewest, most = min(counts), max(counts)
        times = "once" if most == 1 else f"{most} times" if fewest == most else f"{fewest} to {most} times"
        notes.append(f"each column was shuffled {times} of {effort.n_repeats}, as time was up")
    if len(found) < len(looked_at):
        n_left = len(looked_at) - len(found)
        notes.append(f"{n_left:,} of {len(looked_at):,} columns and groups were not shuffled, as time was up")
    return notes


def _curves(
    inquiry: Inquiry, effort: Effort, foremost: Sequence[RawColumn], tell: Tell
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return dependence and lines, as time allows."""
    in_schema = {one.name: one for one in inquiry.schema.columns}
    frames: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    began_at = time.monotonic()
    for place, column in enumerate(foremost):
        took_s = (time.monotonic() - began_at) / max(1, place)
        if time.monotonic() + took_s >= effort.curves_until and (place or effort.at_latest < math.inf):
            break
        tell("changing columns", place, len(foremost))
        asked = (inquiry.predict, inquiry.table, inquiry.task, column, inquiry.code, inquiry.seed)
        found = curves(*asked, effort.n_curve_rows)
        known = in_schema[column.name]
        frames.append((in_words(found.dependence(), known), in_words(found.ice(), known)))
    return frames
