"""Says what random folds would hide.

Where rows have a date, or names that repeat, random folds judge a model on rows whose neighbours in time, or whose
fellows of the same patient or shop, it has learnt from. Whether it will meet such rows when it is used, its user knows:
the option is named, and nothing is changed.

Whole numbers and text repeat in most tables. Only a column that its name says to be an identifier, or that is called
after what usually comes with several rows, is pointed out; and of numbers only what is called a time.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.notes import shortened
from stacktune.data.schema import Schema
from stacktune.data.spread import evenly_spread
from stacktune.data.values import coded_text

_ID_WORDS = frozenset({"id", "ids", "uid", "uuid", "guid"})
_GROUP_WORDS = frozenset(
    (
        *("group", "subject", "patient", "person", "customer", "client", "user", "player", "employee", "account"),
        *("household", "station", "site", "store", "shop", "hospital", "school", "device", "sensor", "machine"),
        *("vehicle", "session", "visit", "batch", "plot"),
    )
)
_TIME_NAMES = frozenset({"time", "timestamp", "datetime", "date"})
# Of fewer numbers a time is more likely a time of day, or how long something took.
_MIN_MOMENTS = 100
# Fewer values are a category, and of more than half as many as rows hardly any repeats.
_MIN_VALUES, _MIN_ROWS_A_VALUE = 5, 2
_MAX_ROWS_LOOKED_AT = 100_000


def hints(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """Return sentences on times and on repeated names."""
    notes = []
    times = [column.name for column in schema.columns if _orders_rows(column, frame)]
    if times:
        notes.append(
            f"{shortened(times)} {'are times' if len(times) > 1 else 'is a time'}, and the folds are random: scores "
            f"are of rows between those learnt from, not of later ones; --time {times[0]} judges on later rows"
        )
    groups = [str(name) for name in frame.columns if _names_groups(str(name)) and _repeats(frame[name])]
    features = set(schema.column_names)
    groups = [name for name in groups if name in features]
    if groups:
        notes.append(
            f"{shortened(groups)} repeat{'s' if len(groups) == 1 else ''} over rows, and the folds are random: scores "
            f"are of values that models have learnt from, not of new ones; --group {groups[0]} keeps each together"
        )
    return notes


def _orders_rows(column: Column, frame: pd.DataFrame) -> bool:
    """Return whether a feature tells the order of rows."""
    if column.kind == "datetime":
        return True
    if column.kind != "numeric" or column.name.lower() not in _TIME_NAMES:
        return False
    return frame[column.name].nunique() >= _MIN_MOMENTS


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[\W_]+", spaced) if word]


def _names_groups(name: str) -> bool:
    words = _words(name)
    return bool(words) and (words[-1] in _ID_WORDS or words[-1] in _GROUP_WORDS or words[0] in _ID_WORDS)


def _repeats(series: pd.Series) -> bool:
    some = series.iloc[evenly_spread(len(series), _MAX_ROWS_LOOKED_AT)]
    try:
        codes, _ = coded_text(some)
    except TypeError:  # lists and records
        return False
    sizes = np.bincount(codes[codes >= 0])
    n_values = int((sizes > 0).sum())
    return n_values >= _MIN_VALUES and n_values * _MIN_ROWS_A_VALUE <= len(some)
