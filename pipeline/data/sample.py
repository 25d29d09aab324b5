"""Which rows of a table that is too large are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.data.folds import held_out_rows
from pipeline.data.table import Task
from pipeline.seeds import derive_seed

# A target of more values than this, or of floats, is sampled without regard to them.
_MOST_CLASSES = 1_000
_FEWEST_ROWS_A_CLASS = 10


@dataclass(frozen=True)
class Sample:
    """So many rows, with the same share of each class of the column `target`."""

    n_rows: int
    target: str
    seed: int


def sampled_rows(target: pa.ChunkedArray, sample: Sample) -> np.ndarray:
    """Return the ascending int64 positions of the sample's rows; of a rare class ten are kept, or all there are."""
    codes = _codes(target)
    share = min(1.0, sample.n_rows / len(target))
    task = Task("multiclass", tuple(map(str, range(int(codes.max()) + 1))))
    chosen = held_out_rows(codes, task, share, derive_seed(sample.seed, "sample"))
    sizes, kept = np.bincount(codes), np.bincount(codes[chosen], minlength=len(task.classes))
    for code in np.flatnonzero(kept < np.minimum(sizes, _FEWEST_ROWS_A_CLASS)):
        places = np.flatnonzero(codes == code)
        chosen[places] = False
        chosen[places[np.linspace(0, len(places) - 1, min(len(places), _FEWEST_ROWS_A_CLASS)).astype(np.int64)]] = True
    return np.flatnonzero(chosen)


def _codes(target: pa.ChunkedArray) -> np.ndarray:
    """Return (n_rows,) whole numbers, one a class; all 0 where there are none, or too many to matter."""
    if pa.types.is_floating(target.type) or pa.types.is_nested(target.type):
        return np.zeros(len(target), dtype=np.int64)
    coded = target.combine_chunks()
    coded = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes if len(coded.dictionary) <= _MOST_CLASSES else np.zeros(len(target), dtype=np.int64)
