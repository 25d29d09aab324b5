"""Matches columns of a table to predict.

They are matched with those of the training table; some may be left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import get_close_matches

import pandas as pd

from stacktune.data.column import Column
from stacktune.data.notes import shortened
from stacktune.errors import DataError, nearest_column

# How alike two names are, of 1, for one to be taken as a misspelling of the other.
_MIN_SIMILARITY = 0.8


def name_of(label: Hashable) -> str:
    """Return a column's name as Parquet keeps it.

    It is that in a file that pandas wrote; that of levels is a tuple's text.
    """
    if isinstance(label, tuple):
        return str(tuple(map(name_of, label)))
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def with_named_index(frame: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return the frame with wanted index levels as columns.

    They are those that are no columns yet.

    Of a Parquet file that pandas wrote they are columns, and `pandas.read_parquet` makes them the index again.
    """
    levels = {name_of(name): place for place, name in enumerate(frame.index.names) if name is not None}
    if not levels.keys() & set(wanted):
        return frame
    names = [name_of(label) for label in frame.columns]
    added = {name: frame.index.get_level_values(place) for name, place in levels.items() if name in wanted}
    missing = {name: values for name, values in added.items() if name not in names}
    return frame.set_axis(names, axis=1).assign(**missing) if missing else frame


def positions_of(columns: Sequence[Column], frame: pd.DataFrame) -> dict[str, int]:
    """Return the place of each name in `frame`.

    Optional columns may be missing from it.

    Raises DataError for any other column that is missing, or one that is there twice.
    """
    names = [name_of(label) for label in frame.columns]
    positions = {name: place for place, name in enumerate(names)}
    missing = [column for column in columns if column.name not in positions]
    if missing:
        _check_missing(columns, missing, names)
    if len(positions) < len(names):
        for column in columns:
            if names.count(column.name) > 1:
                n_times = names.count(column.name)
                raise DataError(f"column names must be unique, but {column.name!r} is there {n_times} times.")
    return positions


def left_out_message(columns: Sequence[Column], positions: dict[str, int]) -> str:
    """Return a sentence on missing columns.

    They are those that a table leaves out; it is empty if there is none.
    """
    names = [column.name for column in columns if column.name not in positions]
    if not names:
        return ""
    shown = shortened(names)
    return (
        f"the table leaves out {shown} ({len(names)} of {len(columns)} columns): taken as missing in every row, as "
        "values were in training"
    )


def _check_missing(columns: Sequence[Column], missing: Sequence[Column], names: Sequence[str]) -> None:
    """Raise DataError unless all `missing` may be missing.

    It is raised, too, where one of them is there under a name like its own.
    """
    others = {name.casefold() for name in set(names).difference(column.name for column in columns)}
    wrong = [
        column.name
        for column in missing
        if not column.is_optional or get_close_matches(column.name.casefold(), others, 1, _MIN_SIMILARITY)
    ]
    if wrong or len(missing) == len(columns):
        raise DataError(_missing_columns(wrong or [column.name for column in missing], names))


def _missing_columns(missing: Sequence[str], names: Sequence[str]) -> str:
    first = f"the table has no column {missing[0]!r}, which the model was trained on."
    more = ", …" if missing[6:] else ""
    are = "is" if len(missing) == 2 else "are"
    others = (
        f" {len(missing) - 1} more {are} missing: {', '.join(map(repr, missing[1:6]))}{more}." if missing[1:] else ""
    )
    return first + others + nearest_column(missing[0], names)
