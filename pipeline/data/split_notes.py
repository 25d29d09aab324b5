"""Says what a split does."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.ordered import gap_text, moment_text
from stacktune.data.split import FOLDS, GROUP, TIME, Split


def split_notes(split: Split, keep: Collection[str] = ()) -> list[str]:
    """Return a sentence on what rows are split by.

    keep: columns that are learnt from though they are groups.
    """
    name = split.column
    if split.by in (GROUP, FOLDS):
        learnt = (
            f"is learnt from, as --keep asks; models meet new values of {name}"
            if name in keep
            else "is not learnt from"
        )
        learnt += "" if name in keep else f"; --keep {name} learns from it"
    if split.by == GROUP:
        n_groups = len(np.unique(split.keys))
        return [
            f"rows of one {name} stay together, {n_groups:,} in all: scores say what models do where {name} is new; "
            f"it {learnt}"
        ]
    if split.by == FOLDS:
        return [f"the folds are the {len(split.names)} values of {name}, which {learnt}"]
    if split.by == TIME:
        return [
            f"models are judged on later rows than they learn from, by {name}; each that is completed is fitted once "
            f"more on all rows, the newest too, as long as the fold with the newest rows found best, and the leader "
            f"is made of these; {name} is learnt from as any other column"
        ]
    return []


def window_notes(folds: Folds, split: Split) -> list[str]:
    """Return sentences on windows and on models."""
    notes = []
    if folds.refits and not folds.is_ordered:
        notes.append(
            "each trial that completes is fitted once more, on all rows, and predicts by that model alone; scores are "
            "those of the folds"
        )
    if folds.n_repeats > 1:
        notes.append(
            f"folds are dealt {folds.n_repeats} times: a trial that completes has fitted {folds.n_folds} models, and a "
            f"row's out-of-fold prediction is the mean of {folds.n_repeats}"
        )
    if not folds.is_ordered:
        return notes
    judged = split.keys[folds.judged_rows]
    n_rows, n_judged = len(split.keys), len(judged)
    windows = f"in {folds.n_folds} windows" if folds.n_folds > 1 else "in one window"
    notes.append(
        f"judged on the newest {n_judged:,} of {n_rows:,} rows, {windows} from "
        f"{moment_text(float(judged.min()), split)} on; only these have out-of-fold predictions"
    )
    if split.gap[0]:
        notes.append(f"no model learns from the {gap_text(split)} before the rows that it is judged on")
    return notes
