"""A model's columns, and how frames become Tables."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.infer import infer_columns
from stacktune.data.lost_values import losses_message, lost_share
from stacktune.data.names import left_out_message, positions_of, with_named_index
from stacktune.data.number_text import Spelling
from stacktune.data.scale import Scale
from stacktune.data.table import Table
from stacktune.data.values import without_periods
from stacktune.errors import DataWarning

_FLOAT32_MAX = np.finfo(np.float32).max


@dataclass(frozen=True)
class Schema:
    """The feature columns, in the training table's order."""

    columns: tuple[Column, ...]

    @cached_property
    def ordered(self) -> tuple[Column, ...]:
        """Return the columns in the order of features.

        Numeric and datetime ones come first, then those with codes.
        """
        return tuple(sorted(self.columns, key=lambda column: column.is_coded))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of features.

        A part of a date is called e.g. "sold.month".
        """
        taken = {column.name for column in self.columns}
        return tuple(name for column in self.ordered for name in _feature_names(column, taken))

    @cached_property
    def places(self) -> dict[str, tuple[int, ...]]:
        """Return the positions of each column's features.

        A date has several, its seconds first. Columns come in the training table's order.
        """
        features = iter(range(len(self.feature_names)))
        found = {column.name: tuple(islice(features, 1 + len(column.parts))) for column in self.ordered}
        return {name: found[name] for name in self.column_names}

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        return tuple(len(column.categories) for column in self.ordered if column.is_coded)

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def encode(self, frame: pd.DataFrame) -> Table:
        """Return the features of `frame`.

        Its columns may come in any order and with others beside them.

        Values of another type than in training are converted; what cannot be is NaN, as are infinities. Texts never
        seen are a level of their own. Optional columns may be left out, and are missing in every row then. Warns with a
        DataWarning of these, and of columns that lose nearly all their values. Raises DataError for any other column
        that is missing, and one that is there twice, or of dates or numbers that cannot be brought near those of
        training.
        """
        table, message = self.encode_with_message(frame)
        if message:
            warnings.warn(message, DataWarning, stacklevel=2)
        return table

    def encode_with_message(self, frame: pd.DataFrame) -> tuple[Table, str]:
        """Return the features and the warning's text.

        It does what `encode` does, but the text comes instead of the warning; it is empty if all is well.
        """
        frame = with_named_index(frame, self.column_names)
        positions = positions_of(self.columns, frame)
        # A frame finds all its columns at once in half the time that it takes to look them up one by one.
        raw = [without_periods(series) for _, series in frame.items()]
        features = np.empty((len(frame), len(self.feature_names)), dtype=np.float32)
        losses, place = [], 0
        for column in self.ordered:
            is_there = column.name in positions
            series = raw[positions[column.name]] if is_there else pd.Series(np.nan, frame.index)
            encoded = column.encode(series)
            losses.append(lost_share(column, series, encoded[0]))
            for values in encoded:
                _store(values, features[:, place])
                place += 1
        table = Table(features, self.feature_names, self.cardinalities)
        messages = (left_out_message(self.columns, positions), losses_message(self.ordered, losses, len(frame)))
        return table, "; ".join(filter(None, messages))

    def with_optional(self, table: Table) -> Schema:
        """Return the schema with incomplete columns optional.

        They miss values in `table`, which the schema has encoded.
        """
        missing = dict(zip(table.names, np.isnan(table.features.min(axis=0)), strict=True))  # a NaN is the least of all
        return Schema(tuple(replace(column, is_optional=bool(missing[column.name])) for column in self.columns))

    def with_spelling(self, names: Collection[str], spelling: Spelling) -> Schema:
        """Return the schema with a spelling of numbers.

        It knows how text spells the numbers of these columns, which came as numbers.
        """
        columns = (
            replace(column, spelling=spelling) if column.name in names and column.kind == "numeric" else column
            for column in self.columns
        )
        return Schema(tuple(columns))

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as what JSON can hold."""
        return {"columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Schema:
        """Return the schema that `to_dict` wrote.

        It may have gone through JSON.
        """
        return cls(tuple(_column_from_dict(column) for column in document["columns"]))


def _column_from_dict(document: dict[str, Any]) -> Column:
    spelling = document["spelling"]
    return Column(
        name=document["name"],
        kind=document["kind"],
        categories=tuple(document["categories"]),
        parts=tuple(document["parts"]),
        scale=Scale(**document["scale"]),
        low=float(document["low"]),
        high=float(document["high"]),
        far=tuple((float(first), float(last)) for first, last in document["far"]),
        date_format=document["date_format"],
        spelling=None if spelling is None else Spelling(**spelling),
        is_optional=bool(document["is_optional"]),
    )


def _feature_names(column: Column, taken: set[str]) -> Iterator[str]:
    yield column.name
    for part in column.parts:
        name = f"{column.name}.{part}"
        while name in taken:
            name += "'"
        yield name


def _store(values: np.ndarray, place: np.ndarray) -> None:
    """Write `values` to a float32 column.

    What float32 cannot hold goes to the ends of its range.
    """
    with np.errstate(over="ignore"):
        place[:] = values
    if values.dtype == np.float64 and np.isinf(place).any():
        place[:] = np.clip(values, -_FLOAT32_MAX, _FLOAT32_MAX)


def infer_schema(frame: pd.DataFrame, exclude: set[str], keep: Collection[str] = ()) -> tuple[Schema, list[str]]:
    """Return the schema of a table, and notes.

    It is of the columns not in `exclude`; notes are sentences on each thing a reader should know.

    keep: columns that are features also if they look like row numbers or identifiers.
    """
    columns, notes = infer_columns(frame, exclude, keep)
    return Schema(tuple(columns)), notes
