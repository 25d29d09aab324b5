"""How a table's rows are parted otherwise than randomly.

The problem: random folds part rows that belong together. Of a patient, a shop or an hour, a model then knows the rows
that it is judged on by their neighbours, and its score says nothing of patients, shops or hours to come.

The solution: a column says which rows belong together, or in which order they came, and a split is made of it before
anything is learnt. While rows are read, dropped and split off, what the split goes by is a column of the table
(`SPLIT_KEY`); once they are settled, it is the `Split`.

What is guaranteed: each row has a key, or the run is refused. The key is no feature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stacktune.data.added import with_columns
from stacktune.data.moments import moments_of
from stacktune.data.number_text import is_missing
from stacktune.data.values import OTHER, coded_text, content_of
from stacktune.data.weights import SAMPLE_WEIGHT
from stacktune.errors import DataError
from stacktune.settings.groups import Settings
from stacktune.settings.kinds import parse_gap

# What a split goes by: chance, groups, time, folds of the user's own, or a table of validation rows.
ROWS, GROUP, TIME, FOLDS, VALIDATION = "rows", "group", "time", "folds", "validation"
# Columns that are there only while the rows are chosen among: what a split goes by, and where a row came in its table.
SPLIT_KEY, ROW_NUMBER = "__split__", "__row__"
# Folds are numbered by 8 bits, and each is a fit of every trial.
MAX_OWN_FOLDS = 100


@dataclass(frozen=True)
class Split:
    """What parts the rows, and by which column.

    key: (n_rows,) the number of a row's group or own fold, its moment, or whether it is of the validation table.
    names: of the groups or own folds, by their numbers. is_date: whether moments are seconds since 1970.
    gap: in rows or seconds, and which of the two. is_even: whether random folds spread a regression's target evenly.
    n_repeats: how many times folds are dealt.
    """

    by: str = ROWS
    column: str = ""
    key: np.ndarray | None = None
    names: tuple[str, ...] = ()
    is_date: bool = False
    gap: tuple[float, str] = (0, "rows")
    is_even: bool = False
    n_repeats: int = 1

    @property
    def groups(self) -> np.ndarray | None:
        """Return the (n_rows,) numbers of groups, or None."""
        return self.key if self.by == GROUP else None

    @property
    def keys(self) -> np.ndarray:
        """Return the key of a split by a column."""
        if self.key is None:
            raise TypeError("rows that are parted at random have no key")
        return self.key


AT_RANDOM = Split()


def split_columns(config: Settings) -> list[tuple[str, str]]:
    """Return roles and names of columns that split."""
    roles = (("group", config.group), ("time", config.time), ("fold", config.fold_column))
    return [(role, name) for role, name in roles if name is not None]


def no_features(config: Settings) -> set[str]:
    """Return the columns that are never learnt from.

    A time is learnt from as any other column, and so is a group that is to be kept.
    """
    split = {config.group, config.fold_column}.difference(config.keep)
    others = {config.target, config.weight, SAMPLE_WEIGHT, SPLIT_KEY, ROW_NUMBER, *split}
    return {name for name in others if name is not None}


def with_split_key(frame: pd.DataFrame, config: Settings) -> tuple[pd.DataFrame, Split]:
    """Add the key that rows are split by.

    Raises:
        DataError: the column has missing values, or does not part the rows.
    """
    blank = Split(is_even=config.stratify, n_repeats=config.repeats)
    for role, name in split_columns(config):
        split = _by_time(frame[name], config) if role == "time" else _by_groups(frame[name], role, config.repeats)
        return with_columns(frame, {SPLIT_KEY: split.keys}), split
    if config.validation_data is not None:
        return frame, Split(VALIDATION)
    return frame, blank


def settled(split: Split, frame: pd.DataFrame) -> Split:
    """Return the split of the rows that are left."""
    return replace(split, key=frame[SPLIT_KEY].to_numpy()) if split.by != ROWS else split


def check_no_key(frame: pd.DataFrame) -> None:
    """Raise DataError where a column has our name."""
    for name in (SPLIT_KEY, ROW_NUMBER):
        if name in frame.columns:
            raise DataError(f"the table has a column {name!r}, a name that is needed. Rename it.")


def _by_groups(series: pd.Series, role: str, n_repeats: int) -> Split:
    codes, texts = _texts(series, role)
    distinct, groups = np.unique(np.array(texts, dtype=object)[codes], return_inverse=True)
    if len(distinct) < 2:
        raise DataError(
            f"the {role} column {str(series.name)!r} has one value only, {distinct[0]!r}: nothing would be left to "
            "learn from or to judge on. Name a column of several values."
        )
    if role == "fold" and len(distinct) > MAX_OWN_FOLDS:
        raise DataError(
            f"the fold column {str(series.name)!r} has {len(distinct):,} values, and each is a fold: there may be "
            f"{MAX_OWN_FOLDS}. Give --group {series.name} to keep rows of one value together in fewer folds."
        )
    by = GROUP if role == "group" else FOLDS
    return Split(by, str(series.name), groups.astype(np.int64), tuple(map(str, distinct)), n_repeats=n_repeats)


def _texts(series: pd.Series, role: str) -> tuple[np.ndarray, list[str]]:
    if content_of(series) == OTHER:
        raise DataError(f"the {role} column {str(series.name)!r} holds lists or the like. Name one of plain values.")
    codes, texts = coded_text(series)
    lost = np.array([is_missing(text) for text in texts] + [True])[codes]
    if lost.any():
        raise _missing(series, role, int(lost.sum()))
    return codes, texts


def _by_time(series: pd.Series, config: Settings) -> Split:
    moments, is_date = moments_of(series)
    if not np.isfinite(moments).all():
        raise _missing(series, "time", int((~np.isfinite(moments)).sum()))
    gap = parse_gap(config.gap or 0)
    if gap[1] != "rows" and not is_date:
        raise DataError(
            f"--gap {config.gap} is a duration, but the time column {config.time!r} holds numbers, of which nobody "
            "knows the unit. Give a number of rows, or a column of dates."
        )
    return Split(TIME, str(series.name), moments, is_date=is_date, gap=gap)


def _missing(series: pd.Series, role: str, n_missing: int) -> DataError:
    return DataError(
        f"the {role} column {str(series.name)!r} must hold a value in each row, but {n_missing:,} of {len(series):,} "
        "are missing. Drop these rows, or fill them in."
    )
