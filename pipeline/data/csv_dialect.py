"""Finds out how a CSV file is written.

It tells its encoding, what separates its columns, and what its header calls them.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice

from stacktune.data.files import Files
from stacktune.errors import DataError

# Among separators that fit equally well, the first: commas stand in numbers and sentences too, tabs hardly anywhere.
SEPARATORS = ("\t", "|", ";", ",")
_HEAD_BYTES = 1 << 20
_MAX_RECORDS = 200
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# The first line by which Excel is told the separator of the lines below.
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The way one file is written.

    header: the names as they stand there, some of which may be empty.
    n_skipped: lines above the header.
    """

    separator: str
    encoding: str
    header: tuple[str, ...]
    n_skipped: int = 0


def sniff(path: str, files: Files) -> Dialect:
    """Return the dialect of the file at `path`.

    It is told by its first records. Raises DataError when it is empty or no text.
    """
    with files.filesystem.open_input_stream(path) as stream:
        head = stream.read(_HEAD_BYTES)
    text, encoding = _decoded(path, head)
    told = _SEPARATOR_LINE.match(text)
    text = text[told.end() :] if told else text
    is_whole = len(head) < _HEAD_BYTES
    separator = told[1] if told else find_separator(text, is_whole)
    records = _records(text, separator, is_whole)
    if not records:
        raise DataError(f"{path!r} cannot be read as CSV: Empty CSV file. Its first line must name the columns.")
    return Dialect(separator, encoding, tuple(records[0]), 1 if told else 0)


def _decoded(path: str, head: bytes) -> tuple[str, str]:
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
    if encoding != "utf-16" and head.count(0) > len(head) / 4:
        raise DataError(f"{path!r} is not UTF-8 text: a quarter of it are zero bytes. Save it as UTF-8, or as Parquet.")
    # Incremental, because the last character may be cut in two.
    return codecs.getincrementaldecoder(encoding)(errors="replace").decode(head), encoding


def find_separator(text: str, is_whole: bool) -> str:
    """Return the separator of a file.

    It parts the header, and then as many of the next records as possible into as many parts.

    is_whole: whether the last record of `text` is complete.
    """
    widths = {separator: [len(record) for record in _records(text, separator, is_whole)] for separator in SEPARATORS}
    parting = {separator: found for separator, found in widths.items() if found and found[0] > 1} or widths
    return max(parting, key=lambda separator: _evenness(parting[separator]))


def _evenness(widths: list[int]) -> tuple[float, int]:
    return (widths.count(widths[0]) / len(widths), widths[0]) if widths else (0.0, 0)


def _records(text: str, separator: str, is_whole: bool) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    records: list[list[str]] = []
    try:
        records += islice((record for record in reader if record), _MAX_RECORDS)
    except csv.Error:  # a field of more than 131,072 characters: what comes before it says enough
        is_whole = True
    return records if is_whole or len(records) in (1, _MAX_RECORDS) else records[:-1]
