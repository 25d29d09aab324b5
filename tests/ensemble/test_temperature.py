"""A temperature makes overconfident probabilities truer, changes no decision, and is left off where it does not pay."""

from __future__ import annotations

import json

import numpy as np
import pytest
from closed_form import Closed, closed

from stacktune.ensemble.blend import Blend, heated
from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.out_of_fold import honest_predictions
from stacktune.ensemble.rows import Leaderboard
from stacktune.ensemble.temperature import calibrated, fit_temperature, moved_threshold
from stacktune.metrics import METRICS, decide


def truth_of(world: Closed) -> np.ndarray:
    """Return the probabilities by which the targets of two classes were drawn."""
    logit = 2 * world.table.features[:, 0].astype(np.float64)
    positive = 1 / (1 + np.exp(-logit))
    return np.column_stack((1 - positive, positive))


def board_of(world: Closed, prediction: np.ndarray) -> tuple[Leaderboard, np.ndarray]:
    world.add("linear-0", prediction)
    table = world.table
    board = build_leaderboard(
        world.results, world.oof, table.target, table.weight, world.folds, world.task, world.metric
    )
    return board, honest_predictions(board.leader, world.oof, world.folds)


@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_the_temperature_that_was_taken_away_is_found(temperature):
    world = closed("binary", "log_loss", n=20_000)
    said = heated(truth_of(world), 1 / temperature)
    assert fit_temperature(said, world.table.target, None) == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "f1"])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_keep_ranks_and_decisions_and_gain_log_loss(metric, weighted):
    world = closed("binary", metric, n=2000, weighted=weighted)
    board, honest = board_of(world, heated(truth_of(world), 0.3))
    hot, found = calibrated(board, honest, world.table, world.folds)
    before, after = board.leader, hot.leader
    assert found.why is None
    assert after.how.temperature == found.temperature == pytest.approx(1 / 0.3, rel=0.15)
    assert found.after < found.before - 2 * found.gain_se
    assert after.metrics["log_loss"] == pytest.approx(found.after)
    assert before.metrics["log_loss"] == pytest.approx(found.before)
    for name in ("roc_auc", "average_precision", "f1", "accuracy", "mcc"):
        assert after.metrics[name] == before.metrics[name]
    expected = found.after if metric == "log_loss" else before.score
    assert after.score == pytest.approx(expected)
    assert after.score == pytest.approx(world.metric.shown(float(np.mean(after.fold_scores))))
    for name, threshold in before.thresholds.items():
        decided = decide(before.how.combine([honest]), threshold)
        np.testing.assert_array_equal(decide(after.how.combine([honest]), after.thresholds[name]), decided)
    auc = METRICS["roc_auc"]
    assert auc.score(world.table.target, after.how.combine([honest])) == auc.score(world.table.target, honest)
    assert "instead of" in found.sentence


def test_probabilities_that_are_true_are_left_as_they_are():
    world = closed("binary", "log_loss", n=2000)
    board, honest = board_of(world, truth_of(world))
    same, found = calibrated(board, honest, world.table, world.folds)
    assert same is board
    assert (found.temperature, found.why) in ((1.0, "which is no gain"), (1.0, "which is no gain beyond noise"))
    assert "left as they are" in found.sentence


def test_it_does_not_judge_itself():
    """On twenty rows the temperature that is best for them looked better than it is."""
    gains = []
    for seed in range(20):
        world = closed("binary", "log_loss", n=20, seed=seed)
        board, honest = board_of(world, truth_of(world))
        gains.append((lambda found: found.before - found.after)(calibrated(board, honest, world.table, world.folds)[1]))
    assert np.mean(gains) < 0


def test_many_classes_keep_the_likeliest_and_their_metric_gets_no_worse():
    world = closed("multiclass", "log_loss", n=2000)
    signal = world.table.features[:, 0].astype(np.float64)
    said = np.exp(-8 * (signal[:, None] - np.array([-1.0, 0.0, 1.0])) ** 2)
    board, honest = board_of(world, said / said.sum(axis=1, keepdims=True))
    hot, found = calibrated(board, honest, world.table, world.folds)
    assert found.why is None
    assert hot.leader.score == pytest.approx(found.after)
    np.testing.assert_array_equal(hot.leader.how.combine([honest]).argmax(axis=1), honest.argmax(axis=1))
    assert hot.leader.metrics["accuracy"] == board.leader.metrics["accuracy"]


def test_a_blend_keeps_its_temperature_and_another_is_written_as_before():
    warm = Blend("single", (1.0,), temperature=1.7)
    assert Blend.from_dict(json.loads(json.dumps(warm.to_dict()))) == warm
    assert "temperature" not in Blend("single", (1.0,)).to_dict()
    sure = heated(np.array([[0.0, 1.0], [1.0, 0.0]]), 2.0)
    assert np.isfinite(sure).all()
    assert moved_threshold(0.5, 3.0) == pytest.approx(0.5)
    assert moved_threshold(1.5, 3.0) == 1.5
