"""Converts Arrow's types for pandas.

In the new ones, pandas holds values without a Python object for each.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def is_plain(kind: pa.DataType) -> bool:
    """Return whether values of this type are plain.

    A plain one is a number, text, date or truth value: no list, record or the like.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return is_plain(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return is_plain(kind.value_type)
    return not pa.types.is_nested(kind) and not pa.types.is_interval(kind)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return `table` in pandas' types.

    What an extension adds to a type is left out.
    """
    arrays = [plain(column) if is_plain(column.type) else column for column in table.columns]
    table = pa.Table.from_arrays(arrays, names=table.column_names)
    return table.to_pandas(ignore_metadata=True, date_as_object=False, split_blocks=True)


def plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the same values in plain types.

    They are numbers, seconds, text, dates, truth values, or a dictionary of text.
    """
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_extension(values, kind)
    if pa.types.is_run_end_encoded(kind):
        return plain(_each_chunk(values, pc.run_end_decode, kind.value_type))
    if pa.types.is_dictionary(kind):
        return _plain_dictionary(values, kind)
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return _seconds(values, kind)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # The moments are the same, and a zone may be one that this machine does not know.
        return values.cast(pa.timestamp(kind.unit, "UTC"))
    wanted = _plain_type(kind)
    return values if wanted is None else values.cast(wanted, safe=False)


def _plain_type(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else None


def _plain_extension(values: pa.ChunkedArray, kind: pa.BaseExtensionType) -> pa.ChunkedArray:
    stored = _each_chunk(values, lambda chunk: chunk.storage, kind.storage_type)
    if kind.extension_name == "arrow.bool8":
        return stored.cast(pa.bool_())
    return _uuid_texts(stored) if kind.extension_name == "arrow.uuid" else plain(stored)


def _uuid_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = [None if value is None else str(uuid.UUID(bytes=value)) for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _plain_dictionary(values: pa.ChunkedArray, kind: pa.DictionaryType) -> pa.ChunkedArray:
    held = kind.value_type
    is_text = pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_binary(held)
    if not is_text or any(chunk.dictionary.null_count for chunk in values.chunks):
        return _decoded(values, held)
    if pa.types.is_unsigned_integer(kind.index_type):
        kind = pa.dictionary(pa.int64(), held, kind.ordered)
        values = _each_chunk(values, _signed, kind)
    return values.unify_dictionaries()


def _decoded(values: pa.ChunkedArray, held: pa.DataType) -> pa.ChunkedArray:
    """Return the decoded values.

    Not all types can be taken by an index before they are plain.
    """
    parts = [plain(pa.chunked_array([chunk.dictionary])).take(chunk.indices) for chunk in values.chunks]
    kind = plain(pa.chunked_array([], type=held)).type
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=kind)


def _signed(chunk: pa.DictionaryArray) -> pa.DictionaryArray:
    indices = chunk.indices.cast(pa.int64())
    return pa.DictionaryArray.from_arrays(indices, chunk.dictionary, ordered=chunk.type.ordered)


def _seconds(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    whole = pa.int32() if pa.types.is_time32(kind) else pa.int64()
    counts = values.cast(whole).cast(pa.float64(), safe=False)
    return pc.divide(counts, pa.scalar(float(_PER_SECOND[kind.unit])))


def _each_chunk(values: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([change(chunk) for chunk in values.chunks], type=kind)
