"""Dependence says what a prediction does as a column changes, where rows are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted import VALUES, columns_of, planted, true_mean

from stacktune.data.column import Column
from stacktune.data.scale import Scale
from stacktune.data.table import Table
from stacktune.explain.columns import RawColumn
from stacktune.explain.dependence import MAX_LEVELS, N_LINES, N_POINTS, curves, dependence, in_words


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


def test_a_step_among_the_few_values_of_a_mostly_zero_column_is_seen_where_it_is():
    """It was asked at 0, one value and the maximum alone, and looked like a straight line."""
    random = np.random.default_rng(0)
    gain = np.where(random.random(4_000) < 0.92, 0, np.round(random.uniform(100, 15_000, 4_000), -2))
    gain[:5] = 99_999
    table = Table(gain.astype(np.float32).reshape(-1, 1), ("gain",))

    def step(rows: Table) -> np.ndarray:
        return (rows.features[:, :1] > 6_000).astype(float)

    found = dependence(step, table, VALUES, RawColumn("gain", (0,)), 0, 0)
    assert len(found) == N_POINTS
    assert {0, 99_999} < set(found["value"])
    low, high = found.loc[found["prediction"] == 0, "value"].max(), found.loc[found["prediction"] == 1, "value"].min()
    assert low <= 6_000 < high
    assert high - low < 2_000
    assert found["share"].sum() == pytest.approx(1)
    assert found.set_index("value")["share"][0] == pytest.approx((gain == 0).mean(), abs=0.01)


@pytest.mark.parametrize("n_values", [1, 2, N_POINTS, N_POINTS + 1])
def test_no_value_is_asked_about_twice_and_few_are_all_asked_about(n_values):
    of_each = np.where(np.arange(n_values) == 0, 1_000, 1)
    table = Table(np.repeat(np.arange(n_values), of_each).astype(np.float32).reshape(-1, 1), ("skewed",))
    found = dependence(lambda rows: rows.features.astype(float), table, VALUES, RawColumn("skewed", (0,)), 0, 0)
    assert found["value"].is_unique
    assert len(found) == min(n_values, N_POINTS)


def test_a_column_without_a_value_has_none():
    table = Table(np.full((20, 1), np.nan, np.float32), ("empty",))
    assert dependence(true_mean, table, VALUES, RawColumn("empty", (0,)), 0, 0).empty


def test_single_rows_lines_average_to_the_dependence():
    table = planted()
    found = curves(true_mean, table, VALUES, columns_of(table)[0], 0, 0)
    lines = found.ice(n_lines=300)
    assert lines["row"].nunique() == 300
    means = lines.groupby("value")["prediction"].mean()
    np.testing.assert_allclose(means.to_numpy(), found.dependence()["prediction"], rtol=1e-9)
    assert len(found.ice()) == N_LINES * N_POINTS


def test_rows_that_weigh_more_count_more():
    table = planted()
    weight = np.where(table.features[:, 6] == 4, 50, 1).astype(np.float32)
    heavy = Table(table.features, table.names, table.cardinalities, table.target, weight)
    plain, weighed = (dependence(true_mean, one, VALUES, columns_of(one)[0], 0, 0) for one in (table, heavy))
    assert (weighed["prediction"] > plain["prediction"] + 1).all()


@pytest.mark.parametrize(
    ("column", "encoded", "texts", "numbers"),
    [
        (Column("c", "categorical", ("high", "low")), [1, 0], ["low", "high"], [np.nan, np.nan]),
        (Column("b", "boolean", ("False", "True")), [0], ["False"], [np.nan]),
        (Column("x", "numeric"), [np.float32(0.1)], ["0.1"], [0.1]),
        (Column("x", "numeric", scale=Scale(2e9, 1.0)), [5], ["2000000005"], [2000000005]),
        (Column("d", "datetime", scale=Scale(1577836800.0)), [86400], ["2020-01-02"], [1577923200]),
        (Column("d", "datetime"), [3661], ["1970-01-01 01:01:01"], [3661]),
    ],
)
def test_values_are_told_as_they_stand_in_the_table(column, encoded, texts, numbers):
    frame = pd.DataFrame({"value": np.array(encoded, dtype=np.float32), "prediction": 0.0})
    found = in_words(frame, column)
    assert found["value"].tolist() == texts
    np.testing.assert_array_equal(found["number"], numbers)
    assert list(found) == ["column", "kind", "value", "number", "prediction"]
