"""Reads CSV files as one Arrow table."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import csv

from stacktune.data.csv_dialect import Dialect, sniff
from stacktune.data.csv_types import (
    NULL_MARKERS,
    as_known,
    has_leading_zeros,
    is_number,
    is_row_number,
    known_decimal_commas,
    natural,
    nulled,
    with_decimal_comma,
)
from stacktune.data.expected import Expected
from stacktune.data.files import Files, check_names
from stacktune.data.notes import counted
from stacktune.data.rounded import rounding_notes
from stacktune.errors import DataError
from stacktune.storage.uris import first_line

_BLOCK_BYTES = 1 << 22
_COMMAS = "read the commas in {} as decimal marks, and points beside them as marks of thousands"
_CODES = "kept {} of digits as text, since some begin with a zero"
_NAMELESS = "called {} without a name as pandas does"

Columns = dict[str, pa.ChunkedArray]


@dataclass(frozen=True)
class CsvTable:
    """A typed table, and its notes.

    There is a sentence for each thing that was guessed.

    commas: the columns that are numbers with a decimal comma.
    """

    table: pa.Table
    notes: tuple[str, ...]
    commas: tuple[str, ...]


def read_csv(uri: str, files: Files, expected: Expected | None = None, keep: Collection[str] = ()) -> CsvTable:
    """Return the rows of all files.

    Each file has the same header. Types are those of all texts of a column in all files. Whole numbers with leading
    zeros stay text; columns without a name get the one that pandas gives them, or are left out where they are the first
    and number the rows.

    expected: what a model knows of the columns. Those that it knows as text stay text, and others are not returned
        where all that it knows are there. keep: columns that are not left out.

    Raises DataError when a file is no text or has no header, or the files differ in their columns.
    """
    dialects = dialects_of(uri, files)
    separators = {dialect.separator for dialect in dialects}
    tables = _read_texts(files, dialects, expected)
    columns = dict(zip(tables[0].column_names, pa.concat_tables(tables).columns, strict=True))
    if expected is None:
        notes, done = without_row_numbers(columns, lambda name: _count_rows(tables, name), dialects[0], keep), {}
    else:
        notes, done = [], _as_expected(columns, expected)
    rest = {name: texts for name, texts in columns.items() if name not in done}
    commas = {}
    if "," not in separators:
        # What a model knows already tells of the others, too.
        found = with_decimal_comma(columns, is_usual=separators == {";"})
        commas = {name: numbers for name, numbers in found.items() if name in rest}
        commas |= known_decimal_commas(rest, expected.commas.intersection(rest)) if expected else {}
    notes += guess_notes(commas, [])
    texts = dict(columns)
    codes = type_each(columns, done | commas, keeps_codes=expected is None)
    notes += guess_notes([], codes) + rounding_notes(texts, columns, commas)
    return CsvTable(pa.table(columns), tuple(notes), tuple(commas))


def dialects_of(uri: str, files: Files) -> list[Dialect]:
    """Return how each file is written.

    Raises DataError where their headers differ.
    """
    dialects = [sniff(path, files) for path in files.paths]
    _check_headers(uri, files, dialects)
    return dialects


def guess_notes(commas: Collection[str], codes: Collection[str]) -> list[str]:
    """Return sentences on columns whose type was guessed."""
    notes = [counted(_COMMAS, list(commas))] if commas else []
    return [*notes, counted(_CODES, list(codes))] if codes else notes


def names_of(header: Iterable[str]) -> list[str]:
    """Return the names of columns.

    A column without a name is called as `pandas.read_csv` calls it.
    """
    return [name if name.strip() else f"Unnamed: {place}" for place, name in enumerate(header)]


def _check_headers(uri: str, files: Files, dialects: list[Dialect]) -> None:
    first = names_of(dialects[0].header)
    for path, dialect in zip(files.paths, dialects, strict=True):
        names = names_of(dialect.header)
        check_names(path if files.base else uri, names)
        if sorted(names) != sorted(first):
            raise DataError(
                f"the files of {uri!r} must have the same columns, but {files.paths[0]!r} and {path!r} differ."
            )


def _read_texts(files: Files, dialects: list[Dialect], expected: Expected | None) -> list[pa.Table]:
    """Return each file's columns as text.

    What a model knows as a text is no null, though it be spelled like one.
    """
    known = expected.known_texts if expected else frozenset()
    names = names_of(dialects[0].header)
    wanted = expected.among(names) if expected else names
    return [
        _parse(path, files, dialect, NULL_MARKERS - known).select(wanted)
        for path, dialect in zip(files.paths, dialects, strict=True)
    ]


def _parse(path: str, files: Files, dialect: Dialect, markers: frozenset[str]) -> pa.Table:
    try:
        with files.filesystem.open_input_stream(path) as stream:
            table = csv.read_csv(stream, *_options(dialect, markers))
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise DataError(_unreadable(path, dialect, error)) from None
    return table.slice(1).rename_columns(names_of(dialect.header))


def texts_of(path: str, files: Files, dialect: Dialect) -> Iterator[pa.Table]:
    """Yield some rows of a file as text.

    All of them come, in order.

    Raises DataError as `read_csv` does.
    """
    n_above = 1
    try:
        with (
            files.filesystem.open_input_stream(path) as stream,
            csv.open_csv(stream, *_options(dialect, NULL_MARKERS)) as batches,
        ):
            for batch in batches:
                table = pa.Table.from_batches([batch]).slice(min(n_above, batch.num_rows))
                n_above -= min(n_above, batch.num_rows)
                yield table.rename_columns(names_of(dialect.header))
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise DataError(_unreadable(path, dialect, error)) from None


def _options(dialect: Dialect, markers: frozenset[str]) -> tuple[csv.ReadOptions, csv.ParseOptions, csv.ConvertOptions]:
    places = [str(place) for place in range(len(dialect.header))]
    read = csv.ReadOptions(
        block_size=_BLOCK_BYTES,
        # The header is read as a row: its names may be empty, and all columns are to be text.
        column_names=places,
        skip_rows=dialect.n_skipped,
        encoding=dialect.encoding,
    )
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(places, pa.string()), null_values=sorted(markers), strings_can_be_null=True
    )
    return read, csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True), convert


def _unreadable(path: str, dialect: Dialect, error: Exception) -> str:
    found = re.search(r"column #(\d+).*invalid UTF8", str(error))
    if found:
        name = names_of(dialect.header)[int(found[1])]
        return f"{path!r} is not UTF-8 text: see column {name!r}. Save it as UTF-8, or as Parquet."
    return f"{path!r} cannot be read as CSV: {first_line(error)}."


def _count_rows(tables: Sequence[pa.Table], name: str) -> bool:
    """Return whether a column numbers each file's rows."""
    return all(is_row_number(table.column(name)) for table in tables)


