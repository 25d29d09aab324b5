"""Levels that no training row has, answered by known ones in their stead, whatever the family."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.table import BINARY, REGRESSION, Table, Task
from stacktune.families import _unseen
from stacktune.families._cross import Crossing
from stacktune.families._encode import N_OTHER, encode_target, lay_out, target_signals
from stacktune.families._unseen import N_DRAWN, KnownLevels, UnseenPredictor
from stacktune.testing.learners import grown, make_job
from stacktune.testing.subject import subject_of
from stacktune.testing.tables import TASKS, make_telling_gaps, unlabelled

EVERYTHING = float("inf")


def table_of(*columns: list[float], cardinalities: tuple[int, ...], target: list[float] | None = None) -> Table:
    features = np.array(columns, dtype=np.float32).T
    aims = None if target is None else np.array(target, dtype=np.float64)
    return Table(features, tuple(f"c{place}" for place in range(len(columns))), cardinalities, aims)


@dataclass
class Echo:
    """A model that answers with the code in the first column, and remembers how many rows it was asked about."""

    asked: list[int] = field(default_factory=list)

    def predict(self, table: Table) -> np.ndarray:
        assert not (table.codes >= np.array(table.cardinalities)).any(), "asked about a level that nobody has"
        self.asked.append(table.n_rows)
        return np.nan_to_num(table.codes[:, :1].astype(np.float64), nan=-1.0)

    def save(self, folder: Path) -> None: ...


def predictor_of(rows: Table, n_most: float = EVERYTHING) -> tuple[UnseenPredictor, Echo]:
    model = Echo()
    return UnseenPredictor(model, KnownLevels.fit(rows, Task(REGRESSION), n_most)), model


def test_a_level_is_drawn_as_often_as_rows_have_it_and_missing_values_never() -> None:
    rows = table_of([0, 0, 0, 1, np.nan, np.nan, np.nan, np.nan], cardinalities=(2,), target=[0, 0, 0, 1, 9, 9, 9, 9])
    predictor, _ = predictor_of(rows)
    asked = table_of([2, 0, 1, np.nan], cardinalities=(2,))
    np.testing.assert_allclose(predictor.predict(asked)[:, 0], [0.25, 0, 1, -1])


def test_heavier_rows_are_drawn_more_often() -> None:
    rows = table_of([0, 1], cardinalities=(2,), target=[0, 1])
    predictor, _ = predictor_of(replace(rows, weight=np.array([0.5, 1.5], np.float32)))
    np.testing.assert_allclose(predictor.predict(table_of([2], cardinalities=(2,))), [[0.75]])


def test_a_level_of_other_rows_is_unseen_too() -> None:
    predictor, _ = predictor_of(table_of([0, 2], cardinalities=(3,), target=[0, 1]))
    np.testing.assert_allclose(predictor.predict(table_of([1], cardinalities=(3,))), [[1.0]])


def test_where_training_had_no_level_every_level_is_missing() -> None:
    predictor, _ = predictor_of(table_of([np.nan, np.nan], cardinalities=(2,), target=[0, 1]))
    np.testing.assert_allclose(predictor.predict(table_of([0, 2], cardinalities=(2,))), [[-1.0], [-1.0]])


def test_only_rows_with_an_unseen_level_take_longer() -> None:
    predictor, model = predictor_of(table_of([0, 1], cardinalities=(2,), target=[0, 1]))
    known = table_of([0, 1, np.nan], cardinalities=(2,))
    predictor.predict(known)
    assert model.asked == [3]
    predictor.predict(table_of([0, 1, 2], cardinalities=(2,)))
    assert model.asked == [3, 2, N_DRAWN]


def test_columns_of_more_levels_are_left_to_the_model() -> None:
    rows = table_of([0, 1, 2], [0, 1, 0], cardinalities=(3, 2), target=[0, 1, 2])
    levels = KnownLevels.fit(rows, Task(REGRESSION), 2)
    assert levels.columns.tolist() == [1]
    asked = table_of([3, 0], [0, 2], cardinalities=(3, 2))
    np.testing.assert_array_equal(levels.unseen(asked), [[False], [True]])


def test_many_rows_are_asked_about_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unseen, "ROWS_AT_ONCE", 2 * N_DRAWN)
    predictor, model = predictor_of(table_of([0, 1], cardinalities=(2,), target=[0, 1]))
    predicted = predictor.predict(table_of([2, 2, 0, 2, 2, 2], cardinalities=(2,)))
    np.testing.assert_allclose(predicted[:, 0], [0.5, 0.5, 0, 0.5, 0.5, 0.5])
    assert model.asked == [1, 16, 16, 8]


@given(st.integers(1, 60), st.integers(0, 1000))
def test_draws_meet_the_mean_target_of_the_rows(n_levels: int, seed: int) -> None:
    """The steps go through levels in the order of their targets, so that a mean over draws is one over rows."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(n_levels, size=400)
    effect = rng.normal(size=n_levels)
    rows = table_of(codes, cardinalities=(n_levels,), target=effect[codes])
    drawn = KnownLevels.fit(rows, Task(REGRESSION), EVERYTHING).drawn[:, 0].astype(int)
    spread = np.ptp(effect[codes])
    assert abs(effect[drawn].mean() - effect[codes].mean()) <= 0.5 * spread / N_DRAWN + 1e-9


