"""Reads Delta tables.

The library deltalake knows which of their files are live.
"""

from __future__ import annotations

import pyarrow.dataset as ds

from stacktune.errors import DataError
from stacktune.storage.uris import first_line


def open_delta(shown: str, uri: str) -> ds.Dataset:
    """Return a Delta table's live rows, not read yet.

    Raises DataError without the library, or where it refuses.

    shown: the table as messages may name it.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError:
        raise DataError(
            f"{shown!r} is a Delta table, some of whose files may be superseded, and only the library deltalake knows "
            "which: pip install deltalake, or write the rows to a Parquet file first."
        ) from None
    try:
        return DeltaTable(uri).to_pyarrow_dataset()
    except (DeltaError, ValueError, OSError) as error:
        raise DataError(
            f"the Delta table {shown!r} cannot be read: {first_line(error)}. Write its rows to a Parquet file first."
        ) from None
