"""Recognises Delta Lake, Apache Iceberg and Apache Hudi.

The folders of such tables hold superseded files too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stacktune.errors import DataError

_LOGS = {
    "Delta": re.compile(r"(?P<table>.*?)/?_delta_log/[^/]+"),
    "Iceberg": re.compile(r"(?P<table>.*?)/?metadata/[^/]+\.metadata\.json"),
    "Hudi": re.compile(r"(?P<table>.*?)/?\.hoodie/.+"),
}
_EXPORTS = {"Iceberg": "to_arrow() of pyiceberg, or df.write.parquet() of Spark", "Hudi": "df.write.parquet() of Spark"}


def is_delta(uri: str, inside: Iterable[str]) -> bool:
    """Return whether the folder `uri` is a Delta table.

    Its files are `inside`, relative to it.

    Raises DataError for another kind of table whose files may be superseded, and for a folder above such a table.
    """
    for relative in inside:
        for kind, log in _LOGS.items():
            found = log.fullmatch(relative)
            if found is not None:
                _check_readable(uri, kind, found["table"])
                return True
    return False


def _check_readable(uri: str, kind: str, inner: str) -> None:
    if inner:
        raise DataError(
            f"the folder {uri!r} holds the {kind} table {inner!r}, some of whose files may be superseded. "
            "Name the table's own folder."
        )
    if kind != "Delta":
        raise DataError(
            f"{uri!r} is a table of {kind}, some of whose files may be superseded, and it cannot be read as it is. "
            f"Write its rows to a Parquet file first: {_EXPORTS[kind]}."
        )
