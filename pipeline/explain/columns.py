"""Knows which features are of which raw column.

A date gives several features. What is explained is the column, as its user knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stacktune.data.schema import Schema
from stacktune.data.table import Table

# What stands between the columns in a group's name.
GROUPED = " + "


@dataclass(frozen=True)
class RawColumn:
    """A raw column, or several as one.

    features: positions in the encoded table.
    """

    name: str
    features: tuple[int, ...]


def raw_columns(schema: Schema) -> list[RawColumn]:
    """Return the raw columns, in the training table's order."""
    return [RawColumn(name, places) for name, places in schema.places.items()]


def together(columns: Sequence[RawColumn]) -> RawColumn:
    """Return columns as one, named after all of them."""
    name = GROUPED.join(one.name for one in columns)
    return RawColumn(name, tuple(place for one in columns for place in one.features))


def varies(table: Table, column: RawColumn) -> bool:
    """Return whether rows differ in a column.

    One that holds a single value, or none, tells nothing when it is shuffled.
    """
    values = table.features[:, list(column.features)]
    first = values[:1]
    return bool(((values != first) & ~(np.isnan(values) & np.isnan(first))).any())
