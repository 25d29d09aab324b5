"""Finds duplicate rows, by a mishap or by nature."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import pandas as pd

from stacktune.data.spread import evenly_spread
from stacktune.data.table import Table

_SEED = 20_201
_MAX_SAMPLED_ROWS = 10_000
# Of rows whose columns are drawn independently, each would have so many twins by chance: then twins are no copies, and
# keeping them together would hide from a model all that it may know of such rows.
MAX_CHANCE_TWINS = 0.05


def copies_of(table: Table) -> np.ndarray:
    """Return each row's first copy.

    It is (n_rows,) int64: the first row with the same features, itself where there is none.

    Targets do not count: of something that was measured twice they may differ, and a model that has learnt one of them
    is told much of the other. Where rows repeat by nature, none is a copy. Rows are compared by a 64-bit sum of their
    bits with random factors, which lets two rows in 10^18 pass for one.
    """
    return _first_alike(table.n_rows, _columns_of(table, _compared(table)))


def copies_of_raw(frame: pd.DataFrame, leave_out: Collection[str]) -> np.ndarray:
    """Return `copies_of` a table as read.

    Identifiers do not count, nor columns to `leave_out`.
    """
    return _first_alike(len(frame), _raw_columns(frame, leave_out))


def n_known(table: Table, training: Table) -> int:
    """Return how many rows are also in `training`.

    Rows are compared by their features. It is 0 where rows repeat by nature.
    """
    places = _compared(training)
    both = (
        np.concatenate(pair) for pair in zip(_columns_of(training, places), _columns_of(table, places), strict=True)
    )
    first = _first_alike(training.n_rows + table.n_rows, both)
    return int((first[training.n_rows :] < training.n_rows).sum())


def digest_of_rows(frame: pd.DataFrame, weight: np.ndarray | None) -> str:
    """Return a raw table's digest, for any row order.

    It is 16 hexadecimal digits of its names and values.
    """
    keys = np.zeros(len(frame), dtype=np.uint64)
    for series in (*(series for _, series in frame.items()), *([] if weight is None else [pd.Series(weight)])):
        # Each column turns what the earlier ones left, so that values that change places do not cancel out.
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + _hashed(series).astype(np.uint64)
    digest = hashlib.blake2b(json.dumps(list(map(str, frame.columns))).encode(), digest_size=8)
    digest.update(np.sort(keys).data)
    return digest.hexdigest()


def _compared(table: Table) -> list[int]:
    """Return the positions of compared features.

    They are all but identifiers.
    """
    return [place for place in range(table.n_features) if not _numbers_rows(table.features[:, place])]


def _columns_of(table: Table, places: list[int]) -> Iterator[np.ndarray]:
    bits = np.ascontiguousarray(table.features).view(np.uint32)
    return (bits[:, place] for place in places)


def _numbers_rows(values: np.ndarray) -> bool:
    """Return whether a feature numbers the rows.

    It is another whole number, or another level, in every row: see `_is_identifier`.
    """
    some = values[evenly_spread(len(values), _MAX_SAMPLED_ROWS)]
    if len(np.unique(some)) < len(some) or (some != np.floor(some)).any():
        return False
    return bool((values == np.floor(values)).all()) and len(np.unique(values)) == len(values)


def _raw_columns(frame: pd.DataFrame, leave_out: Collection[str]) -> Iterator[np.ndarray]:
    for place, label in enumerate(frame.columns):
        if str(label) not in leave_out:
            series = frame.iloc[:, place]
            values = _hashed(series)
            if not _is_identifier(series, values):
                yield values


def _hashed(series: pd.Series) -> np.ndarray:
    """Return (n,) uint64 hashes.

    What Python cannot hash, as lists and records, is hashed as it is written.
    """
    try:
        return pd.util.hash_pandas_object(series, index=False).to_numpy()
    except TypeError:
        return pd.util.hash_pandas_object(series.map(repr), index=False).to_numpy()


def _is_identifier(series: pd.Series, values: np.ndarray) -> bool:
    """Return whether a text or number always differs.

    It does so in every row. Copies that were numbered are copies all the same.
    """
    counts = pd.api.types.is_integer_dtype(series.dtype) or pd.api.types.is_string_dtype(series.dtype)
    some = values[evenly_spread(len(values), _MAX_SAMPLED_ROWS)]
    return counts and len(pd.unique(some)) == len(some) and len(pd.unique(values)) == len(values)


def _first_alike(n_rows: int, columns: Iterable[np.ndarray]) -> np.ndarray:
    random = np.random.default_rng(_SEED)
    keys, some, looked_at = np.zeros(n_rows, dtype=np.uint64), evenly_spread(n_rows, _MAX_SAMPLED_ROWS), []
    for column in columns:
        keys += column.astype(np.uint64) * (random.integers(1, 2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1))
        looked_at.append(column[some])
    if not looked_at or n_rows * _chance_of_a_twin(looked_at, keys[some]) > MAX_CHANCE_TWINS:
        return np.arange(n_rows)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return first[group]


def _chance_of_a_twin(columns: list[np.ndarray], keys: np.ndarray) -> float:
    """Return the chance that two rows agree.

    Columns are taken to be independent; of each row one copy is looked at. A column alone says nothing of what is
    independent: there, all rows are looked at.
    """
    distinct = np.unique(keys, return_index=True)[1] if len(columns) > 1 else np.arange(len(keys))
    return float(np.prod([_share_of_pairs(column[distinct]) for column in columns]))


def _share_of_pairs(values: np.ndarray) -> float:
    """Return the share of equal pairs."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / max(1.0, len(values) * (len(values) - 1.0)))
