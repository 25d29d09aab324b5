"""Reads a user's own validation rows.

They become rows of it, so that both are read alike, and are marked: models are judged on them, and learn from the
others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from stacktune.data.added import with_columns
from stacktune.data.notes import listed
from stacktune.data.read import Source, read_source
from stacktune.data.split import SPLIT_KEY
from stacktune.data.values import content_of
from stacktune.errors import DataError, nearest_column
from stacktune.settings.groups import Settings
from stacktune.storage.uris import without_secrets


def with_validation_rows(source: Source, config: Settings) -> Source:
    """Return the table with the validation rows behind.

    It is as it was where no validation table is given. A column that the validation table alone has is left out.

    Raises:
        DataError: a column is missing there, or holds something else.
    """
    if config.validation_data is None:
        return source
    other = read_source(config.validation_data)
    place, frame = without_secrets(config.validation_data), source.frame
    for name in map(str, frame.columns):
        if name not in other.frame.columns:
            hint = nearest_column(name, map(str, other.frame.columns))
            raise DataError(f"the validation table {place!r} has no column {name!r}.{hint}")
        before, after = content_of(frame[name]), content_of(other.frame[name])
        if before != after and frame[name].notna().any() and other.frame[name].notna().any():
            raise DataError(
                f"the column {name!r} is {before} in the training table and {after} in the validation table {place!r}. "
                "Write both alike."
            )
    extra = [str(name) for name in other.frame.columns if name not in frame.columns]
    joined = pd.concat([frame, other.frame[list(frame.columns)]], ignore_index=True)
    marks = np.repeat([0, 1], [len(frame), len(other.frame)])
    notes = [f"models are judged on the {len(other.frame):,} rows of {place}, and learn from the other {len(frame):,}"]
    notes += [f"left out of the validation table what the training table has not: {listed(extra)}"] if extra else []
    weight = None if source.weight is None else np.append(source.weight, np.full(len(other.frame), 1.0))
    frame = with_columns(joined, {SPLIT_KEY: marks})
    return replace(source, frame=frame, notes=(*source.notes, *notes), weight=weight)