def test_two_columns_do_not_draw_in_the_same_order() -> None:
    codes = list(range(8))
    rows = table_of(codes, codes, cardinalities=(8, 8), target=codes)
    drawn = KnownLevels.fit(rows, Task(REGRESSION), EVERYTHING).drawn
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.9
    assert sorted(drawn[:, 0]) == sorted(drawn[:, 1]) == codes


def test_levels_laid_out_have_a_place_for_the_unseen_and_one_for_the_missing() -> None:
    codes = np.array([[0, 1], [2, 3], [np.nan, np.nan]], dtype=np.float32)
    places = lay_out(codes, np.array([0, 1]), np.array([2, 3]))
    np.testing.assert_array_equal(places, [[0, 5], [2, 7], [3, 8]])


def test_the_mean_of_an_unseen_level_is_that_of_the_rows_that_miss_nothing() -> None:
    codes = [0.0] * 30 + [1.0] * 10 + [np.nan] * 20
    target = [0] * 30 + [1] * 30
    table = replace(table_of(codes, cardinalities=(2,)), target=np.array(target, np.int32))
    encoding, _ = encode_target(table, np.array([0]), target_signals(table, TASKS[BINARY]), smooth=1e-9)
    mean, log_count = encoding.transform(np.array([[2.0]], np.float32))[0]
    assert mean == pytest.approx(0.25)
    assert np.expm1(log_count) == pytest.approx(9)
    assert encoding.transform(np.array([[np.nan]], np.float32))[0, 0] == pytest.approx(1.0)
    assert len(encoding.means) == 2 + N_OTHER


def test_a_pair_with_an_unseen_or_missing_level_is_no_other_pair() -> None:
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(40, size=500), rng.integers(3, size=500)]).astype(np.float32)
    codes[:50, 1] = np.nan
    table = Table(codes, ("a", "b"), (40, 3))
    crossing = Crossing.fit(table)
    known = crossing.apply(table)
    assert (known.codes[:, 2] < known.cardinalities[2]).all()
    asked = Table(np.array([[40, 0], [0, 3], [40, 3], [40, np.nan]], np.float32), ("a", "b"), (40, 3))
    np.testing.assert_array_equal(crossing.apply(asked).codes[:, 2], known.cardinalities[2])


CROSSED = [("lightgbm", 2), ("xgboost", 1), ("extra_trees", 2), ("linear", 1), ("linear", 3), ("catboost", 2)]


@pytest.mark.parametrize(("name", "entry"), CROSSED)
@pytest.mark.parametrize("kind", sorted(TASKS))
def test_in_crossed_columns_too_an_unseen_level_is_no_missing_value(name: str, entry: int, kind: str) -> None:
    table = make_telling_gaps(kind)
    job = make_job(kind, table, rows=np.arange(table.n_rows), valid=np.arange(0))
    learner = grown(subject_of(name), job, subject_of(name).space.portfolio[entry], units=1 if name == "linear" else 40)
    rows = unlabelled(table, np.flatnonzero(~np.isnan(table.features).any(axis=1))[:200])

    def mean_with(levels: tuple[float, ...]) -> float:
        features = rows.features.copy()
        features[:, rows.n_numeric :] = np.where(np.isinf(levels), features[:, rows.n_numeric :], levels)
        return learner.predict(replace(rows, features=features))[:, -1].mean()

    known = (np.inf,) * 4
    usual, missing, unseen = mean_with(known), mean_with((*known[:3], np.nan)), mean_with((*known[:3], 120))
    assert abs(unseen - usual) < 0.3 * (missing - usual)
    assert abs(mean_with(table.cardinalities) - usual) < 0.3 * (mean_with((np.nan,) * 4) - usual)
