import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.folds import held_out_rows, make_folds
from pipeline.data.table import Table, Task
from pipeline.errors import DataError

REGRESSION = Task("regression")


def table_of(target):
    return Table(np.zeros((len(target), 1), dtype=np.float32), ("x",), target=np.asarray(target))


def classes_of(n_classes):
    return Task("multiclass", tuple(map(str, range(n_classes))))


@st.composite
def class_codes(draw):
    n_classes = draw(st.integers(2, 5))
    codes = draw(st.lists(st.integers(0, n_classes - 1), min_size=10, max_size=200))
    return np.array(codes, dtype=np.int32), classes_of(n_classes)


@given(class_codes(), st.integers(2, 10), st.integers(0, 5))
def test_each_row_is_held_out_once_and_classes_are_spread_to_one(labelled, n_folds, seed):
    target, task = labelled
    folds = make_folds(table_of(target), task, n_folds, seed)
    assert folds.assignment.dtype == np.int8
    sizes = []
    for fold in range(n_folds):
        valid, train = folds.valid_rows(fold), folds.train_rows(fold)
        assert valid.dtype == train.dtype == np.int64
        np.testing.assert_array_equal(np.sort(np.concatenate([valid, train])), np.arange(len(target)))
        sizes.append(np.bincount(target[valid], minlength=len(task.classes)))
    assert np.ptp(sizes, axis=0).max() <= 1
    assert np.ptp(np.sum(sizes, axis=1)) <= 1


@given(st.integers(10, 300), st.integers(2, 10), st.integers(0, 5))
def test_folds_of_regression_are_of_one_size(n_rows, n_folds, seed):
    folds = make_folds(table_of(np.arange(n_rows, dtype=float)), REGRESSION, n_folds, seed)
    assert np.ptp(np.bincount(folds.assignment, minlength=n_folds)) <= 1


def test_folds_are_fixed_by_the_seed_and_do_not_follow_the_order_of_the_rows():
    table = table_of(np.arange(200) % 2)
    first, again, other = (make_folds(table, classes_of(2), 5, seed).assignment for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).sum() > 100
    assert len(set(first[:20])) > 2


def test_more_folds_than_rows_are_refused():
    with pytest.raises(DataError, match=r"5 folds need at least 5 rows, but the table has 3\."):
        make_folds(table_of([0.0, 1.0, 2.0]), REGRESSION, 5, 0)


@given(class_codes(), st.floats(0.05, 0.95), st.integers(0, 5))
def test_held_out_rows_have_their_share_of_each_class(labelled, share, seed):
    target, task = labelled
    held_out = held_out_rows(target, task, share, seed)
    assert abs(held_out.sum() - share * len(target)) <= 1
    for code in range(len(task.classes)):
        assert abs(held_out[target == code].sum() - share * (target == code).sum()) <= 1


@given(class_codes(), st.integers(0, 5))
def test_a_holdout_is_judged_in_blocks_and_its_rows_are_not_trained_on(labelled, seed):
    target, task = labelled
    folds = make_folds(table_of(target), task, 1, seed)
    held_out = folds.valid_rows(0)
    assert len(held_out) == pytest.approx(0.2 * len(target), abs=1)
    np.testing.assert_array_equal(held_out, folds.judged_rows)
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out, folds.train_rows(0)])), np.arange(len(target)))
    blocks = [folds.block_rows(block) for block in range(folds.n_blocks)]
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), held_out)
    assert np.ptp([len(rows) for rows in blocks]) <= 1
    np.testing.assert_array_equal(np.sort(np.concatenate([blocks[2], folds.other_block_rows(2)])), held_out)


def test_of_very_many_rows_a_smaller_share_is_held_out():
    folds = make_folds(table_of(np.arange(500_000, dtype=float)), REGRESSION, 1, 0)
    assert len(folds.judged_rows) == 50_000


@given(st.integers(0, 20), st.integers(2, 8), st.integers(1, 60), st.sampled_from([0, 3]))
def test_copies_of_a_row_are_in_one_fold(seed, n_folds, n_copied, n_classes):
    random = np.random.default_rng(seed)
    features = random.normal(size=(300, 4)).astype(np.float32)
    target = np.arange(300) % n_classes if n_classes else random.normal(size=300)
    copied = random.choice(300, n_copied, replace=False)
    features = np.concatenate([features, features[copied]])
    table = Table(features, tuple("abcd"), target=np.concatenate([target, target[copied]]))
    task = classes_of(n_classes) if n_classes else REGRESSION
    folds = make_folds(table, task, n_folds, seed)
    np.testing.assert_array_equal(folds.assignment[300:], folds.assignment[copied])
    sizes = np.bincount(folds.assignment, minlength=n_folds)
    assert sizes.min() > 0.5 * len(table.target) / n_folds
    holdout = make_folds(table, task, 1, seed)
    np.testing.assert_array_equal(holdout.assignment[300:], holdout.assignment[copied])


def test_rows_with_another_target_are_no_copies():
    features = np.repeat(np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32), 2, axis=0)
    table = Table(features, ("a", "b"), target=np.arange(200) % 2)
    assignment = make_folds(table, classes_of(2), 5, 0).assignment
    assert (assignment[::2] != assignment[1::2]).any()


def test_where_rows_repeat_by_nature_folds_stay_even():
    table = Table(np.zeros((400, 1), dtype=np.float32), ("x",), target=np.arange(400) % 2)
    assert np.ptp(np.bincount(make_folds(table, classes_of(2), 5, 0).assignment)) <= 1
