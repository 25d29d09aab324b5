"""Shapley values add up, are those of the definition, and say how sure they are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from planted import CLASSES, VALUES, columns_of, planted, true_mean

from stacktune.data.table import Table
from stacktune.explain.shapley import Attribution, as_frame, attributions


def explained(table: Table, predict, task=VALUES, rows=(0, 5), n_background: int = 32) -> list[Attribution]:
    background = table.take(np.arange(100, 100 + n_background))
    return attributions(predict, table, task, columns_of(table), rows, background, 0)


def test_of_a_sum_each_column_gives_its_distance_from_the_background():
    table = planted()
    for one in explained(table, true_mean):
        mean = table.features[100:132].mean(axis=0)
        expected = np.zeros(7)
        expected[0], expected[6] = 3 * (table.features[one.row, 0] - mean[0]), table.features[one.row, 6] - mean[6]
        np.testing.assert_allclose(one.values, expected, atol=1e-5)
        assert one.residual == pytest.approx(0, abs=1e-6)
        assert one.of is None


def game(table: Table) -> np.ndarray:
    """Predict by a product, a threshold and a sum."""
    a, b, c, d = (table.features[:, place].astype(np.float64) for place in (0, 2, 3, 6))
    return (a * b + (c > 0) * d + d).reshape(-1, 1)


def by_definition(table: Table, row: int, background: np.ndarray) -> np.ndarray:
    """Return the values of all coalitions, weighed as Shapley (1953) does."""
    n, places = 7, range(7)

    def worth(known: tuple[int, ...]) -> float:
        hybrids = background.copy()
        hybrids[:, known] = table.features[row, known]
        return float(game(Table(hybrids, table.names, (5,))).mean())

    worths = {known: worth(known) for size in range(n + 1) for known in itertools.combinations(places, size)}
    values = np.zeros(n)
    for place in places:
        for known, value in worths.items():
            if place not in known:
                weight = math.factorial(len(known)) * math.factorial(n - len(known) - 1) / math.factorial(n)
                values[place] += weight * (worths[tuple(sorted((*known, place)))] - value)
    return values


def test_where_columns_interact_values_are_those_of_the_definition_within_their_errors():
    table = planted()
    one = explained(table, game, rows=(3,), n_background=500)[0]
    expected = by_definition(table, 3, table.features[100:600])
    assert one.residual == pytest.approx(0, abs=1e-6)
    assert (np.abs(one.values - expected) <= 4 * one.errors + 1e-9).all()
    assert one.errors.max() < 0.2


def test_classes_are_explained_in_log_odds():
    table = planted()

    def chances(rows: Table) -> np.ndarray:
        chance = 1 / (1 + np.exp(-true_mean(rows)[:, 0] / 4))
        return np.column_stack([1 - chance, chance])

    one = explained(table, chances, CLASSES)[0]
    mean = table.features[100:132].mean(axis=0)
    assert one.of == "yes"
    assert one.values[0] == pytest.approx(0.75 * (table.features[0, 0] - mean[0]), abs=1e-4)


def test_it_is_a_row_a_column():
    table = planted()
    frame = as_frame(explained(table, true_mean), columns_of(table))
    assert frame.shape == (14, 8)
    assert frame["row"].tolist() == [0] * 7 + [5] * 7


def test_few_rows_speak_for_many_with_less_chance_and_the_errors_that_are_printed():
    """Of repeated draws, the spread shrinks, the mean stays, and printed errors are what the spread is."""
    table = planted(3_000)
    crowd, columns = table.take(np.arange(1_000, 3_000)), columns_of(table)
    random = np.random.default_rng(0)
    found: dict[bool, list[Attribution]] = {True: [], False: []}
    for draw in range(40):
        few = crowd.take(random.permutation(2_000)[:32])
        for is_adjusted, of in found.items():
            of += attributions(game, table, VALUES, columns, [3], few, draw, crowd if is_adjusted else None)
    spread = {is_adjusted: np.std([one.values for one in of], axis=0) for is_adjusted, of in found.items()}
    assert spread[True][6] < 0.6 * spread[False][6]
    assert np.square(spread[True]).mean() < np.square(spread[False]).mean()
    means = {is_adjusted: np.mean([one.values for one in of], axis=0) for is_adjusted, of in found.items()}
    np.testing.assert_allclose(means[True], means[False], atol=4 * spread[False].max() / np.sqrt(40))
    printed = np.sqrt(np.mean([np.square(one.errors) for one in found[True]], axis=0))
    looked_at = [0, 2, 3, 6]
    np.testing.assert_allclose(printed[looked_at], spread[True][looked_at], rtol=0.6)
    assert np.mean([abs(one.residual) for one in found[True]]) < 3 * spread[True].max()
