"""Infers a CSV column's type from all its texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from stacktune.data.values import text_of

NULL_MARKERS = frozenset(csv.ConvertOptions().null_values)
CASTS = (
    *(pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns")),
    *(pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC")),
)
TIME = r"^\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?$"
_LEADING_ZERO = r"^0\d"
# Most columns are told from their first rows.
_FIRST_ROWS = 1_000

DECIMAL_COMMA = r"^\s*[+-]?((\d{1,3}(\.\d{3})+|\d+)(,\d*)?|,\d+)([eE][+-]?\d+)?\s*$"
WHOLE_WITH_POINTS = r"^\s*[+-]?([1-9]\d{0,2}(\.\d{3})+|\d+)\s*$"
WHOLE_WITH_COMMAS = r"^\s*[+-]?([1-9]\d{0,2}(,\d{3})+|\d+)\s*$"
DECIMAL_POINT = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
# Without zeros before it: 007 is not 7.
_NUMBER_WITH_POINT = r"^-?(0|[1-9]\d*)\.\d+$"


def natural(texts: pa.ChunkedArray, kinds: Sequence[pa.DataType] = CASTS) -> pa.ChunkedArray:
    """Convert texts to the type that all have.

    They are whole numbers, numbers, truth values, dates or times; else they stay texts.

    kinds: the first of these that fits is taken.
    """
    if texts.null_count == len(texts):
        return pa.chunked_array([pa.nulls(len(texts))])
    found = _converted(texts, kinds)
    if found is None and _any(pc.match_substring_regex(texts, r"^\s|\s$")):
        found = _converted(trimmed(texts), kinds)
    return texts if found is None else found


def trimmed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts without blanks around them.

    They are null where a marker is left.
    """
    return nulled(pc.utf8_trim_whitespace(texts))


def _converted(texts: pa.ChunkedArray, kinds: Sequence[pa.DataType]) -> pa.ChunkedArray | None:
    for kind in kinds:
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    if all_match(texts, TIME):
        moments = pc.binary_join_element_wise("1970-01-01T", texts, "")
        return moments.cast(pa.timestamp("us")).cast(pa.time64("us"))
    return None


def has_leading_zeros(texts: pa.ChunkedArray) -> bool:
    """Return whether a text begins with a needless zero.

    `007` is a code, 0 and 0.7 are numbers.
    """
    suspect = pc.and_(pc.starts_with(texts, "0"), pc.greater(pc.binary_length(texts), 1))
    suspect = pc.and_(suspect, pc.invert(pc.starts_with(texts, "0.")))
    return _any(suspect) and _any(pc.match_substring_regex(texts.filter(suspect), _LEADING_ZERO))


def is_row_number(texts: pa.ChunkedArray) -> bool:
    """Return whether the texts are distinct row numbers.

    These are whole numbers from 0 on, no two of them alike.
    """
    try:
        return count_rows(texts.cast(pa.int64()))
    except pa.ArrowInvalid:
        return False


def count_rows(numbers: pa.ChunkedArray) -> bool:
    """Return whether numbers from 0 on are distinct."""
    return (
        not numbers.null_count and pc.min(numbers).as_py() >= 0 and pc.count_distinct(numbers).as_py() == len(numbers)
    )


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def known_decimal_commas(columns: dict[str, pa.ChunkedArray], names: Collection[str]) -> dict[str, pa.ChunkedArray]:
    """Return the named columns with decimal commas.

    They are those that can be read with one, and come as numbers.
    """
    return {name: comma_numbers(columns[name]) for name in names if all_match(columns[name], DECIMAL_COMMA)}


def with_decimal_comma(columns: dict[str, pa.ChunkedArray], is_usual: bool) -> dict[str, pa.ChunkedArray]:
    """Return columns with decimal commas as numbers.

    Columns whose points part thousands are among them.

    is_usual: whether a comma is a decimal mark by custom, as in a file that semicolons separate. Elsewhere `1,234` may
    be a thousand, and counts as a decimal only beside commas that part no thousands.
    """
    commas = {name: texts for name, texts in columns.items() if _holds(texts, ",") and all_match(texts, DECIMAL_COMMA)}
    sure = {name: texts for name, texts in commas.items() if not all_match(texts, WHOLE_WITH_COMMAS)}
    points = {name: texts for name, texts in columns.items() if name not in commas and _holds(texts, ".")}
    thousands = {name: texts for name, texts in points.items() if all_match(texts, WHOLE_WITH_POINTS)}
    if any(all_match(texts, DECIMAL_POINT) for name, texts in points.items() if name not in thousands):
        chosen = sure
    else:
        chosen = commas | thousands if commas and (sure or is_usual) else {}
    return {name: comma_numbers(columns[name]) for name in columns if name in chosen}


def comma_numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts with decimal commas as numbers."""
    plain = pc.replace_substring(pc.utf8_trim_whitespace(texts), ".", "")
    return nulled(pc.replace_substring(plain, ",", ".")).cast(pa.float64())


def _holds(texts: pa.ChunkedArray, mark: str) -> bool:
    return _any(pc.match_substring(texts, mark))


def all_match(texts: pa.ChunkedArray, pattern: str) -> bool:
    """Return whether each text matches, nulls aside.

    At least one must not be null.
    """
    parts = (texts.slice(0, _FIRST_ROWS), texts)
    return texts.null_count < len(texts) and all(
        pc.all(pc.match_substring_regex(part, pattern), min_count=0).as_py() for part in parts
    )


def _any(truths: pa.ChunkedArray) -> bool:
    return bool(pc.any(truths).as_py())


def nulled(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts with null for each marker."""
    markers = pa.array(sorted(NULL_MARKERS), pa.string())
    return pc.if_else(pc.is_in(texts, markers), pa.scalar(None, pa.string()), texts)


def as_known(texts: pa.ChunkedArray, known: Collection[str]) -> pa.ChunkedArray:
    """Return texts as a model spells them.

    They have its 1 for 1.0, and null for NA unless it knows an NA.
    """
    known = frozenset(known)
    odd = [text for text in texts.unique().to_pylist() if text is not None and text not in known]
    respelled = {text: None for text in odd if text in NULL_MARKERS}
    spelled = [text for text in odd if text not in respelled]
    if spelled:
        is_number = pc.match_substring_regex(pa.array(spelled, pa.string()), _NUMBER_WITH_POINT).to_pylist()
        respelled |= {text: text_of(float(text)) for text, found in zip(spelled, is_number, strict=True) if found}
    if not respelled:
        return texts
    places = pc.index_in(texts, pa.array(list(respelled), pa.string()))
    return pc.if_else(pc.is_valid(places), pa.array(list(respelled.values()), pa.string()).take(places), texts)
