"""Reads a table from Parquet or CSV.

It is on this machine or in an object store.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from stacktune.data.arrow_types import is_plain, to_frame
from stacktune.data.csv import dialects_of, names_of, read_csv
from stacktune.data.expected import Expected
from stacktune.data.files import Files, check_names, check_present, find_files
from stacktune.data.folder import open_file, open_parquet
from stacktune.data.notes import counted
from stacktune.data.sample import Sample, draw_sample
from stacktune.data.schema import Schema
from stacktune.errors import DataError, DataWarning
from stacktune.host import n_cores
from stacktune.storage.uris import first_line, without_secrets

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_CSV_NOTE = "CSV is slower to read than Parquet, and its column types are guesses"
# What Arrow raises is an ArrowException; what pandas makes of its columns, or a codec of bytes, a ValueError.
_UNREADABLE = (pa.ArrowException, OSError, ValueError)


@dataclass(frozen=True)
class Source:
    """A table as it was read, and its notes.

    A note is a sentence for each thing that its reader should know.

    weight: (n_rows,) float64 for a sample with more rows of rare classes than their share, which these make good.
    left_out: columns that are lists, records or the like.
    commas: columns of CSV that are numbers with a decimal comma. n_of_table: how many rows a sample is of.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    weight: np.ndarray | None = None
    left_out: tuple[str, ...] = ()
    commas: tuple[str, ...] = ()
    n_of_table: int | None = None


def use_cores_allowed() -> None:
    """Let Arrow use as many threads as allowed.

    It counts the cores of the machine by itself.
    """
    pa.set_cpu_count(min(pa.cpu_count(), n_cores()))


def release_memory() -> None:
    """Release what Arrow keeps of deleted frames.

    For a million rows of 50 columns it is 465 MB.
    """
    pa.default_memory_pool().release_unused()


def read_frame(uri: str, columns: list[str] | None = None) -> pd.DataFrame:
    """Return the rows of a file, folder or URI.

    They are in Parquet or CSV; of folders, hive partitions are read too.

    columns: the only ones to read, in this order.
    Raises DataError when nothing is there, it cannot be read, it has no rows, two columns share a name, a column asked
    for is missing, or the files of a folder differ in their columns.
    """
    source = read_source(uri)
    if columns is None:
        return source.frame
    check_present(without_secrets(uri), list(source.frame), columns)
    return source.frame[columns]


def read_for(schema: Schema, uri: str) -> pd.DataFrame:
    """Return a table to be predicted.

    Each column is as the model with this schema knows it.

    CSV does not say its types: a column of codes is text there, whichever of its codes this file holds. Only columns of
    the schema are read, or all where one of them is missing. What was guessed is a DataWarning; raises as `read_frame`.
    """
    source = read_source(uri, expected=Expected.by(schema))
    for note in source.notes:
        if note != _CSV_NOTE:
            warnings.warn(f"{without_secrets(uri)}: {note}", DataWarning, stacklevel=2)
    return source.frame


def read_source(
    uri: str, sample: Sample | None = None, expected: Expected | None = None, keep: Collection[str] = ()
) -> Source:
    """Return what `read_frame` returns, with notes.

    sample: the rows to read, all by default. expected: what a model knows of the table that is read for it.
    keep: columns that are not left out, though they number the rows.
    """
    files = find_files(uri)
    uri = without_secrets(uri)
    with _refusals(uri, files):
        if files.is_csv:
            source = _read_csv(uri, files, sample, expected, keep)
        else:
            source = _read_parquet(uri, files, sample, expected)
    return checked(uri, source, sample)


def checked(uri: str, source: Source, sample: Sample | None) -> Source:
    """Return a table with its sample's notes.

    It is one that was read. Raises DataError where nothing is in it.
    """
    if source.left_out and not len(source.frame.columns):
        raise DataError(f"the table {uri!r} has no column of plain values, but lists, records or the like alone.")
    if not len(source.frame):
        raise DataError(f"the table {uri!r} has no rows.")
    notes = [*source.notes, *sample_notes(sample, source)]
    return replace(source, notes=tuple(notes))


