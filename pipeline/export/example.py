"""Makes up a request that a leader answers."""

from __future__ import annotations

import datetime
import json
from typing import Any

from stacktune.data.column import Column
from stacktune.data.schema import Schema


def request_of(schema: Schema) -> str:
    """Return the JSON of one made-up row.

    Numbers and dates are from the middle of their column's range.
    """
    row = {column.name: _value(column) for column in schema.columns}
    return json.dumps({"dataframe_records": [row]}, ensure_ascii=False)


def _value(column: Column) -> Any:
    if column.kind == "boolean":
        return True
    if column.is_coded:
        return column.categories[len(column.categories) // 2] if column.categories else None
    middle = (column.low + column.high) / 2
    if column.kind != "datetime":
        return float(f"{middle:.6g}")
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=middle)
    except OverflowError:
        return None
    return moment.strftime(column.date_format) if column.date_format else moment.isoformat(timespec="seconds")
