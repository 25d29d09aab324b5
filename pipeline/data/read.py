"""Read a table from Parquet or CSV, on this machine or in an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.data.csv import read_csv
from pipeline.data.files import Files, check_names, check_present, find_files, first_line, without_secrets
from pipeline.data.folder import open_parquet
from pipeline.data.sample import Sample, sampled_rows
from pipeline.errors import DataError

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Source:
    """A table as it was read, and a sentence for each thing that its reader should know."""

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


def release_memory() -> None:
    """Give back what Arrow keeps of frames that are gone: of a million rows of 50 columns, 465 MB."""
    pa.default_memory_pool().release_unused()


def read_frame(uri: str, columns: list[str] | None = None) -> pd.DataFrame:
    """Return the rows of a Parquet or CSV file, of a folder of such files (hive partitions too), or of a URI.

    columns: the only ones to read, in this order.
    Raises DataError when nothing is there, it cannot be read, it has no rows, two columns share a name, a column asked
    for is missing, or the files of a folder differ in their columns.
    """
    return read_source(uri, columns).frame


def read_source(uri: str, columns: list[str] | None = None, sample: Sample | None = None) -> Source:
    """Return what `read_frame` returns, or a sample of its rows, with notes."""
    files = find_files(uri)
    uri = without_secrets(uri)
    try:
        table = read_csv(uri, files) if files.is_csv else _read_parquet(uri, files, columns, sample)
    except pa.ArrowInvalid as error:
        raise DataError(_unreadable(uri, files, error)) from None
    except OSError as error:
        raise DataError(f"{uri!r} cannot be read: {first_line(error)}.") from None
    check_names(uri, table.column_names)
    if table.num_rows == 0:
        raise DataError(f"the table {uri!r} has no rows.")
    if files.is_csv and sample is not None and sample.target in table.column_names:
        table = table.take(pa.array(sampled_rows(table.column(sample.target), sample)))
    table = _chosen_columns(uri, table, columns)
    notes = ["CSV is slower to read than Parquet, and its column types are guesses"] if files.is_csv else []
    if sample is not None:
        notes.append(f"learns from a sample of {table.num_rows:,} rows, as --sample-rows asks")
    return Source(to_frame(table), tuple(notes))


def size_of(uri: str) -> tuple[int, int] | None:
    """Return the (rows, columns) of a Parquet table, from its headers; None for CSV, which has to be read for that.

    Raises DataError as `read_frame` does.
    """
    files = find_files(uri)
    if files.is_csv:
        return None
    try:
        dataset = open_parquet(without_secrets(uri), files)
        return dataset.count_rows(), len(dataset.schema.names)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(_unreadable(without_secrets(uri), files, error)) from None


def _unreadable(uri: str, files: Files, error: Exception) -> str:
    if files.is_csv:
        return f"{uri!r} cannot be read as CSV: {first_line(error)}."
    return f"{uri!r} is not a readable Parquet file: {first_line(error)}. Give Parquet, or a file that ends in .csv."


def _chosen_columns(uri: str, table: pa.Table, columns: list[str] | None) -> pa.Table:
    if columns is None:
        # A pandas index without a name is the number of the row when it was written: no feature.
        return table.select([name for name in table.column_names if not _PANDAS_INDEX.fullmatch(name)])
    check_present(uri, table.column_names, columns)
    return table.select(columns)


def _read_parquet(uri: str, files: Files, columns: list[str] | None, sample: Sample | None) -> pa.Table:
    if files.base is None and sample is None:
        return _read_file(uri, files, columns)
    dataset = open_parquet(uri, files)
    if columns is not None:
        check_present(uri, dataset.schema.names, columns)
    if sample is None or sample.target not in dataset.schema.names:
        return dataset.to_table(columns=columns)
    rows = sampled_rows(dataset.to_table(columns=[sample.target]).column(0), sample)
    return dataset.take(pa.array(rows), columns=columns)


def _read_file(uri: str, files: Files, columns: list[str] | None) -> pa.Table:
    with pq.ParquetFile(files.paths[0], filesystem=files.filesystem) as file:
        names = file.schema_arrow.names
        check_names(uri, names)
        if columns is not None:
            check_present(uri, names, columns)
        return file.read(columns=columns)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return `table` in types that pandas holds without a Python object for each value, where there are such."""
    for place, field in enumerate(table.schema):
        wanted = _plain_type(field.type)
        if wanted is not None:
            table = table.set_column(place, pa.field(field.name, wanted), _cast(table.column(place), wanted))
    return table.to_pandas(ignore_metadata=True, date_as_object=False, split_blocks=True)


def _plain_type(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_decimal(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        return pa.float64()
    return None


def _cast(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    kind = values.type
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        whole = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        counts = values.cast(whole).cast(pa.float64(), safe=False)
        return pc.divide(counts, pa.scalar(float(per_second)))
    return values.cast(wanted, safe=False)
