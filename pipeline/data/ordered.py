"""Cuts rows into windows in the order of time.

The windows that are judged on are the newest part of the table, one a fold, of equal size; a fold learns from all rows
before its window, less a gap. The first fold has the newest window, and so the most rows to learn from, as trials are
compared on it first. The rows before the oldest window are only learnt from: a model of few old rows says nothing of
the one that is to be used.

Rows of the same moment are never parted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stacktune.data.dates import day_of
from stacktune.data.split import Split
from stacktune.errors import DataError

# Of the rows, what the oldest window's model learns from at least (less the gap).
HISTORY_SHARE = 0.5


@dataclass(frozen=True)
class Windows:
    """Windows of rows by time, the newest first.

    window: (n_rows,) int8, the window that a row is in, -1 for rows before all of them.
    n_learning: (n_rows,) int8, how many windows' models, from the first on, learn from the row.
    """

    window: np.ndarray
    n_learning: np.ndarray


def cut(split: Split, n_windows: int, share: float) -> Windows:
    """Cut the newest `share` of the rows into windows.

    Raises:
        DataError: there are too few moments, or nothing is left to learn from before a gap.
    """
    moments = split.keys
    order = np.argsort(moments, kind="stable")
    ordered = moments[order]
    wanted = len(moments) * (1 - share * np.arange(1, n_windows + 1) / n_windows)
    starts = _at_changes(ordered, wanted)
    if len(np.unique(starts)) < n_windows or starts[-1] == 0:
        raise DataError(
            f"the time column {split.column!r} has {len(np.unique(moments)):,} moments, which are too few for "
            f"{n_windows} windows to be judged on one after another. Use fewer --folds."
        )
    window = np.full(len(moments), -1, dtype=np.int8)
    n_learning = np.zeros(len(moments), dtype=np.int8)
    ends = np.append(len(moments), starts[:-1])
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        window[order[start:end]] = number
        n_learning[order[: _before_gap(ordered, int(start), split)]] += 1
    if n_learning.max() < n_windows:
        raise DataError(
            f"a gap of {gap_text(split)} leaves no row to learn from before the oldest of {n_windows} windows, which "
            f"begins at {moment_text(float(ordered[starts[-1]]), split)}. Give a shorter --gap, or fewer --folds."
        )
    return Windows(window, n_learning)


def later_rows(split: Split, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are last, and which before.

    They are (n_rows,) bool each; rows in the gap are neither.
    """
    windows = cut(split, 1, share)
    return windows.window == 0, windows.n_learning > 0


def pieces(moments: np.ndarray, n_pieces: int) -> np.ndarray:
    """Return (n,) int8 pieces of rows, one after another.

    Equal moments may be parted: the pieces are of equal size.
    """
    place = np.empty(len(moments), dtype=np.int64)
    place[np.argsort(moments, kind="stable")] = np.arange(len(moments))
    return (place * n_pieces // max(1, len(moments))).astype(np.int8)


def _at_changes(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the places nearest where moments change."""
    changes = np.append(0, np.flatnonzero(np.diff(ordered)) + 1)
    above = np.searchsorted(changes, wanted).clip(1, len(changes) - 1)
    low, high = changes[above - 1], changes[above]
    return np.where(wanted - low < high - wanted, low, high)


def _before_gap(ordered: np.ndarray, start: int, split: Split) -> int:
    """Return how many rows lie before a window's gap."""
    size, unit = split.gap
    if unit == "rows":
        return max(0, start - int(size))
    if size == 0:
        return start
    return int(np.searchsorted(ordered, ordered[start] - size, side="right"))


def moment_text(moment: float, split: Split) -> str:
    """Return a moment as people read it."""
    return day_of(moment) if split.is_date else f"{moment:g}"


def gap_text(split: Split) -> str:
    """Return the gap as people read it."""
    size, unit = split.gap
    if unit == "rows":
        return f"{size:,.0f} rows"
    for name, seconds in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if size >= seconds:
            return f"{size / seconds:g} {name}"
    return f"{size:g} seconds"
