"""Which looks decide how many units are kept, and at which units each held-out row is predicted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.folds import make_folds
from stacktune.data.table import Table, Task
from stacktune.metrics import METRICS, get_metric
from stacktune.trials.stopping import Held, Stopping, parts_of, stopping_metric

RMSE, AUC = METRICS["rmse"], METRICS["roc_auc"]


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)[:, None]


def test_without_parts_the_best_look_is_kept_and_predicted() -> None:
    stopping = Stopping(RMSE, Held(np.zeros(3)))
    assert stopping.predictions is None
    assert [stopping.look(10, values(2, 2, 2)), stopping.look(20, values(1, 1, 1))] == [True, True]
    assert not stopping.look(30, values(3, 3, 3))
    assert stopping.best_units == 20
    assert stopping.predictions.tolist() == values(1, 1, 1).tolist()
    assert stopping.curve == ((10, -2.0), (20, -1.0), (30, -3.0))


def test_a_part_is_predicted_at_the_units_that_the_others_chose() -> None:
    stopping = Stopping(RMSE, Held(np.zeros(2), parts=np.array([0, 1])))
    stopping.look(10, values(0, 5))  # the best for the first row alone
    stopping.look(20, values(5, 0))  # the best for the second
    assert stopping.predictions.ravel().tolist() == [5, 5]


@given(seed=st.integers(0, 1000))
def test_a_rows_own_target_never_chooses_its_prediction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, parts = rng.normal(size=12), np.arange(12) % 4
    looks = [rng.normal(size=(12, 1)) for _ in range(6)]

    def predicted(truth: np.ndarray) -> np.ndarray:
        stopping = Stopping(RMSE, Held(truth, parts=parts))
        for place, look in enumerate(looks):
            stopping.look(place + 1, look)
        return stopping.predictions

    other = np.where(parts == 2, rng.normal(size=12), target)
    np.testing.assert_array_equal(predicted(target)[parts == 2], predicted(other)[parts == 2])


def test_earlier_folds_have_a_say() -> None:
    earlier = (((10, -1.0), (20, -9.0)), ((10, -1.0), (30, -9.0)))
    stopping = Stopping(RMSE, Held(np.zeros(1), earlier=earlier))
    for units, value in ((5, 3), (10, 2.5), (20, 2), (40, 1)):
        stopping.look(units, values(value))
    assert stopping.best_units == 10


@pytest.mark.parametrize(("n_positive", "name"), [(60, "roc_auc"), (12, "log_loss")])
def test_ranks_of_a_handful_of_rows_do_not_decide(n_positive: int, name: str) -> None:
    target = (np.arange(400) < n_positive).astype(np.int32)
    table, task = Table(np.zeros((400, 1), np.float32), ("x",), target=target), Task("binary", ("no", "yes"))
    folds = make_folds(table, task, 4, 0)
    assert stopping_metric(AUC, task, table, folds).name == name
    assert stopping_metric(get_metric("f1", "binary"), task, table, folds).name == "log_loss"


@pytest.mark.parametrize("n_folds", [1, 4])
def test_parts_have_their_share_of_each_class(n_folds: int) -> None:
    target = (np.arange(400) % 10 == 0).astype(np.int32)
    table, task = Table(np.arange(400, dtype=np.float32)[:, None], ("x",), target=target), Task("binary", ("no", "yes"))
    folds = make_folds(table, task, n_folds, 0)
    parts = parts_of(table, task, folds, 0, 0)
    counts = np.bincount(parts, weights=target[folds.valid_rows(0)])
    assert len(counts) == 5
    assert counts.max() - counts.min() <= 1
    if n_folds == 1:
        np.testing.assert_array_equal(parts, folds.blocks[folds.valid_rows(0)])


def test_copies_of_a_row_are_in_one_part() -> None:
    """A row chose for its copy what was best for itself: of noise whose rows were there twice, .51 for .50."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(100, 3)).astype(np.float32), 2, axis=0)
    table = Table(features, tuple("abc"), target=rng.integers(0, 2, 100).repeat(2).astype(np.int32))
    task = Task("binary", ("no", "yes"))
    folds = make_folds(table, task, 4, 0)
    pairs = folds.valid_rows(0) // 2
    parts = parts_of(table, task, folds, 0, 0)
    assert len(pairs) == 2 * len(np.unique(pairs))
    assert all(len(set(parts[pairs == pair])) == 1 for pair in pairs)


def test_an_undefined_look_of_an_earlier_fold_counts_as_its_worst() -> None:
    """It counted 0, which is the best of all errors."""
    earlier = (((10, -3.0), (20, -2.0), (30, -1e100)),)
    stopping = Stopping(RMSE, Held(np.zeros(1), earlier=earlier))
    for units in (10, 20, 30):
        stopping.look(units, values(1))
    assert stopping.best_units == 20
