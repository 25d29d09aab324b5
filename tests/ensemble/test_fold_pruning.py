"""Fold models are dealt out until a leader is steady, within what a prediction may cost."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.ensemble.fold_pruning import EFFECTIVE_MODELS, choose_fold_models, cost_us, target_effective_models

FREE = math.inf


def _variance(weights, subsets):
    total = sum(weights)
    return sum((weight / total) ** 2 / len(folds) for weight, folds in zip(weights, subsets, strict=True))


def test_a_lone_trial_is_asked_for_all_its_models():
    assert choose_fold_models(5, [1.0], [10.0], FREE) == ((0, 1, 2, 3, 4),)
    assert choose_fold_models(1, [0.5, 0.5], [10.0, 10.0], FREE) == ((0,), (0,))


def test_equal_members_take_turns_at_the_folds():
    assert choose_fold_models(5, [1.0] * 5, [1.0] * 5, FREE) == ((0, 1), (2, 3), (0, 4), (1, 2), (3, 4))


def test_the_heavier_member_is_asked_for_more_models():
    heavy, light = choose_fold_models(8, [0.8, 0.2], [1.0, 1.0], FREE)
    assert len(heavy) == 8 > len(light) >= 1


def test_what_is_dealt_keeps_to_the_limit():
    assert [len(folds) for folds in choose_fold_models(5, [0.5, 0.5], [1.0, 10.0], 14.0)] == [4, 1]
    assert choose_fold_models(5, [0.5, 0.5], [1.0, 10.0], 5.0) == ((0,), (1,)), "one model of each is the least"


@given(
    n_folds=st.integers(1, 10),
    members=st.lists(st.tuples(st.floats(0.02, 2.0), st.floats(0.0, 100.0)), min_size=1, max_size=15),
    limit_us=st.one_of(st.just(FREE), st.floats(0.0, 2000.0)),
)
def test_a_deal_is_fair_steady_and_within_the_limit(n_folds, members, limit_us):
    weights, model_us = (list(values) for values in zip(*members, strict=True))
    subsets = choose_fold_models(n_folds, weights, model_us, limit_us)
    counts = [len(folds) for folds in subsets]
    assert all(1 <= count == len(set(folds)) <= n_folds for count, folds in zip(counts, subsets, strict=True))
    asked = Counter(fold for folds in subsets for fold in folds)
    assert max(asked.values()) - min(asked[fold] for fold in range(n_folds)) <= 1
    assert cost_us(counts, model_us) <= limit_us or counts == [1] * len(counts)
    if limit_us == FREE and min(counts) < n_folds:
        steady = _variance(weights, subsets) <= 1 / EFFECTIVE_MODELS + 1e-9
        assert steady or all(count == n_folds for count in counts)


def test_on_few_rows_more_is_asked():
    asked = {
        n_rows: choose_fold_models(8, [1.0] * 6, [1.0] * 6, FREE, target_effective_models(n_rows))
        for n_rows in (700, 40_000)
    }
    assert [sum(map(len, subsets)) for subsets in asked.values()] == [30, 11]


@pytest.mark.parametrize("n_members", [1, 2, 5, 12])
def test_no_more_is_asked_than_is_enough(n_members):
    subsets = choose_fold_models(5, [1.0] * n_members, [1.0] * n_members, FREE)
    assert sum(map(len, subsets)) == max(n_members, min(5 * n_members, EFFECTIVE_MODELS))