def size_of(uri: str) -> tuple[int, int] | None:
    """Return a Parquet table's (rows, columns).

    They come from its headers. It is None for CSV, which has to be read for that.

    Raises DataError as `read_frame` does.
    """
    files = find_files(uri)
    if files.is_csv:
        return None
    uri = without_secrets(uri)
    with _refusals(uri, files):
        dataset = open_parquet(uri, files)
        return dataset.count_rows(), len(dataset.schema.names)


def column_names(uri: str) -> list[str]:
    """Return a table's columns, from its headers alone.

    Raises DataError as `read_frame` does.
    """
    files = find_files(uri)
    uri = without_secrets(uri)
    with _refusals(uri, files):
        return names_of(dialects_of(uri, files)[0].header) if files.is_csv else open_parquet(uri, files).schema.names


@contextmanager
def _refusals(uri: str, files: Files) -> Iterator[None]:
    """Tell a library's refusal as a DataError.

    Those that are one already stay as they are, though a DataError is a ValueError, too.
    """
    try:
        yield
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(_unreadable(uri, files, error)) from None


def _unreadable(uri: str, files: Files, error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"{uri!r} does not fit into memory: {first_line(error)}. Read fewer rows, or take a larger machine."
    if isinstance(error, OSError):
        return f"{uri!r} cannot be read: {first_line(error)}."
    if files.is_csv:
        return f"{uri!r} cannot be read as CSV: {first_line(error)}."
    return f"{uri!r} is not a readable Parquet file: {first_line(error)}. Give Parquet, or a file that ends in .csv."


def sample_notes(sample: Sample | None, source: Source) -> list[str]:
    """Return sentences on the sample that was read."""
    if sample is None:
        return []
    notes = [f"learns from a sample of {len(source.frame):,} rows, as --sample-rows asks"]
    if source.weight is not None:
        notes.append(
            f"the sample has more rows of rare values of {sample.target} than their share, which weights make good"
        )
    return notes


def _read_csv(
    uri: str, files: Files, sample: Sample | None, expected: Expected | None, keep: Collection[str]
) -> Source:
    read = read_csv(uri, files, expected, keep)
    table, weight, n_of_table = read.table, None, None
    if sample is not None and sample.target in table.column_names:
        drawn = draw_sample(table.column(sample.target), sample)
        n_of_table = table.num_rows
        table, weight = table.take(pa.array(drawn.rows)), drawn.weight
    return Source(to_frame(table), (_CSV_NOTE, *read.notes), weight, commas=read.commas, n_of_table=n_of_table)


def _read_parquet(uri: str, files: Files, sample: Sample | None, expected: Expected | None) -> Source:
    if files.base is None and sample is None:
        with open_file(files) as file:
            check_names(uri, file.schema_arrow.names)
            columns, left_out = usable_columns(file.schema_arrow, expected)
            # To Parquet a field b of a record a is called a.b too.
            table = file.read(columns=columns).select(columns)
        return Source(to_frame(table), left_out_notes(left_out), left_out=left_out)
    dataset = open_parquet(uri, files)
    check_names(uri, dataset.schema.names)
    columns, left_out = usable_columns(dataset.schema, expected)
    notes = left_out_notes(left_out)
    if sample is None or sample.target not in columns:
        return Source(to_frame(dataset.to_table(columns=columns)), notes, left_out=left_out)
    target = dataset.to_table(columns=[sample.target]).column(0)
    drawn = draw_sample(target, sample)
    table = dataset.take(pa.array(drawn.rows), columns=columns)
    return Source(to_frame(table), notes, drawn.weight, left_out, n_of_table=len(target))


def left_out_notes(left_out: tuple[str, ...]) -> tuple[str, ...]:
    """Return a sentence on columns of lists or records.

    They are no plain values. There is no sentence where there are none.
    """
    return (counted("left out {} of lists, records or the like", left_out),) if left_out else ()


def usable_columns(schema: pa.Schema, expected: Expected | None) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns to read, and the others.

    The latter are no plain values.

    A pandas index without a name is the number of the row when it was written: no feature.
    """
    names = [name for name in schema.names if not _PANDAS_INDEX.fullmatch(name)]
    names = expected.among(names) if expected else names
    plain = [name for name in names if is_plain(schema.field(name).type)]
    return plain, tuple(name for name in names if name not in plain)
