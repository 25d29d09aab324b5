"""Permutation importance finds what was planted, and raises no more false alarms than it says."""

from __future__ import annotations

import time

import numpy as np
import pytest
from planted import CLASSES, VALUES, columns_of, planted, true_mean

from stacktune.data.table import Table
from stacktune.explain.columns import RawColumn, together
from stacktune.explain.importance import Importance, as_frame, importances, scorer_of
from stacktune.metrics import get_metric


def found_in(table: Table, predict, metric: str = "rmse", n_repeats: int = 3, **more) -> dict[str, Importance]:
    scorer = scorer_of(table, VALUES, get_metric(metric, "regression"), 0.5, 0)
    return {one.column: one for one in importances(predict, scorer, columns_of(table), n_repeats, 0, **more)}


def test_what_was_planted_is_found_in_its_order_and_what_is_not_looked_at_has_none():
    found = found_in(planted(), true_mean)
    assert list(found)[:2] == ["a", "b"]
    for name in ("a", "b"):
        assert found[name].p_value < 1e-4
        assert 0 < found[name].low < found[name].importance < found[name].high
    for name in ("twin", "n1", "n2", "n3", "n4"):
        assert found[name] == Importance(name, 0.0, 0.0, 0.0, 1.0, 3)


def test_the_figure_is_what_the_shuffle_costs():
    """Of y = 3a + …, shuffling a adds 2 · 9 · var(a) to the mean of squares."""
    table = planted(20_000)
    found = found_in(table, true_mean, "rmse", 2)
    assert found["a"].importance == pytest.approx(np.sqrt(1 + 18) - 1, rel=0.03)


def overfitted(table: Table) -> np.ndarray:
    """Predict by noise as well, as a model does that learnt it by heart."""
    return true_mean(table) + 0.3 * table.features[:, 2:6].sum(axis=1, keepdims=True)


def test_noise_that_a_model_looks_at_alarms_in_about_one_of_twenty():
    alarms = [
        one.p_value < 0.05
        for seed in range(25)
        for name, one in found_in(planted(400, seed), overfitted, n_repeats=2).items()
        if name.startswith("n")
    ]
    assert np.mean(alarms) < 0.1


def test_columns_are_also_shuffled_together():
    table = planted()

    def by_both(rows: Table) -> np.ndarray:
        return true_mean(rows) / 2 + (3 * rows.features[:, 1:2] + rows.features[:, 6:7]) / 2

    columns = columns_of(table)
    pair = together(columns[:2])
    assert pair == RawColumn("a + twin", (0, 1))
    scorer = scorer_of(table, VALUES, get_metric("rmse", "regression"), 0.5, 0)
    found = {one.column: one.importance for one in importances(by_both, scorer, [*columns, pair], 3, 0)}
    assert found["a + twin"] > 1.8 * max(found["a"], found["twin"])


def test_where_the_seconds_are_over_each_column_was_shuffled_once():
    found = found_in(planted(), true_mean, n_repeats=50, deadline=time.monotonic())
    assert {one.n_repeats for one in found.values()} == {1}


def test_few_rows_have_no_interval_and_say_so():
    table = planted(30)
    found = found_in(table, true_mean)
    assert np.isnan(found["a"].low)
    assert np.isnan(found["a"].p_value)
    assert list(as_frame(list(found.values())).columns[:2]) == ["column", "importance"]


@pytest.mark.parametrize("metric", ["roc_auc", "f1", "log_loss"])
def test_classes_are_scored_in_blocks_that_have_both(metric):
    table = planted()
    target = (table.labels > 4).astype(np.int32)
    table = Table(table.features, table.names, table.cardinalities, target)

    def chances(rows: Table) -> np.ndarray:
        chance = 1 / (1 + np.exp(-(true_mean(rows)[:, 0] - 4)))
        return np.column_stack([1 - chance, chance])

    scorer = scorer_of(table, CLASSES, get_metric(metric, "binary"), 0.5, 0)
    assert len(scorer.blocks) == 10
    assert np.isfinite(scorer.scores(chances(table))).all()
    (first, *_) = importances(chances, scorer, columns_of(table), 2, 0)
    assert (first.column, first.p_value < 0.001) == ("a", True)
