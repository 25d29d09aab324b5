"""Features that are the target in disguise are found, and others are not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from stacktune.data.leaks import telling_features
from stacktune.data.table import Table, Task

CLASSES = Task("multiclass", ("a", "b", "c"))
VALUES = Task("regression")


def table_of(features: dict[str, np.ndarray], target: np.ndarray) -> Table:
    stacked = np.column_stack(list(features.values())).astype(np.float32)
    return Table(stacked, tuple(features), target=target)


@pytest.mark.parametrize("n_rows", [50, 5_000])
def test_copies_of_classes_are_found_whatever_their_codes(n_rows):
    random = np.random.default_rng(0)
    target = random.integers(0, 3, n_rows).astype(np.int32)
    wrong_once = np.array([9.0, 3.0, 5.0])[target]
    wrong_once[7] = 9.0 if target[7] else 3.0
    holes = np.where(random.random(n_rows) < 0.2, np.nan, target)
    features = {
        "copy": np.array([9.0, 3.0, 5.0])[target],
        "finer": target * 2 + random.integers(0, 2, n_rows),
        "with holes": holes,
        "nearly": wrong_once,
        "mostly missing": np.where(random.random(n_rows) < 0.8, np.nan, target),
        "noise": random.normal(size=n_rows),
        "coarser": target > 0,
    }
    assert telling_features(table_of(features, target), CLASSES) == ["copy", "finer", "with holes"]


@pytest.mark.parametrize("n_rows", [50, 5_000])
def test_copies_of_values_are_found_whatever_their_scale(n_rows):
    random = np.random.default_rng(0)
    target = random.normal(size=n_rows).round(3)
    features = {
        "scaled": 3 * target + 1,
        "falling": -np.exp(target),
        "noisy": target + 0.1 * random.normal(size=n_rows),
        "noise": random.normal(size=n_rows),
        "constant": np.ones(n_rows),
    }
    assert telling_features(table_of(features, target), VALUES) == ["scaled", "falling"]


def test_a_few_rows_may_agree_by_chance():
    target = np.arange(10) % 2
    assert telling_features(table_of({"x": target}, target), CLASSES) == []


def test_numbers_of_any_size_are_compared_in_silence():
    """The spread of two float32 numbers can be none: NumPy's warning of it was all that a run had on stderr."""
    huge = np.tile(np.float32([3e38, -3e38]), 200)
    table = table_of({"huge": huge}, np.random.default_rng(0).normal(size=400))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert telling_features(table, VALUES) == []
