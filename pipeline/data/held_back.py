"""Splits test rows off before anything is learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stacktune.data.duplicates import copies_of_raw
from stacktune.data.folds import held_out_together
from stacktune.data.grouped import deal_groups, strata_of
from stacktune.data.ordered import gap_text, later_rows, moment_text
from stacktune.data.split import GROUP, ROW_NUMBER, SPLIT_KEY, TIME, VALIDATION, Split, no_features, settled
from stacktune.data.table import Task
from stacktune.data.target import encode_target
from stacktune.errors import DataError
from stacktune.seeds import derive_seed
from stacktune.settings.groups import Settings

Parted = tuple[pd.DataFrame, pd.DataFrame | None, list[str]]


def split_off_test(frame: pd.DataFrame, config: Settings, task: Task, split: Split) -> Parted:
    """Return training rows, test rows and notes.

    There are test rows if --test-size asks for any. They are parted as the folds are: by groups, by time, or at random.
    """
    if config.test_size is None:
        return frame, None, []
    held_out, learnt, notes = _parted(frame, config, task, split, config.test_size)
    if not learnt.any() or not held_out.any():
        raise DataError(
            f"--test-size {config.test_size:g} of {len(frame)} rows leaves the training or the test table empty."
        )
    test = frame[held_out].drop(columns=[SPLIT_KEY, ROW_NUMBER], errors="ignore")
    return frame[learnt].reset_index(drop=True), test.reset_index(drop=True), notes


def _parted(
    frame: pd.DataFrame, config: Settings, task: Task, split: Split, share: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return which rows test, which train, and notes."""
    split = settled(split, frame)
    if split.by == TIME:
        return _last_rows(split, share)
    target = encode_target(frame[config.target], task)
    if split.by == GROUP:
        held_out = _groups(split, strata_of(target, task), share, config.seed)
        n_groups = len(np.unique(split.keys[held_out]))
        note = f"the test rows are {held_out.sum():,} of {n_groups:,} values of {split.column}, all of which are new"
        return held_out, ~held_out, [note]
    if split.by == VALIDATION:
        held_out = np.zeros(len(frame), dtype=bool)
        own = np.flatnonzero(split.keys == 0)
        chosen, notes = _at_random(frame.iloc[own], config, task, target[own], share)
        held_out[own] = chosen
        return held_out, ~held_out, notes
    held_out, notes = _at_random(frame, config, task, target, share)
    return held_out, ~held_out, notes


def _last_rows(split: Split, share: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    held_out, learnt = later_rows(split, share)
    notes = [
        f"the test rows are the last {held_out.sum():,} by {split.column}, from "
        f"{moment_text(float(split.keys[held_out].min()), split)} on"
    ]
    n_lost = int((~held_out & ~learnt).sum())
    if n_lost:
        notes.append(f"dropped {n_lost:,} rows within {gap_text(split)} before the test rows, as --gap asks")
    return held_out, learnt, notes


def _groups(split: Split, strata: np.ndarray, share: float, seed: int) -> np.ndarray:
    return deal_groups(split.keys, strata, [1 - share, share], derive_seed(seed, "test")) > 0


def _at_random(
    frame: pd.DataFrame, config: Settings, task: Task, target: np.ndarray, share: float
) -> tuple[np.ndarray, list[str]]:
    """Return which rows test, and a note on copies."""
    copies = copies_of_raw(frame, no_features(config))
    held_out = held_out_together(target, task, share, config.seed, copies)
    n_copies = int((copies != np.arange(len(copies))).sum())
    if not n_copies:
        return held_out, []
    return held_out, [
        f"{n_copies:,} row{'s are copies' if n_copies > 1 else ' is a copy'} of others in all but {config.target}: "
        "copies stay together, in the training or in the test table"
    ]
