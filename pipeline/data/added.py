"""Adds columns to a frame, and copies none.

To set an item warns of a fragmented frame where there are a hundred columns from memory, and before pandas 3 `assign`
copies them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

# Since pandas 3 nothing is copied before it is written to, and the keyword is refused.
_LAZILY: dict[str, Any] = {} if int(pd.__version__.split(".")[0]) >= 3 else {"copy": False}


def with_columns(frame: pd.DataFrame, added: Mapping[str, Any]) -> pd.DataFrame:
    """Return the frame with more columns, behind its own.

    added: (n_rows,) values by name; a series' index is not looked at.
    """
    values = {name: one.array if isinstance(one, pd.Series) else one for name, one in added.items()}
    joined: pd.DataFrame = pd.concat([frame, pd.DataFrame(values, index=frame.index)], axis=1, **_LAZILY)
    return joined
