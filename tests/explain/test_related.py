"""Columns that say the same are found, whatever they hold; others are not."""

from __future__ import annotations

import numpy as np
import pytest
from planted import columns_of, planted

from stacktune.data.table import Table
from stacktune.explain.related import association, groups_of


def test_a_column_and_its_twin_are_one_group():
    table = planted()
    assert [[one.name for one in group] for group in groups_of(table, columns_of(table))] == [["a", "twin"]]


def mixed(n_rows: int = 3_000) -> Table:
    """Return x, its cube, levels that cut it, the same renamed, and levels of chance; some values are missing."""
    random = np.random.default_rng(0)
    x = random.normal(size=n_rows)
    level = np.digitize(x, [-1, 0, 1])
    features = np.column_stack([x, x**3, level, 3 - level, random.integers(4, size=n_rows)]).astype(np.float32)
    features[random.random(features.shape) < 0.05] = np.nan
    return Table(features, ("x", "cube", "level", "renamed", "chance"), (4, 4, 4))


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [(0, 1, 0.999, 1), (2, 3, 0.999, 1), (0, 2, 0.9, 1), (0, 4, 0, 0.05), (2, 4, 0, 0.05)],
)
def test_each_kind_of_pair_has_its_measure(one, other, low, high):
    table = mixed()
    assert low <= association(table, table.features, one, other) <= high
    assert association(table, table.features, other, one) == pytest.approx(
        association(table, table.features, one, other)
    )


def test_a_chain_whose_ends_have_nothing_in_common_is_no_group():
    random = np.random.default_rng(0)
    steps = [random.normal(size=2_000)]
    for _ in range(5):
        steps.append(0.88 * steps[-1] + 0.475 * random.normal(size=2_000))
    table = Table(np.column_stack(steps).astype(np.float32), tuple("abcdef"))
    assert all(len(group) == 2 for group in groups_of(table, columns_of(table)))


def test_a_column_of_one_value_is_of_no_group():
    table = Table(np.column_stack([np.ones(50), np.arange(50)]).astype(np.float32), ("one", "many"))
    assert groups_of(table, columns_of(table)) == []


def test_of_many_columns_it_takes_no_time_to_speak_of_and_keeps_to_the_time_that_it_has():
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 60))
    features[:, 59] = features[:, 0] ** 3
    features[::5, 3] = np.nan
    table = Table(features.astype(np.float32), tuple(f"x{place}" for place in range(60)))
    assert [[one.name for one in group] for group in groups_of(table, columns_of(table))] == [["x0", "x59"]]
    levels = Table(random.integers(3, size=(400, 20)).astype(np.float32), tuple("abcdefghijklmnopqrst"), (3,) * 20)
    doubled = Table(np.hstack([levels.features, levels.features]), (*levels.names, *levels.names), (3,) * 40)
    assert len(groups_of(doubled, columns_of(doubled))) == 20
    assert groups_of(doubled, columns_of(doubled), deadline=0.0) == []
