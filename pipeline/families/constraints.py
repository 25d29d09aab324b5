"""What a task asks of models, by column.

Models may be asked to rise or fall with a column, and to let only some columns act on one another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stacktune.data.table import Task

MONOTONE, INTERACTIONS = "monotone", "interactions"


def monotone_of(task: Task, names: Sequence[str]) -> list[int] | None:
    """Return 1, -1 or 0 for each column.

    It is None where nothing is asked. names: of the table's columns; what is made of several of the user's has another.
    """
    directions = dict(task.monotone)
    return [directions.get(name, 0) for name in names] if directions else None


def directions_among(
    task: Task, names: Sequence[str], kept: Sequence[int] | np.ndarray, n_columns: int
) -> list[int] | None:
    """Return what `monotone_of` does for some columns, and others.

    names: of the table's columns. kept: positions of those that come first; `n_columns` are all, with means of levels.
    """
    directions = monotone_of(task, names)
    return None if directions is None else [*(directions[place] for place in kept), *[0] * (n_columns - len(kept))]


def interactions_of(task: Task, names: Sequence[str]) -> list[list[int]] | None:
    """Return the groups of columns that may interact.

    Those of no group are one together, as in scikit-learn. It is None where nothing is asked.
    """
    if not task.interactions:
        return None
    place = {name: index for index, name in enumerate(names)}
    groups = [[place[name] for name in group] for group in task.interactions]
    rest = sorted(set(place.values()) - {index for group in groups for index in group})
    return [*groups, *([rest] if rest else [])]
