"""Read CSV files as one Arrow table."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import csv

from pipeline.data.files import Files, first_line
from pipeline.errors import DataError

_SEPARATORS = (",", ";", "\t", "|")
_BLOCK_BYTES = 1 << 22
# Types are guessed from the first block, so a table that contradicts the guess is read again as one block.
_WHOLE_FILE_BYTES = (1 << 31) - 1


def read_csv(uri: str, files: Files) -> pa.Table:
    """Return the rows of all files; each has a header line with the same names.

    Raises DataError when a file is no text in UTF-8 or has no header, or the files differ in their columns.
    """
    tables = [_read_file(path, files) for path in files.paths]
    for path, table in zip(files.paths, tables, strict=True):
        if sorted(table.column_names) != sorted(tables[0].column_names):
            raise DataError(
                f"the files of {uri!r} must have the same columns, but {files.paths[0]!r} and {path!r} differ."
            )
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the files of {uri!r} hold different types: {first_line(error)}.") from None


def _read_file(path: str, files: Files) -> pa.Table:
    separator = _separator(path, files)
    try:
        table = _parse(path, files, separator, _BLOCK_BYTES)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise DataError(f"{path!r} cannot be read as CSV: {first_line(error)}.") from None
        table = _parse(path, files, separator, _WHOLE_FILE_BYTES)
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise DataError(f"{path!r} is not UTF-8 text: see column {field.name!r}. Save it as UTF-8, or as Parquet.")
    return table


def _parse(path: str, files: Files, separator: str, block_bytes: int) -> pa.Table:
    with files.filesystem.open_input_stream(path) as stream:
        return csv.read_csv(
            stream,
            read_options=csv.ReadOptions(block_size=block_bytes),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(strings_can_be_null=True),
        )


def _separator(path: str, files: Files) -> str:
    """Return the separator that the header line holds most of."""
    with files.filesystem.open_input_stream(path) as stream:
        head = stream.read(1 << 16).decode("utf-8", errors="replace")
    header = head.splitlines()[0] if head else ""
    return max(_SEPARATORS, key=header.count)
