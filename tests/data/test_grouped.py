import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.grouped import MAX_STRATA, deal_groups, first_of_group, strata_of
from stacktune.data.table import Task

REGRESSION = Task("regression")
BINARY = Task("binary", ("no", "yes"))


@given(st.integers(5, 80), st.integers(2, 5), st.integers(0, 9))
def test_all_rows_of_a_group_are_in_one_part_and_none_is_empty(n_groups, n_parts, seed):
    random = np.random.default_rng(seed)
    groups = np.append(np.arange(n_groups), random.integers(n_groups, size=400)) * 7  # numbers need not be dense
    strata = random.integers(3, size=len(groups))
    parts = deal_groups(groups, strata, [1 / n_parts] * n_parts, seed)
    assert all(len(np.unique(parts[groups == group])) == 1 for group in np.unique(groups))
    assert np.bincount(parts, minlength=n_parts).min() > 0
    np.testing.assert_array_equal(parts, deal_groups(groups, strata, [1 / n_parts] * n_parts, seed))


def test_groups_of_all_sizes_make_parts_of_one_size_and_of_like_classes():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), random.geometric(0.02, 300))
    rare = random.random(300) < 0.1  # a class comes with some groups only
    strata = (random.random(len(groups)) < np.where(rare, 0.5, 0.01)[groups]).astype(np.int64)
    parts = deal_groups(groups, strata, [0.2] * 5, 0)
    sizes = np.bincount(parts)
    assert np.ptp(sizes) < 0.02 * len(groups)
    shares = np.bincount(parts, strata) / sizes
    assert np.ptp(shares) < 0.1 * shares.mean()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_share_of_the_rows_is_split_off_in_whole_groups(share):
    groups = np.repeat(np.arange(400), np.random.default_rng(1).integers(1, 20, 400))
    held_out = deal_groups(groups, np.zeros(len(groups), np.int64), [1 - share, share], 3) > 0
    assert held_out.mean() == pytest.approx(share, abs=0.01)


def test_of_very_many_groups_the_small_ones_are_dealt_in_turn(monkeypatch):
    monkeypatch.setattr("stacktune.data.grouped.MAX_WEIGHED", 100)
    groups = np.repeat(np.arange(3_000), 2)
    strata = np.repeat(np.arange(3_000) % 3 == 0, 2).astype(np.int64)
    for shares in ([0.25] * 4, [0.8, 0.2]):
        parts = deal_groups(groups, strata, shares, 0)
        np.testing.assert_allclose(np.bincount(parts) / len(parts), shares, atol=0.01)
        np.testing.assert_allclose(np.bincount(parts, strata) / strata.sum(), shares, atol=0.01)


def test_a_regression_has_strata_of_equal_size_and_equal_values_share_one():
    target = np.random.default_rng(0).exponential(size=1_000)
    assert np.ptp(np.bincount(strata_of(target, REGRESSION))) <= 1
    strata = strata_of(np.where(target < 1, 0.0, target), REGRESSION)
    assert len(np.unique(strata[target < 1])) == 1
    assert strata_of(np.ones(5), REGRESSION).max() <= 1


def test_of_many_classes_the_rare_ones_are_one_stratum():
    target = np.repeat(np.arange(60), np.arange(60, 0, -1)).astype(np.int32)
    strata = strata_of(target, Task("multiclass", tuple(map(str, range(60)))))
    assert strata.max() == MAX_STRATA
    assert len(np.unique(strata[target >= MAX_STRATA])) == 1
    np.testing.assert_array_equal(strata_of(target % 2, BINARY), target % 2)


def test_a_group_is_known_by_its_first_row():
    np.testing.assert_array_equal(first_of_group(np.array([9, 4, 9, 4, 2])), [0, 1, 0, 1, 4])
