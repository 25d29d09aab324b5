"""Tells what each column of a table holds.

The facts are of the encoded table, so that they are what models see: values that a model cannot tell apart in float32
are one, and text that was read as numbers or dates has their range.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.infer import ALL_NULL, CONSTANT, IDENTIFIER, ROW_NUMBER, UNUSABLE, UnusableError, infer_column
from stacktune.data.names import name_of
from stacktune.data.schema import Schema
from stacktune.data.split import ROW_NUMBER as ROW_KEY
from stacktune.data.split import SPLIT_KEY
from stacktune.data.table import Table, Task
from stacktune.data.values import TEXT, coded_text, content_of
from stacktune.data.weights import SAMPLE_WEIGHT

FEATURE, TARGET, LEFT_OUT = "feature", "target", "left out"
N_BINS = 16
N_TOP = 5
# Of the numbers, at either end: they count in the outermost bins, or one of 1e9 would leave all others in the first.
_SHARE_BEYOND_BINS = 0.005
_SHORTLY = {
    ALL_NULL: "no value in any row",
    CONSTANT: "one value only",
    IDENTIFIER: "taken for an identifier",
    ROW_NUMBER: "taken for row numbers",
    UNUSABLE: "lists, records or the like",
}


@dataclass(frozen=True)
class ColumnProfile:
    """What one column holds.

    kind: "numeric", "categorical", "datetime" or "boolean", as in `Column`; "" where the column is left out.
    role: "feature", "target" or "left out".
    why: how its text was read, or why it is left out; "" where there is nothing to say.
    n_missing: rows without a value. n_distinct: values beside those, which float32 can tell apart.
    low, high: the range of numbers, or of seconds since 1970; None where there is none.
    quartiles: of the same; () where there is none.
    top: the most frequent (text, rows) of a column of codes, and all classes of a target; these count as their rows
        weigh, so that a sample with more rows of a rare class has the shares of the whole table.
    edges, counts: a histogram of numbers or seconds: `len(counts) + 1` edges; what lies beyond is in the outermost.
    """

    name: str
    kind: str
    role: str
    why: str = ""
    n_missing: int = 0
    n_distinct: int = 0
    low: float | None = None
    high: float | None = None
    quartiles: tuple[float, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableProfile:
    """What a table holds.

    columns: the target first where there is one, then the others in the table's order.
    """

    n_rows: int
    columns: tuple[ColumnProfile, ...]

    @property
    def features(self) -> tuple[ColumnProfile, ...]:
        return tuple(one for one in self.columns if one.role == FEATURE)


def profile_of(table: Table, schema: Schema, task: Task | None = None, target_name: str = "") -> TableProfile:
    """Return what an encoded table's columns hold.

    schema: by which it was encoded. task, target_name: of a labelled table, such as that of a `Dataset`.
    """
    target = [_target(table, task, target_name)] if task is not None else []
    return TableProfile(table.n_rows, (*target, *_features(table, schema)))


def with_raw(profile: TableProfile, frame: pd.DataFrame, not_learnt: Collection[str] = ()) -> TableProfile:
    """Return the profile with what the raw table tells.

    It tells which columns are left out, and why, and which were text.

    not_learnt: columns that are no features by the user's will, such as weights and groups.
    """
    known = {one.name: one for one in profile.columns}
    order = [name_of(label) for label in frame.columns]
    columns = [one for one in profile.columns if one.role == TARGET]
    for place, name in enumerate(order):
        series = frame.iloc[:, place]
        if name in (SPLIT_KEY, ROW_KEY, SAMPLE_WEIGHT) or (name in known and known[name].role == TARGET):
            continue
        if name in known:
            columns.append(replace(known[name], why=_reading(known[name], series)))
        else:
            columns.append(_left_out(name, series, name in not_learnt))
    return replace(profile, columns=tuple(columns))


def _features(table: Table, schema: Schema) -> Iterator[ColumnProfile]:
    """Yield the features' profiles, in the raw table's order."""
    for column in schema.columns:
        values = table.features[:, schema.places[column.name][0]]
        yield _coded(column, values) if column.is_coded else _measured(column, values)


def _coded(column: Column, codes: np.ndarray) -> ColumnProfile:
    known = codes[np.isfinite(codes)].astype(np.int64)
    sizes = np.bincount(known, minlength=len(column.categories) + 1)
    return ColumnProfile(
        column.name,
        column.kind,
        FEATURE,
        n_missing=len(codes) - len(known),
        n_distinct=int(np.count_nonzero(sizes)),
        top=_largest(column.categories, sizes, N_TOP),
    )


def _measured(column: Column, scaled: np.ndarray) -> ColumnProfile:
    values = np.clip(column.scale.undo(scaled), column.low, column.high)
    profile = _of_numbers(column.name, column.kind, FEATURE, values)
    return replace(profile, low=column.low, high=column.high) if profile.counts else profile


def _of_numbers(name: str, kind: str, role: str, values: np.ndarray) -> ColumnProfile:
    known = values[np.isfinite(values)]
    profile = ColumnProfile(name, kind, role, n_missing=len(values) - len(known))
    if not len(known):
        return profile
    cuts = [_SHARE_BEYOND_BINS, 0.25, 0.5, 0.75, 1 - _SHARE_BEYOND_BINS]
    first, *quartiles, last = np.quantile(known, cuts).tolist()
    if first == last:
        first, last = float(known.min()), float(known.max())
    counts, edges = np.histogram(np.clip(known, first, last), N_BINS, (first, last))
    return replace(
        profile,
        n_distinct=len(pd.unique(known)),
        low=float(known.min()),
        high=float(known.max()),
        quartiles=tuple(quartiles),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )


def _target(table: Table, task: Task, name: str) -> ColumnProfile:
    if not task.is_classification:
        return _of_numbers(name, "numeric", TARGET, table.labels)
    sizes = np.rint(np.bincount(table.labels, table.weight, minlength=task.n_outputs)).astype(np.int64)
    n_classes = len(task.classes)
    top = _largest(task.classes, sizes, n_classes)
    return ColumnProfile(name, "categorical", TARGET, n_distinct=n_classes, top=top)


def _largest(texts: Collection[str], sizes: np.ndarray, n_most: int) -> tuple[tuple[str, int], ...]:
    largest = np.argsort(-sizes[: len(texts)], kind="stable")[:n_most]
    names = list(texts)
    return tuple((names[place], int(sizes[place])) for place in largest if sizes[place])


def _reading(profile: ColumnProfile, series: pd.Series) -> str:
    """Return how text was read, or ""."""
    if profile.kind in ("categorical", "boolean") or content_of(series) != TEXT:
        return ""
    return "read from text as dates" if profile.kind == "datetime" else "read from text as numbers"


def _left_out(name: str, series: pd.Series, is_chosen: bool) -> ColumnProfile:
    why = "as you ask" if is_chosen else _SHORTLY[_reason(name, series)]
    profile = ColumnProfile(name, "", LEFT_OUT, why, int(series.isna().sum()))
    try:
        codes, texts = coded_text(series)
    except TypeError:  # lists and records
        return profile
    sizes = np.bincount(codes[codes >= 0], minlength=len(texts))
    repeated = sizes > 1
    # An identifier has a text a row, of which none is frequent.
    top = _largest(texts, np.where(repeated, sizes, 0), N_TOP)
    return replace(profile, n_missing=int((codes < 0).sum()), n_distinct=int(np.count_nonzero(sizes)), top=top)


def _reason(name: str, series: pd.Series) -> str:
    try:
        infer_column(name, series)
    except UnusableError as reason:
        return str(reason)
    return ROW_NUMBER
