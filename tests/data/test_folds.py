import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.folds import (
    MIN_HELD_OUT_OF_A_CLASS,
    MIN_JUDGED_OF_A_CLASS,
    fold_notes,
    held_out_rows,
    make_folds,
    rarer_class,
    share_to_hold_out,
)
from stacktune.data.table import Table, Task
from stacktune.errors import DataError

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


@given(class_codes().filter(lambda labelled: rarer_class(labelled[0])[1] >= 4), st.integers(0, 5))
def test_a_holdout_is_judged_in_blocks_and_its_rows_are_not_trained_on(labelled, seed):
    target, task = labelled
    folds = make_folds(table_of(target), task, 1, seed)
    held_out = folds.valid_rows(0)
    assert len(held_out) == pytest.approx(share_to_hold_out(target, task) * len(target), abs=1)
    np.testing.assert_array_equal(held_out, folds.judged_rows)
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out, folds.train_rows(0)])), np.arange(len(target)))
    blocks = [folds.block_rows(block) for block in range(folds.n_blocks)]
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), held_out)
    assert np.ptp([len(rows) for rows in blocks]) <= 1
    np.testing.assert_array_equal(np.sort(np.concatenate([blocks[1], folds.other_block_rows(1)])), held_out)


@given(
    st.integers(4, 60),
    st.sampled_from([0, 3, 40]),
    st.integers(0, 20),
    st.sampled_from([1, 2, 3, 4]),
    st.booleans(),
)
def test_every_part_has_rows_of_two_classes_however_rare_one_is_and_copied(n_rare, n_third, seed, n_folds, copied):
    """Of 20 positives a fifth was held out in five blocks, one of them without: no trial had a score."""
    random = np.random.default_rng(seed)
    target = np.zeros(600, dtype=np.int32)
    target[:n_rare], target[n_rare : n_rare + n_third] = 1, 2
    features = random.normal(size=(600, 3)).astype(np.float32)
    if copied:
        features[: n_rare // 2 * 2] = np.repeat(features[: n_rare // 2], 2, axis=0)
    table = Table(features, ("a", "b", "c"), target=target)
    task = classes_of(3 if n_third else 2)
    folds = make_folds(table, task, n_folds, seed)
    code, _ = rarer_class(target)
    for block in range(folds.n_blocks):
        inside = target[folds.block_rows(block)]
        assert (inside == code).any()
        assert (inside != code).any()
    assert all((target[folds.train_rows(fold)] == code).any() for fold in range(n_folds))


@pytest.mark.parametrize(
    ("n_rare", "n_held_out", "n_blocks"), [(5_000, 1_000, 5), (60, 12, 5), (20, 10, 5), (12, 6, 3), (4, 2, 2)]
)
def test_a_holdout_has_as_many_blocks_as_its_rare_class_fills(n_rare, n_held_out, n_blocks):
    table = table_of(np.repeat([0, 1], [20_000 - n_rare, n_rare]))
    folds = make_folds(table, classes_of(2), 1, 0)
    assert folds.n_blocks == n_blocks
    assert table.target[folds.judged_rows].sum() == n_held_out
    notes = fold_notes(folds, table, classes_of(2))
    assert any("held out 50% of the rows, as class 1 has" in note for note in notes) == (
        n_rare < 2.5 * MIN_HELD_OUT_OF_A_CLASS
    )
    message = f"only {n_held_out} of the rows that models are judged on are of class 1"
    assert any(message in note for note in notes) == (n_held_out < MIN_JUDGED_OF_A_CLASS)


def test_too_few_rows_of_a_class_for_a_holdout_are_refused():
    table = table_of(np.repeat([0, 1], [97, 3]))
    with pytest.raises(DataError, match=r"4 rows of a class, half to .*, but '1' has 3\. Use --folds 3"):
        make_folds(table, classes_of(2), 1, 0)


@pytest.mark.parametrize("n_rows", [5, 9, 30])
def test_no_block_of_a_small_holdout_is_empty(n_rows):
    folds = make_folds(table_of(np.arange(n_rows, dtype=float)), REGRESSION, 1, 0)
    assert min(len(folds.block_rows(block)) for block in range(folds.n_blocks)) > 0


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


@pytest.mark.parametrize("n_folds", [1, 5])
def test_what_was_measured_twice_is_in_one_fold_whatever_its_targets(n_folds):
    features = np.repeat(np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32), 2, axis=0)
    for target, task in ((np.arange(200) % 2, classes_of(2)), (np.arange(200.0), REGRESSION)):
        assignment = make_folds(Table(features, ("a", "b"), target=target), task, n_folds, 0).assignment
        np.testing.assert_array_equal(assignment[::2], assignment[1::2])


def test_where_rows_repeat_by_nature_folds_stay_even():
    table = Table(np.zeros((400, 1), dtype=np.float32), ("x",), target=np.arange(400) % 2)
    assert np.ptp(np.bincount(make_folds(table, classes_of(2), 5, 0).assignment)) <= 1


def test_rows_of_one_kind_that_repeat_by_nature_are_not_parted_by_their_class():
    """All rows of a kind and class were in one fold, so a model knew only the others of the kind: AUC .35 for .71."""
    random = np.random.default_rng(0)
    kinds = random.integers(20, size=(4000, 2))
    target = (random.random(4000) < random.random((20, 20))[kinds[:, 0], kinds[:, 1]]).astype(np.int32)
    table = Table(kinds.astype(np.float32), ("a", "b"), (20, 20), target)
    folds = make_folds(table, classes_of(2), 5, 0)
    kind = kinds @ [20, 1]
    is_like = []
    for fold in range(5):
        train, valid = folds.train_rows(fold), folds.valid_rows(fold)
        mean = np.bincount(kind[train], target[train], 400) / np.maximum(1, np.bincount(kind[train], minlength=400))
        is_like.append(np.corrcoef(mean[kind[valid]], target[valid])[0, 1])
    assert np.mean(is_like) > 0.4


def test_a_row_that_repeats_too_often_is_dealt_out_and_other_copies_are_kept_together():
    random = np.random.default_rng(1)
    features = random.normal(size=(300, 3)).astype(np.float32)
    table = Table(np.concatenate([features, features, np.zeros((200, 3), np.float32)]), tuple("abc"))
    table = Table(table.features, table.names, target=np.arange(800) % 2)
    assignment = make_folds(table, classes_of(2), 5, 0).assignment
    np.testing.assert_array_equal(assignment[:300], assignment[300:600])
    assert len(set(assignment[600:])) == 5


def test_copies_that_were_numbered_stay_in_one_fold():
    """A shuffled id beside two copies of each row let 247 of 300 pairs be parted."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(150, 3)), 2, axis=0)
    features = np.column_stack([rows, rng.permutation(10_000)[:300]]).astype(np.float32)
    table = Table(features, tuple("abci"), target=rng.normal(size=300))
    assignment = make_folds(table, Task("regression"), 5, 0).assignment
    assert (assignment[::2] == assignment[1::2]).all()
