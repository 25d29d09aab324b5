"""A feature that alone orders the target is named, and honest features are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stacktune.data.dataset import load_dataset
from stacktune.data.orders import ordering_features
from stacktune.data.table import Table, Task
from stacktune.settings.groups import Settings

BINARY, CLASSES, VALUES = Task("binary", ("a", "b")), Task("multiclass", ("a", "b", "c")), Task("regression")
RANDOM = np.random.default_rng(0)


def names_of(features, target, task, cardinalities=()):
    stacked = np.column_stack(list(features.values())).astype(np.float32)
    table = Table(stacked, tuple(features), cardinalities, target=target)
    return [(order.name, order.by_missing) for order in ordering_features(table, task)]


@pytest.mark.parametrize(("n_rows", "share"), [(100, 0.5), (60_000, 0.001), (20_000, 0.3)])
def test_features_that_order_two_classes(n_rows, share):
    target = (np.arange(n_rows) < max(20, share * n_rows)).astype(np.int32)
    amount = RANDOM.normal(size=n_rows)
    features = {
        "up": amount + 20 * target,
        "down": amount - 20 * target,
        "with holes": np.where(RANDOM.random(n_rows) < 0.2, np.nan, amount + 20 * target),
        "missing if so": np.where(target == 1, np.nan, amount),
        "strong": amount + 3 * target,
        "noise": RANDOM.normal(size=n_rows),
        "constant": np.ones(n_rows),
    }
    assert names_of(features, target, BINARY) == [
        *(("up", False), ("down", False), ("with holes", False), ("missing if so", True))
    ]


def test_features_that_order_several_classes_and_not_those_that_tell_one():
    target = RANDOM.integers(0, 3, 3000).astype(np.int32)
    amount = RANDOM.normal(size=3000)
    features = {
        "all": amount + np.array([0, 40, 20])[target],
        "one": amount + np.array([0, 0, 40])[target],
    }
    assert names_of(features, target, CLASSES) == [("all", False)]


def test_categories_that_order_the_target():
    target = (RANDOM.random(5000) < 0.3).astype(np.int32)
    flipped = np.where(RANDOM.random(5000) < 2e-4, 1 - target, target)
    features = {
        "levels": 2 * RANDOM.integers(0, 4, 5000) + flipped,
        "nearly": np.where(RANDOM.random(5000) < 0.05, 1 - target, target),
        "ids": np.arange(5000),
    }
    assert names_of(features, target, BINARY, (8, 2, 5000)) == [("levels", False)]
    steps = np.arange(5000) // 100
    values = steps + RANDOM.random(5000)
    assert names_of({"step": steps, "third": steps // 3}, values, VALUES, (50, 17)) == [("step", False)]


def test_features_that_order_values():
    target = RANDOM.normal(size=4000)
    features = {
        "nearly": -target + 1e-3 * RANDOM.normal(size=4000),
        "strong": target + 0.2 * RANDOM.normal(size=4000),
        "holes": np.where(RANDOM.random(4000) < 0.6, np.nan, target),
    }
    assert names_of(features, target, VALUES) == [("nearly", False)]


def test_few_rows_and_rare_classes_are_in_order_by_chance():
    assert names_of({"x": np.arange(40)}, (np.arange(40) > 19).astype(np.int32), BINARY) == []
    assert names_of({"x": np.arange(4000)}, (np.arange(4000) > 3996).astype(np.int32), BINARY) == []


def test_it_is_said_with_its_degree(tmp_path):
    y = np.arange(2000) % 2
    frame = pd.DataFrame({"score": y + np.where(np.arange(2000) == 7, -0.9, 0.2 * RANDOM.random(2000)), "y": y})
    frame.assign(x=RANDOM.normal(size=2000)).to_parquet(tmp_path / "t.parquet")
    notes = load_dataset(Settings(str(tmp_path / "t.parquet"), "y"))[0].notes
    assert (
        "score alone orders y nearly without error (ROC AUC 0.9995): leave it out if it is not known when predicting"
        in notes
    )