def without_row_numbers(
    columns: Columns, counts_rows: Callable[[str], bool], dialect: Dialect, keep: Collection[str]
) -> list[str]:
    """Drop row numbers that pandas wrote, with notes.

    That is what `DataFrame.to_csv` writes of an index without a name; a note says what other nameless columns are.

    counts_rows: whether a column numbers the rows, which each file may begin anew.
    """
    notes = []
    names = names_of(dialect.header)
    nameless = [name for name, given in zip(names, dialect.header, strict=True) if not given.strip()]
    is_first = nameless[:1] == names[:1] and len(names) > 1 and names[0] not in keep
    if is_first and counts_rows(names[0]):
        notes.append("left out the first column, which has no name and numbers the rows")
        del columns[nameless.pop(0)]
    return [*notes, counted(_NAMELESS, nameless)] if nameless else notes


def _as_expected(columns: Columns, expected: Expected) -> Columns:
    """Return the text columns as a model expects them.

    They are those that it knows as text, in its spelling, and those whose numbers it reads from text.
    """
    known = {name: as_known(columns[name], texts) for name, texts in expected.texts.items() if name in columns}
    known |= {name: columns[name] for name in expected.spelled if name in columns}
    if NULL_MARKERS & expected.known_texts:
        columns |= {name: nulled(texts) for name, texts in columns.items() if name not in known}
    return known


def type_each(columns: Columns, done: Columns, keeps_codes: bool) -> list[str]:
    """Convert each column of texts to its type.

    It returns the names of columns of codes, which stay text.

    done: columns whose type is told already.
    """
    codes = []
    for name, texts in columns.items():
        typed = done[name] if name in done else natural(texts)
        if keeps_codes and name not in done and is_number(typed.type) and has_leading_zeros(texts):
            typed = texts
            codes.append(name)
        columns[name] = typed
    return codes
