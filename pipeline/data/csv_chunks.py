"""Writes CSV as Parquet, some rows at a time.

The problem: what a column is, all of its texts decide, and a table may be larger than the memory.

The solution: the rows are read twice. A first pass keeps witnesses: of each rule by which a column's type is told, one
text of the column that breaks it. They are a few texts a column, and by them the functions that `read_csv` uses decide
as they would by all: each of their rules holds for a column if it holds for every text alone. A second pass converts.

What is guaranteed: the rows, names and types are those that `read_csv` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stacktune.data.csv import dialects_of, guess_notes, names_of, texts_of, type_each, without_row_numbers
from stacktune.data.csv_dialect import Dialect
from stacktune.data.csv_types import (
    CASTS,
    DECIMAL_COMMA,
    DECIMAL_POINT,
    TIME,
    WHOLE_WITH_COMMAS,
    WHOLE_WITH_POINTS,
    comma_numbers,
    count_rows,
    has_leading_zeros,
    natural,
    trimmed,
    with_decimal_comma,
)
from stacktune.data.files import Files
from stacktune.data.rounded import Rounded

_COMMA_PATTERNS = (DECIMAL_COMMA, DECIMAL_POINT, WHOLE_WITH_COMMAS, WHOLE_WITH_POINTS)
_KINDS = (
    (pa.types.is_string, "text"),
    (pa.types.is_integer, "whole number"),
    (pa.types.is_floating, "number"),
    (pa.types.is_boolean, "truth value"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "moment"),
    (pa.types.is_time, "time of day"),
)
# Written at once: fewer make a file larger, and slower to read.
_MAX_GROUP_BYTES, _MAX_GROUP_ROWS = 1 << 26, 1 << 20


@dataclass(frozen=True)
class CsvTypes:
    """What each column of CSV is.

    All of its texts tell that.

    dialects: of the files. commas: columns of numbers with a decimal comma. notes: sentences on what was guessed.
    """

    dialects: tuple[Dialect, ...]
    schema: pa.Schema
    commas: frozenset[str]
    notes: tuple[str, ...]
    n_rows: int

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return what each column holds, in the singular."""
        return tuple(map(_kind, self.schema.types))

    def typed(self, texts: pa.Table, rounded: Rounded) -> pa.Table:
        """Return some rows, in these types.

        rounded: hears of whole numbers that lose digits.
        """
        columns = []
        for name, kind in self._kinds():
            columns.append(self._column(texts.column(name), name, kind))
            rounded.see(name, texts.column(name), columns[-1], name in self.commas)
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _kinds(self) -> Iterator[tuple[str, pa.DataType]]:
        return zip(self.schema.names, self.schema.types, strict=True)

    def _column(self, texts: pa.ChunkedArray, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        if name in self.commas:
            return comma_numbers(texts)
        if pa.types.is_string(kind):
            return texts
        if trimmed(texts).null_count == len(texts):  # rows without a value tell no type
            return pa.chunked_array([pa.nulls(len(texts), kind)])
        return natural(texts, () if pa.types.is_time(kind) else (kind,))


def types_of(
    uri: str, files: Files, keep: Collection[str] = (), seen: Callable[[int], None] = lambda n_bytes: None
) -> CsvTypes:
    """Return what each column is, and how many rows.

    keep: see `read_csv`. seen: hears about how many bytes more were read.

    Raises DataError as `read_csv` does.
    """
    dialects = dialects_of(uri, files)
    names = names_of(dialects[0].header)
    separators = {dialect.separator for dialect in dialects}
    witnesses = {name: _Witnesses("," not in separators) for name in names}
    numbering = _Numbering()
    n_rows = 0
    for texts, is_first in _all_texts(files, dialects):
        if not dialects[0].header[0].strip():
            numbering.see(texts.column(names[0]), is_first)
        for name in names:
            witnesses[name].see(texts.column(name))
        n_rows += texts.num_rows
        # Of each text Arrow keeps four bytes to find it by, and the file one to part it.
        seen(texts.nbytes - 3 * texts.num_rows * texts.num_columns)
    columns = {name: pa.chunked_array([pa.array(one.texts, pa.string())]) for name, one in witnesses.items()}
    notes = without_row_numbers(columns, lambda name: numbering.ended(), dialects[0], keep)
    commas = with_decimal_comma(columns, is_usual=separators == {";"}) if "," not in separators else {}
    codes = type_each(columns, commas, keeps_codes=True)
    schema = pa.schema([(name, column.type) for name, column in columns.items()])
    return CsvTypes(tuple(dialects), schema, frozenset(commas), (*notes, *guess_notes(commas, codes)), n_rows)


def write_parquet(
    types: CsvTypes, files: Files, path: str, written: Callable[[int], None] = lambda n_rows: None
) -> tuple[int, list[str]]:
    """Write all files' rows to one of Parquet.

    Returns how many values are missing, and notes on those that lost digits. written: hears how many rows more were
    written.
    """
    n_missing, rounded = 0, Rounded()
    with pq.ParquetWriter(path, types.schema, compression="zstd") as writer:
        for table in _in_groups(types.typed(texts, rounded) for texts, _ in _all_texts(files, types.dialects)):
            writer.write_table(table)
            n_missing += sum(column.null_count for column in table.columns)
            written(table.num_rows)
    return n_missing, rounded.notes()


def _kind(kind: pa.DataType) -> str:
    """Return what a column holds, in the singular."""
    for is_such, word in _KINDS:
        if is_such(kind):
            return word
    return "empty column"


def _all_texts(files: Files, dialects: Sequence[Dialect]) -> Iterator[tuple[pa.Table, bool]]:
    """Yield all texts, and where files begin."""
    for path, dialect in zip(files.paths, dialects, strict=True):
        for place, texts in enumerate(texts_of(path, files, dialect)):
            yield texts, place == 0


def _in_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows, more of them at once."""
    group: list[pa.Table] = []
    for table in tables:
        group.append(table)
        n_bytes, n_rows = sum(one.nbytes for one in group), sum(one.num_rows for one in group)
        if n_bytes >= _MAX_GROUP_BYTES or n_rows >= _MAX_GROUP_ROWS:
            yield pa.concat_tables(group)
            group = []
    if group:
        yield pa.concat_tables(group)


@dataclass
class _Witnesses:
    """Some texts of a column.

    They tell what it is not.

    may_have_commas: whether commas part no columns, and may stand in numbers. texts: None among them where a value is
    missing. Where blanks around texts hide a type, one of those with blanks is kept: it breaks the type's own rule, and
    not that of the trimmed texts.
    """

    may_have_commas: bool
    texts: list[str | None] = field(default_factory=list)
    _told: set[object] = field(default_factory=set)

    def see(self, texts: pa.ChunkedArray) -> None:
        """Keep texts that tell anything new."""
        if texts.null_count:
            self._keep("null", None)
        known = texts.drop_null()
        if not len(known):
            return
        self._keep("value", known[0].as_py())
        if self.may_have_commas:
            self._see_marks(known)
        self._keep_first(TIME, known, partial(_breaks, pattern=TIME))
        self._keep_first("trimmed time", known, lambda some: _breaks(trimmed(some), TIME))
        for kind in CASTS:
            # What can be read with blanks around it can be read without them.
            if kind in self._told or not _casts(known, kind):
                self._keep_uncast(kind, known, kind, lambda some: some)
                self._keep_uncast((kind, "trimmed"), known, kind, trimmed)
        may_be_number = (pa.float64(), "trimmed") not in self._told
        if may_be_number and "zeros" not in self._told and has_leading_zeros(known):
            self._keep("zeros", _first(known, has_leading_zeros))

    def _see_marks(self, known: pa.ChunkedArray) -> None:
        for mark in (",", "."):
            self._keep_first(mark, known, partial(pc.match_substring, pattern=mark))
        for pattern in _COMMA_PATTERNS:
            self._keep_first(pattern, known, partial(_breaks, pattern=pattern))

    def _keep(self, what: object, text: str | None) -> None:
        if what not in self._told:
            self._told.add(what)
            self.texts.append(text)

    def _keep_first(
        self, what: str, known: pa.ChunkedArray, found: Callable[[pa.ChunkedArray], pa.ChunkedArray]
    ) -> None:
        if what not in self._told:
            place = pc.index(found(known), True).as_py()
            if place >= 0:
                self._keep(what, known[place].as_py())

    def _keep_uncast(
        self,
        what: object,
        known: pa.ChunkedArray,
        kind: pa.DataType,
        made: Callable[[pa.ChunkedArray], pa.ChunkedArray],
    ) -> None:
        if what not in self._told and not _casts(made(known), kind):
            self._keep(what, _first(known, lambda some: not _casts(made(some), kind)))


def _breaks(texts: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.invert(pc.match_substring_regex(texts, pattern))


def _casts(texts: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        texts.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _first(texts: pa.ChunkedArray, holds: Callable[[pa.ChunkedArray], bool]) -> str:
    """Return a text for which it holds.

    It does for one of these. holds: whether it does so for any of some texts.
    """
    while len(texts) > 1:
        half = texts.slice(0, len(texts) // 2)
        texts = half if holds(half) else texts.slice(len(texts) // 2)
    return texts[0].as_py()


@dataclass
class _Numbering:
    """Tells whether the first column numbers each file's rows.

    It holds the numbers of one file, 8 bytes a row.
    """

    _counts_rows: bool = True
    _numbers: list[pa.ChunkedArray] = field(default_factory=list)

    def see(self, texts: pa.ChunkedArray, is_first: bool) -> None:
        """Look at some more texts.

        is_first: whether a file begins with them.
        """
        if is_first:
            self.ended()
        if self._counts_rows and _casts(texts, pa.int64()):
            self._numbers.append(texts.cast(pa.int64()))
        else:
            self._counts_rows, self._numbers = False, []

    def ended(self) -> bool:
        """Return whether all rows until now are numbered."""
        if self._numbers:
            numbers = pa.chunked_array([chunk for one in self._numbers for chunk in one.chunks], pa.int64())
            self._counts_rows, self._numbers = self._counts_rows and count_rows(numbers), []
        return self._counts_rows
