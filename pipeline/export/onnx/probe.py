"""Makes rows to try a graph on.

And it hands tables over as a graph takes them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stacktune.data.column import Column
from stacktune.data.names import positions_of, with_named_index
from stacktune.data.number_text import is_missing
from stacktune.data.schema import Schema
from stacktune.data.values import coded_text, without_periods
from stacktune.export.onnx.columns import missing_text

N_PROBES = 1000
SHARE_MISSING, SHARE_UNSEEN = 0.08, 0.04
NEVER_SEEN = "a level never seen"


def probe_rows(schema: Schema, seed: int = 0, n_rows: int = N_PROBES) -> pd.DataFrame:
    """Return made-up rows over each column's range.

    Some values are missing, some levels never seen, some numbers beyond all of training. The first row misses all.
    """
    random = np.random.default_rng(seed)
    return pd.DataFrame({column.name: _values(column, n_rows, random) for column in schema.columns})


def _values(column: Column, n_rows: int, random: np.random.Generator) -> pd.Series:
    is_gone = random.random(n_rows) < SHARE_MISSING
    is_gone[0] = True
    if column.is_coded:
        texts = np.array([*column.categories, NEVER_SEEN], dtype=object)
        chosen = texts[random.integers(max(1, len(column.categories)), size=n_rows)]
        chosen[random.random(n_rows) < SHARE_UNSEEN] = NEVER_SEEN
        chosen[is_gone] = None
        return pd.Series(chosen, dtype=object)
    # Many columns have most of their values near one end.
    share = random.random(n_rows) ** random.choice([1, 1, 6], size=n_rows)
    share[-2:] = -0.5, 1.5
    values = column.low + share * (column.high - column.low)
    whole = random.random(n_rows) < 0.5
    values[whole] = np.round(values[whole])
    if column.kind == "datetime":
        stamps = (values * 1e6).astype(np.int64).astype("datetime64[us]")
        return pd.Series(np.where(is_gone, np.datetime64("NaT", "us"), stamps))
    values[is_gone] = np.nan
    return pd.Series(values)


def feeds(schema: Schema, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return a table's columns as inputs of a graph.

    They are (n_rows, 1) each.
    """
    frame = with_named_index(frame, schema.column_names)
    positions = positions_of(schema.columns, frame)
    asked = {}
    for column in schema.columns:
        if column.name in positions:
            series = without_periods(frame.iloc[:, positions[column.name]])
        else:
            series = pd.Series(np.nan, frame.index)
        asked[column.name] = _fed(column, series).reshape(-1, 1)
    return asked


def _fed(column: Column, series: pd.Series) -> np.ndarray:
    if not column.is_coded:
        return column.seconds(series) if column.kind == "datetime" else column.numbers(series)
    rows, texts = coded_text(series)
    codes = column.encode(series)[0]
    asked = np.array([*texts, missing_text(column)], dtype=object)[rows]
    # A number or a truth value stands for the level that it was read from, whatever that is written like.
    for row in np.flatnonzero(codes < len(column.categories)).tolist():
        text = column.categories[int(codes[row])]
        asked[row] = asked[row] if asked[row] in column.code_of else text
    gone = [place for place, text in enumerate(asked) if np.isnan(codes[place]) and not is_missing(text)]
    asked[gone] = missing_text(column)
    return asked
