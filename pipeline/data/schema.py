"""The columns that a model is trained on, and how a frame with them becomes a Table."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.column import Column
from pipeline.data.infer import infer_columns
from pipeline.data.losses import losses_said, lost_share
from pipeline.data.number_text import Spelling
from pipeline.data.scale import Scale
from pipeline.data.table import Table
from pipeline.errors import DataError, DataWarning, nearest

_FLOAT32_MAX = np.finfo(np.float32).max


@dataclass(frozen=True)
class Schema:
    """The raw columns that are features, in the order of the training table."""

    columns: tuple[Column, ...]

    @cached_property
    def ordered(self) -> tuple[Column, ...]:
        """The columns in the order of their features: numeric and datetime first, then those with codes."""
        return tuple(sorted(self.columns, key=lambda column: column.is_coded))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """One name a feature; a part of a date is called e.g. "sold.month"."""
        taken = {column.name for column in self.columns}
        return tuple(name for column in self.ordered for name in _feature_names(column, taken))

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        return tuple(len(column.categories) for column in self.ordered if column.is_coded)

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def encode(self, frame: pd.DataFrame) -> Table:
        """Return the features of `frame`, whose columns may come in any order and with others beside them.

        Values of another type than in training are converted; what cannot be is NaN, as are infinities. Texts never
        seen are a level of their own. Warns with a DataWarning of columns that lose nearly all their values. Raises
        DataError for a column that is missing, there twice, or of dates or numbers that cannot be brought near those
        of training.
        """
        table, said = self.encode_and_say(frame)
        if said:
            warnings.warn(said, DataWarning, stacklevel=2)
        return table

    def encode_and_say(self, frame: pd.DataFrame) -> tuple[Table, str]:
        """Return what `encode` returns, and instead of the warning its text, which is empty if all is well."""
        frame = _with_named_index(frame, self.column_names)
        positions = self._positions(frame)
        # A frame finds all its columns at once in half the time that it takes to look them up one by one.
        raw = [series for _, series in frame.items()]
        features = np.empty((len(frame), len(self.feature_names)), dtype=np.float32)
        losses, place = [], 0
        for column in self.ordered:
            series = raw[positions[column.name]]
            encoded = column.encode(series)
            losses.append(lost_share(column, series, encoded[0]))
            for values in encoded:
                _store(values, features[:, place])
                place += 1
        table = Table(features, self.feature_names, self.cardinalities)
        return table, losses_said(self.ordered, losses, len(frame))

    def _positions(self, frame: pd.DataFrame) -> dict[str, int]:
        names = [_name_of(label) for label in frame.columns]
        positions = {name: place for place, name in enumerate(names)}
        missing = [name for name in self.column_names if name not in positions]
        if missing:
            raise DataError(_missing_columns(missing, names))
        if len(positions) < len(names):
            for name in self.column_names:
                if names.count(name) > 1:
                    raise DataError(f"column names must be unique, but {name!r} is there {names.count(name)} times.")
        return positions

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as what JSON can hold."""
        return {"columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Schema:
        """Return the schema that `to_dict` wrote, also after a journey through JSON."""
        return cls(tuple(_column_from_dict(column) for column in document["columns"]))


def _with_named_index(frame: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    """Return the frame with those levels of its index as columns that are wanted and no columns yet.

    Of a Parquet file that pandas wrote they are columns, and `pandas.read_parquet` makes them the index again.
    """
    levels = {_name_of(name): place for place, name in enumerate(frame.index.names) if name is not None}
    if not levels.keys() & set(wanted):
        return frame
    names = [_name_of(label) for label in frame.columns]
    added = {name: frame.index.get_level_values(place) for name, place in levels.items() if name in wanted}
    missing = {name: values for name, values in added.items() if name not in names}
    return frame.set_axis(names, axis=1).assign(**missing) if missing else frame


def _name_of(label: Hashable) -> str:
    """Return what a Parquet file that pandas wrote calls a column with this label; that of levels is a tuple's text."""
    if isinstance(label, tuple):
        return str(tuple(map(_name_of, label)))
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


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
        has_far=document["has_far"],
        spelling=None if spelling is None else Spelling(**spelling),
    )


def _feature_names(column: Column, taken: set[str]) -> Iterator[str]:
    yield column.name
    for part in column.parts:
        name = f"{column.name}.{part}"
        while name in taken:
            name += "'"
        yield name


def _missing_columns(missing: list[str], names: list[str]) -> str:
    first = f"the table has no column {missing[0]!r}, which the model was trained on."
    others = f" {len(missing) - 1} more are missing: {', '.join(map(repr, missing[1:6]))}." if missing[1:] else ""
    return first + others + nearest(missing[0], names)


def _store(values: np.ndarray, place: np.ndarray) -> None:
    """Write `values` to a float32 column, with what float32 cannot hold at the ends of its range."""
    with np.errstate(over="ignore"):
        place[:] = values
    if values.dtype == np.float64 and np.isinf(place).any():
        place[:] = np.clip(values, -_FLOAT32_MAX, _FLOAT32_MAX)


def infer_schema(frame: pd.DataFrame, exclude: set[str], keep: Collection[str] = ()) -> tuple[Schema, list[str]]:
    """Return the schema of the columns not in `exclude`, and a sentence for each thing a reader should know.

    keep: columns that are features also if they look like row numbers or identifiers.
    """
    columns, notes = infer_columns(frame, exclude, keep)
    return Schema(tuple(columns)), notes
