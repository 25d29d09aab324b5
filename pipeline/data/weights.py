"""Weighs rows.

Weights come from a column of the table, and from how many rows of a larger table they stand for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from stacktune.data.added import with_columns
from stacktune.data.read import Source
from stacktune.data.values import NUMERIC, content_of, numbers_of
from stacktune.errors import DataError

# A column that is there only while the rows of a sample are chosen among, and only if they do not weigh the same.
SAMPLE_WEIGHT = "__sample_weight__"


def with_sample_weight(source: Source) -> Source:
    """Add a sample's weights to its rows.

    Nothing is added where it has none; the rows are yet to be chosen among.
    """
    if SAMPLE_WEIGHT in source.frame.columns:
        raise DataError(f"the table has a column {SAMPLE_WEIGHT!r}, a name that --sample-rows needs. Rename it.")
    if source.weight is None:
        return source
    return replace(source, frame=with_columns(source.frame, {SAMPLE_WEIGHT: source.weight}))


def weighted_rows(frame: pd.DataFrame, name: str | None) -> tuple[pd.DataFrame, np.ndarray | None, list[str]]:
    """Return weighted rows, their weights, and notes.

    They are rows that weigh something; the float32 weights have mean one.
    """
    sampled = frame[SAMPLE_WEIGHT].to_numpy() if SAMPLE_WEIGHT in frame.columns else None
    if name is None:
        return frame, None if sampled is None else (sampled / sampled.mean()).astype(np.float32), []
    weight = _checked_weight(frame[name]) * (1 if sampled is None else sampled)
    counted = weight > 0
    notes = []
    if not counted.all():
        notes.append(f"dropped {int((~counted).sum()):,} rows whose weight {name} is zero")
        frame, weight = frame[counted].reset_index(drop=True), weight[counted]
    return frame, (weight / weight.mean()).astype(np.float32), notes


def _checked_weight(series: pd.Series) -> np.ndarray:
    rule = f"the weight column {series.name!r} must hold a number of at least zero in each row, but"
    if content_of(series) != NUMERIC:
        raise DataError(f"{rule} it holds no numbers.")
    weight = numbers_of(series)
    if not np.isfinite(weight).all():
        raise DataError(f"{rule} {int((~np.isfinite(weight)).sum()):,} are null or infinite.")
    if weight.min() < 0:
        raise DataError(f"{rule} {int((weight < 0).sum()):,} are negative, the least {weight.min():g}.")
    if weight.max() == 0:
        raise DataError(f"{rule} all are zero.")
    return weight
