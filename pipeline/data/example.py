"""Makes up example rows like those of a table.

None is a row of it: a model that travels shows them of its inputs.

A model still knows what it needs: each level of its text columns, and the range of its numbers, stand in leader.json.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.schema import Schema
from stacktune.data.spread import evenly_spread
from stacktune.data.values import text_of

N_ROWS = 5
# A text that so many rows share tells of none of them.
MIN_ROWS_OF_A_LEVEL = 10
STANDS_FOR_TEXT = "text"
# Numbers and dates lie between these quantiles, so that no extreme one, which may name its row, shows.
QUANTILES = (0.05, 0.95)
_MAX_SAMPLED_ROWS = 10_000
_DAY_S = 86_400
_HELD_S = (-9e9, 9e9)  # of the years 1684 to 2255, which every moment of pandas can be of


def made_up_rows(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return N_ROWS made-up rows of `schema`.

    They have types that the model reads as it read those of `frame`.

    Numbers and dates are round ones, evenly spaced over most of a column's range. Levels are the most frequent ones
    that at least MIN_ROWS_OF_A_LEVEL rows share, else the word "text". Each column is made up by itself.
    """
    some = evenly_spread(len(frame), _MAX_SAMPLED_ROWS)
    columns = {}
    for column in schema.columns:
        series = frame[column.name]
        looked_at = series.iloc[some]
        if column.is_coded:
            values = _levels(series)
        elif column.kind == "datetime":
            values = _dates(column, looked_at)
        else:
            values = _numbers(column, looked_at)
        columns[column.name] = pd.Series(values, dtype=object).infer_objects()
    return pd.DataFrame(columns, columns=schema.column_names)


def _levels(series: pd.Series) -> list[Any]:
    counts = series.value_counts()
    shared = list(counts.index[counts.to_numpy() >= MIN_ROWS_OF_A_LEVEL][:N_ROWS])
    chosen = shared or [STANDS_FOR_TEXT]
    return [chosen[place % len(chosen)] for place in range(N_ROWS)]


def _numbers(column: Column, series: pd.Series) -> list[float | int]:
    numbers = column.numbers(series)
    known = numbers[np.isfinite(numbers)]
    if len(known) == 0:
        return [0.0] * N_ROWS
    low, high = np.quantile(known, QUANTILES)
    values = [_rounded(value, high - low) for value in np.linspace(low, high, N_ROWS)]
    is_whole = pd.api.types.is_integer_dtype(series.dtype)
    return [round(value) if is_whole else float(value) for value in values]


def _rounded(value: float, span: float) -> float:
    """Return the value in two digits.

    They are of what it varies by; where it does not vary, of itself.
    """
    size = span or abs(value)
    if not 0 < size < np.inf:
        return value
    return float(np.round(value, int(np.clip(1 - np.floor(np.log10(size)), -300, 300))))


def _dates(column: Column, series: pd.Series) -> list[Any]:
    seconds = column.seconds(series)
    known = seconds[np.isfinite(seconds)]
    low, high = np.quantile(known, QUANTILES).clip(*_HELD_S) if len(known) else (0.0, 0.0)
    step = _DAY_S if high - low > N_ROWS * _DAY_S else 3600
    moments = [pd.Timestamp(int(second // step * step), unit="s") for second in np.linspace(low, high, N_ROWS)]
    if column.date_format:
        return [moment.strftime(column.date_format) for moment in moments]
    zone = getattr(series.dtype, "tz", None)
    if zone is not None:
        return [moment.tz_localize("UTC").tz_convert(zone) for moment in moments]
    return moments if series.dtype.kind == "M" else [text_of(moment) for moment in moments]
