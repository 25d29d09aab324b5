"""Dependence says what a prediction does as a column changes, where rows are."""

from __future__ import annotations

import numpy as np
import pytest
from planted import VALUES, columns_of, planted, true_mean

from stacktune.data.table import Table
from stacktune.explain.columns import RawColumn
from stacktune.explain.dependence import MAX_LEVELS, N_POINTS, dependence


def test_of_a_sum_it_is_a_line_of_the_columns_slope():
    table = planted()
    found = dependence(true_mean, table, VALUES, columns_of(table)[0], 0, 0)
    assert len(found) == N_POINTS
    slope = np.polyfit(found["value"], found["prediction"], 1)[0]
    assert slope == pytest.approx(3, abs=1e-4)
    assert found["share"].sum() == pytest.approx(1)
    assert ((found["low"] < found["prediction"]) & (found["prediction"] < found["high"])).all()


def test_of_levels_it_has_the_most_frequent_with_their_shares():
    table = planted()
    found = dependence(true_mean, table, VALUES, columns_of(table)[6], 0, 0)
    assert found["value"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(found["prediction"].diff().dropna(), 1, atol=1e-4)
    assert found["share"].sum() == pytest.approx(1)
    many = Table(np.arange(300, dtype=np.float32).reshape(-1, 1) % 40, ("level",), (40,))
    by_level = dependence(lambda rows: rows.features.astype(float), many, VALUES, RawColumn("level", (0,)), 0, 0)
    assert len(by_level) == MAX_LEVELS


def test_what_belongs_together_is_changed_together():
    """As a date's seconds and its month, which no row has otherwise."""
    seconds = np.linspace(0, 1, 200, dtype=np.float32)
    table = Table(np.column_stack([seconds, np.floor(seconds * 12)]).astype(np.float32), ("day", "day.month"))

    def agree(rows: Table) -> np.ndarray:
        return (np.floor(rows.features[:, 0] * 12) == rows.features[:, 1]).astype(float).reshape(-1, 1)

    found = dependence(agree, table, VALUES, RawColumn("day", (0, 1)), 0, 0)
    assert (found["prediction"] == 1).all()


def test_a_column_without_a_value_has_none():
    table = Table(np.full((20, 1), np.nan, np.float32), ("empty",))
    assert dependence(true_mean, table, VALUES, RawColumn("empty", (0,)), 0, 0).empty
