"""Reads tables that a program hands over in memory.

A frame's columns are taken as they are, without a copy: a schema reads a column alike whatever type carries it. Arrow's
become pandas' as those of a Parquet file do. Neither is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import pandas as pd
import pyarrow as pa

from stacktune.data.arrow_types import to_frame
from stacktune.data.expected import Expected
from stacktune.data.files import check_names
from stacktune.data.names import name_of
from stacktune.data.notes import counted, listed
from stacktune.data.read import Source, checked, left_out_notes, usable_columns
from stacktune.data.sample import Drawn, Sample, draw_sample
from stacktune.data.values import OTHER, content_of, text_of, without_periods
from stacktune.errors import ConfigError, DataError
from stacktune.storage.uris import first_line


class ArrowStream(Protocol):
    """Any object that exports its rows to Arrow.

    Tables of pyarrow, Polars and DuckDB do.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a capsule with the rows."""


Rows: TypeAlias = pd.DataFrame | pa.Table


@dataclass(frozen=True)
class Tables:
    """Tables that a program hands over.

    training: rows to learn from. test: rows to judge the leader on.
    """

    training: Rows | None = None
    test: Rows | None = None


NO_TABLES = Tables()


def as_rows(table: object) -> Rows:
    """Return a frame, or an Arrow table.

    What exports Arrow becomes one.

    Raises:
        ConfigError: it is neither. DataError: its types are none of Arrow's.
    """
    if isinstance(table, pd.DataFrame | pa.Table):
        return table
    if not hasattr(table, "__arrow_c_stream__"):
        raise ConfigError(
            "a table must be a path, a pandas DataFrame or what exports Arrow (pyarrow, Polars), not "
            f"{type(table).__name__}. pandas.DataFrame(…) makes one of arrays, records and dictionaries."
        )
    try:
        return pa.table(table)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"the {type(table).__name__} cannot be read as an Arrow table: {first_line(error)}.") from None


def source_in_memory(rows: Rows, name: str, sample: Sample | None = None, expected: Expected | None = None) -> Source:
    """Return rows in memory as `read_source` does.

    They are as those of the same table in a Parquet file.

    name: what messages call the table. sample, expected: see `read_source`.
    """
    read = _of_frame if isinstance(rows, pd.DataFrame) else _of_arrow
    return checked(name, read(rows, name, sample, expected), sample)


def _of_arrow(table: pa.Table, name: str, sample: Sample | None, expected: Expected | None) -> Source:
    check_names(name, table.column_names)
    columns, left_out = usable_columns(table.schema, expected)
    weight, table = None, table.select(columns)
    if sample is not None and sample.target in columns:
        drawn = draw_sample(table.column(sample.target), sample)
        table, weight = table.take(pa.array(drawn.rows)), drawn.weight
    return Source(to_frame(table), left_out_notes(left_out), weight, left_out)


def _of_frame(frame: pd.DataFrame, name: str, sample: Sample | None, expected: Expected | None) -> Source:
    names = [name_of(label) for label in frame.columns]
    check_names(name, names)
    notes = [*_label_notes(frame), *_index_notes(frame)]
    weight = None
    if sample is not None and sample.target in names:
        drawn = _drawn(frame.iloc[:, names.index(sample.target)], sample)
        frame, weight = frame.take(drawn.rows), drawn.weight
    wanted = set(expected.among(names) if expected else names)
    columns = {one: without_periods(frame.iloc[:, place]) for place, one in enumerate(names) if one in wanted}
    left_out = tuple(one for one, series in columns.items() if content_of(series) == OTHER)
    plain = {one: series for one, series in columns.items() if one not in left_out}
    # Built of the columns themselves: to select some of a frame's would copy them.
    taken = pd.DataFrame(plain, index=frame.index, copy=False).set_axis(pd.RangeIndex(len(frame)), axis=0)
    return Source(taken, (*notes, *left_out_notes(left_out)), weight, left_out)


def _drawn(target: pd.Series, sample: Sample) -> Drawn:
    try:
        values: Any = pa.array(target, from_pandas=True)
    except pa.ArrowException:  # of several types
        values = pa.array(target.map(text_of, na_action="ignore"), pa.string(), from_pandas=True)
    return draw_sample(values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values]), sample)


def _label_notes(frame: pd.DataFrame) -> list[str]:
    odd = [name_of(label) for label in frame.columns if not isinstance(label, str)]
    return [counted("called {}, whose labels are no texts, by their labels' text", odd)] if odd else []


def _index_notes(frame: pd.DataFrame) -> list[str]:
    """Return a sentence on an index that tells something.

    One of whole numbers without a name numbers the rows.
    """
    levels = [name_of(name) for name in frame.index.names if name is not None]
    if not levels and (frame.index.nlevels == 1 and pd.api.types.is_integer_dtype(frame.index.dtype)):
        return []
    which = f" ({listed(levels)})" if levels else ""
    return [f"the index{which} is not learnt from: reset_index() makes columns of it"]
