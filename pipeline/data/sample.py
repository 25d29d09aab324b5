"""Samples the rows of a table too large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stacktune.data.arrow_types import is_plain, plain
from stacktune.data.folds import held_out_rows
from stacktune.data.spread import evenly_spread
from stacktune.data.table import REGRESSION, Task
from stacktune.data.target import MAX_NUMERIC_CLASSES
from stacktune.data.target_text import find_writing
from stacktune.data.values import text_of
from stacktune.seeds import derive_seed

# A target of more values than this, or of floats, is sampled without regard to them; and one of more whole numbers than
# make classes of them, unless classes are asked for.
_MAX_CLASSES = 1_000
_MIN_ROWS_A_CLASS = 10


@dataclass(frozen=True)
class Sample:
    """A number of rows to read, by class.

    The sample has so many, with the same share of each class of the column `target`.

    task: "auto", or what was asked for, as in the settings.
    """

    n_rows: int
    target: str
    seed: int
    task: str = "auto"


@dataclass(frozen=True)
class Drawn:
    """The rows of a sample.

    rows: ascending int64 positions.
    weight: (n_rows,) float64 with which each class weighs what it does in the whole table; None where all rows weigh
        the same.
    """

    rows: np.ndarray
    weight: np.ndarray | None


def draw_sample(target: pa.ChunkedArray, sample: Sample) -> Drawn:
    """Return a sample with each class's share.

    The share is that of the rows; of a rare class ten are kept, or all there are, for less.
    """
    codes = _codes(target, sample.task)
    share = min(1.0, sample.n_rows / len(target))
    task = Task("multiclass", tuple(map(str, range(int(codes.max()) + 1))))
    chosen = held_out_rows(codes, task, share, derive_seed(sample.seed, "sample"))
    sizes, kept = np.bincount(codes), np.bincount(codes[chosen], minlength=len(task.classes))
    rare = np.flatnonzero(kept < np.minimum(sizes, _MIN_ROWS_A_CLASS))
    for code in rare:
        places = np.flatnonzero(codes == code)
        chosen[places] = False
        chosen[places[evenly_spread(len(places), _MIN_ROWS_A_CLASS)]] = True
    rows = np.flatnonzero(chosen)
    return Drawn(rows, _weights(codes, rows) if len(rare) else None)


def _weights(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the sampled rows' weights.

    A weight is how many rows of its class each of `rows` stands for, with mean one.
    """
    sizes, kept = np.bincount(codes), np.bincount(codes[rows], minlength=int(codes.max()) + 1)
    stands_for = sizes / np.maximum(kept, 1)
    return stands_for[codes[rows]] * (len(rows) / len(codes))


def _codes(target: pa.ChunkedArray, task: str) -> np.ndarray:
    """Return (n_rows,) class codes.

    They are whole numbers; all are 0 where there are none, or too many to matter.
    """
    target = plain(target) if is_plain(target.type) else target
    if pa.types.is_floating(target.type) or pa.types.is_nested(target.type):
        return np.zeros(len(target), dtype=np.int64)
    coded = target.combine_chunks()
    coded = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    are_amounts = pa.types.is_integer(target.type) and task in ("auto", REGRESSION)
    most = MAX_NUMERIC_CLASSES if are_amounts else _MAX_CLASSES
    if len(coded.dictionary) > most or _spells_amounts(coded.dictionary, codes, task):
        return np.zeros(len(target), dtype=np.int64)
    return codes


def _spells_amounts(levels: pa.Array, codes: np.ndarray, task: str) -> bool:
    """Return whether the levels spell amounts.

    They are texts of numbers that are to be predicted as numbers.
    """
    if not (pa.types.is_string(levels.type) or pa.types.is_large_string(levels.type)):
        return False
    counts = np.bincount(codes, minlength=len(levels) + 1)
    texts = [text_of(level) for level in levels.to_pylist()]
    return find_writing(texts, counts[: len(texts)], task) is not None
