"""Intervals hold the share of new rows that they promise, and say what they hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from closed_form import closed, predictions
from in_process import fit

from stacktune.data.folds import make_folds
from stacktune.data.table import REGRESSION, Table, Task
from stacktune.ensemble.interval import (
    Interval,
    check_interval,
    fit_interval,
    held_by,
    held_out_of_fold,
    rows_needed,
)
from stacktune.ensemble.leader import Leader, build_leader
from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.out_of_fold import honest_predictions, trials_behind
from stacktune.ensemble.serve import Served
from stacktune.errors import ConfigError
from stacktune.objectives import SQUARED
from stacktune.tracking.contract import signature_of
from stacktune.trials.result import load_oof

TASK = Task(REGRESSION)


def skewed(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions, and targets whose errors are skewed and grow with them."""
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(1, 10, n_rows)
    return prediction, prediction * (0.5 + rng.gamma(2, 0.25, n_rows))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.98])
def test_new_rows_lie_inside_as_often_as_promised_and_as_often_beyond_each_end(level):
    interval = fit_interval(*skewed(4000, 0), None, level, SQUARED)
    prediction, target = skewed(40_000, 1)
    lower, upper = interval.ends(prediction)
    assert held_by(interval, prediction, target, None).coverage == pytest.approx(level, abs=0.02)
    assert (target < lower).mean() == pytest.approx((1 - level) / 2, abs=0.015)
    assert (target > upper).mean() == pytest.approx((1 - level) / 2, abs=0.015)


def test_where_errors_grow_with_the_value_each_part_of_it_is_held_as_often():
    """One width for all held nine of ten small values and too few of the large ones."""
    interval = fit_interval(*skewed(4000, 0), None, 0.9, SQUARED)
    prediction, target = skewed(40_000, 1)
    for low in (1, 4, 7):
        rows = (prediction >= low) & (prediction < low + 3)
        assert held_by(interval, prediction[rows], target[rows], None).coverage == pytest.approx(0.9, abs=0.03)


def test_the_least_rows_leave_one_beyond_each_end_and_fewer_are_refused():
    assert (rows_needed(0.9), rows_needed(0.5), rows_needed(0.99)) == (19, 3, 199)
    gaps = np.arange(19.0)
    interval = fit_interval(np.zeros(19), gaps, None, 0.9, SQUARED)
    assert (interval.below, interval.above) == ((0.0,), (18.0,))
    table = Table(np.zeros((18, 1), np.float32), ("a",), target=np.arange(18.0))
    folds = make_folds(table, TASK, 3, 0)
    with pytest.raises(ConfigError, match=r"--interval 0.9 needs 19 rows .* give at most --interval 0.89"):
        check_interval(0.9, TASK, folds)
    check_interval(0.89, TASK, folds)
    check_interval(None, TASK, folds)
    with pytest.raises(ConfigError, match=r"--interval 0.9 is for regression, but this is a binary target"):
        check_interval(0.9, Task("binary", ("a", "b")), folds)


def test_weights_count_as_rows_do():
    prediction, target = skewed(600, 2)
    weight = np.random.default_rng(0).integers(1, 4, 600)
    weighted = fit_interval(prediction * 0, target, weight.astype(np.float32), 0.9, SQUARED)
    repeated = fit_interval(np.repeat(prediction * 0, weight), np.repeat(target, weight), None, 0.9, SQUARED)
    assert weighted.above[0] == pytest.approx(repeated.above[0], rel=0.02)
    assert weighted.below[0] == pytest.approx(repeated.below[0], abs=0.05)


def test_a_constant_prediction_and_amounts_have_sensible_ends():
    interval = fit_interval(np.full(500, 1.0), np.random.default_rng(0).exponential(size=500), None, 0.9, "poisson")
    assert interval.edges == ()
    lower, upper = interval.ends(np.array([0.01, 5.0]))
    assert lower[0] == 0.0
    assert (lower <= upper).all()
    assert Interval.from_dict(interval.to_dict()) == interval
    assert Interval.from_dict(None) is None


def test_what_is_held_out_of_fold_is_judged_by_intervals_of_other_folds():
    """Judged on the rows that made them, they held what they were made for, whatever new rows do."""
    prediction, target = skewed(2000, 3)
    table = Table(prediction[:, None].astype(np.float32), ("a",), target=target)
    folds = make_folds(table, TASK, 5, 0)
    block = folds.block_rows(0)
    target = target.copy()
    target[block] += 100.0
    held = held_out_of_fold(prediction, target, None, folds, 0.9, SQUARED)
    assert held.n_rows == 2000
    assert held.coverage == pytest.approx(0.8, abs=0.08)
    honest = held_out_of_fold(*skewed(2000, 3), None, folds, 0.9, SQUARED)
    assert honest.coverage == pytest.approx(0.9, abs=0.02)


def test_an_ensemble_is_judged_block_by_block_by_the_blend_learnt_without_it():
    world = closed("regression", None)
    for place, prediction in enumerate(predictions(world, 4)):
        world.add(f"linear-{place}", prediction)
    board = build_leaderboard(world.results, world.oof, world.table.target, None, world.folds, world.task, world.metric)
    for row in board.rows:
        honest = honest_predictions(row, {name: world.oof[name] for name in trials_behind(row)}, world.folds)
        scores = [
            world.metric.score(world.table.target[rows], honest[rows])
            for rows in map(world.folds.block_rows, range(world.folds.n_blocks))
        ]
        assert scores == pytest.approx(list(row.fold_scores), abs=1e-12), row.name


def test_a_saved_leader_predicts_the_ends_as_columns_and_tells_mlflow_so(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 2)), columns=["a", "b"])
    frame["y"] = frame.a + rng.normal(size=500)
    fitted = fit(frame, "y", tmp_path, ("linear", "lightgbm"), n_folds=3)
    row, table = fitted.board.leader, fitted.dataset.table
    oof = {result.trial_id: load_oof(result) for result in fitted.results}
    honest = honest_predictions(row, oof, fitted.problem.folds)
    interval = fit_interval(honest[:, 0], table.labels, None, 0.9, SQUARED)
    build_leader(fitted.board, fitted.results, fitted.dataset, fitted.problem.metric, tmp_path / "with", interval)
    leader = Leader.load(tmp_path / "with")
    said = leader.predict(frame)
    assert list(said) == ["prediction", "lower", "upper"]
    assert (said.lower < said.upper).all()
    assert 0.85 < ((said.lower <= frame.y) & (frame.y <= said.upper)).mean() <= 1
    pd.testing.assert_frame_equal(Served(leader).predict(frame), said)
    assert signature_of(said).outputs.input_names() == ["prediction", "lower", "upper"]
    assert leader.labels(frame).name == "prediction"
    assert list(fitted.leader.predict(frame)) == ["prediction"]
    leader.save(tmp_path / "copy")
    assert Leader.load(tmp_path / "copy").interval == interval
