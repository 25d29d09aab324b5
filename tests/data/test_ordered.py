import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.ordered import HISTORY_SHARE, cut, gap_text, later_rows, moment_text, pieces
from stacktune.data.split import TIME, Split
from stacktune.errors import DataError


def split_of(moments, gap=(0, "rows"), is_date=False):
    return Split(TIME, "when", np.asarray(moments, dtype=np.float64), is_date=is_date, gap=gap)


@given(st.integers(0, 20), st.integers(1, 6), st.integers(0, 30), st.booleans())
def test_a_fold_learns_from_rows_before_its_window_alone(seed, n_windows, gap, has_ties):
    random = np.random.default_rng(seed)
    moments = random.permutation(400) // (8 if has_ties else 1)
    windows = cut(split_of(moments, (gap, "rows")), n_windows, 1 - HISTORY_SHARE)
    for fold in range(n_windows):
        inside, learnt = windows.window == fold, windows.n_learning > fold
        assert moments[learnt].max() < moments[inside].min()
        assert (moments < moments[inside].min()).sum() - learnt.sum() == gap
        assert inside.sum() == pytest.approx(200 / n_windows, abs=9)
    assert (windows.window >= 0).sum() == pytest.approx(200, abs=8)


def test_the_first_window_is_the_newest():
    windows = cut(split_of(np.arange(100)), 5, 0.5)
    np.testing.assert_array_equal(windows.window, [-1] * 50 + [4] * 10 + [3] * 10 + [2] * 10 + [1] * 10 + [0] * 10)
    np.testing.assert_array_equal(windows.n_learning[[0, 49, 50, 60, 99]], [5, 5, 4, 3, 0])


def test_rows_of_one_moment_are_never_parted():
    moments = np.repeat([1, 2, 3, 4, 5], [10, 40, 5, 40, 5])
    windows = cut(split_of(moments), 2, 0.5)
    assert all(len(np.unique(windows.window[moments == moment])) == 1 for moment in range(1, 6))


def test_a_gap_in_time_leaves_out_what_came_shortly_before():
    days = np.arange(100) * 86_400.0
    windows = cut(split_of(days, (7 * 86_400.0, "s"), is_date=True), 1, 0.2)
    assert np.flatnonzero(windows.window == 0).min() == 80
    assert np.flatnonzero(windows.n_learning > 0).max() == 73  # seven days before the eightieth
    held_out, learnt = later_rows(split_of(days, (3, "rows")), 0.1)
    assert (held_out.sum(), learnt.sum()) == (10, 87)


def test_too_few_moments_and_a_gap_too_long_are_refused():
    with pytest.raises(DataError, match=r"'when' has 3 moments, which are too few for 5 windows .* fewer --folds\."):
        cut(split_of(np.repeat([1, 2, 3], 30)), 5, 0.5)
    with pytest.raises(DataError, match=r"a gap of 60 rows leaves no row to learn from before the oldest of 2 windows"):
        cut(split_of(np.arange(100), (60, "rows")), 2, 0.5)
    with pytest.raises(DataError, match=r"a gap of 9 days .*, which begins at 1970-01-06\. Give a shorter --gap"):
        cut(split_of(np.arange(10) * 86_400.0, (9 * 86_400.0, "s"), is_date=True), 1, 0.5)


def test_pieces_follow_one_another_and_are_of_one_size():
    moments = np.random.default_rng(0).permutation(53)
    found = pieces(moments, 5)
    assert np.ptp(np.bincount(found)) <= 1
    assert (np.diff(found[np.argsort(moments)]) >= 0).all()


@pytest.mark.parametrize(
    ("gap", "text"),
    [
        ((100, "rows"), "100 rows"),
        ((7 * 86_400.0, "s"), "7 days"),
        ((5_400.0, "s"), "1.5 hours"),
        ((30.0, "s"), "30 s"),
    ],
)
def test_a_gap_and_a_moment_are_read_as_people_write_them(gap, text):
    assert gap_text(split_of([1, 2], gap)).startswith(text)
    assert moment_text(86_400.0, split_of([1, 2], is_date=True)) == "1970-01-02"
    assert moment_text(2013.0, split_of([1, 2])) == "2013"
