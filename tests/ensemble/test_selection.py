"""Greedy selection finds what a naive walk finds, and what is best by construction."""

import numpy as np
import pytest
from closed_form import closed, predictions

from stacktune.ensemble.candidates import Costs
from stacktune.ensemble.nested import gather, greedy
from stacktune.ensemble.selection import MIN_MEMBER_SHARE, select, without_negligible
from stacktune.metrics import METRICS

FREE = Costs(np.zeros(4), float("inf"))


def _naive_shares(models, target, metric, n_iterations):
    """Caruana's walk as the paper has it, without sums or sharing; cut at its best."""
    taken, best, best_taken = [], -np.inf, []
    for _ in range(n_iterations):
        scores = [metric.score(target, np.mean(models[[*taken, model]], axis=0)) for model in range(len(models))]
        taken.append(int(np.argmax(scores)))
        if scores[taken[-1]] > best + 1e-7:
            best, best_taken = scores[taken[-1]], list(taken)
    return np.bincount(best_taken, minlength=len(models)) / len(best_taken)


@pytest.mark.parametrize(
    ("kind", "metric"), [("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "rmse")]
)
def test_it_walks_as_the_paper_says(kind, metric):
    world = closed(kind, metric, n=200)
    models = np.array(predictions(world, 6))
    target = world.table.target
    expected = _naive_shares(models, target, world.metric, 12)
    assert select(models, target, None, world.metric, n_iterations=12) == pytest.approx(expected, abs=MIN_MEMBER_SHARE)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "f1", "accuracy", "log_loss"])
def test_an_ensemble_of_independent_models_beats_each(metric):
    world = closed("binary", metric, n=2000)
    models = np.array(predictions(world, 6))
    shares = select(models, world.table.target, None, world.metric)
    blended = np.tensordot(shares, models, 1)
    assert shares.sum() == pytest.approx(1)
    best = max(world.metric.score(world.table.target, model) for model in models)
    assert world.metric.score(world.table.target, blended) > best


def test_a_perfect_model_stands_alone():
    world = closed("binary", "roc_auc")
    perfect = np.column_stack((1 - world.table.target, world.table.target)).astype(float)
    shares = select(np.array([*predictions(world, 3), perfect]), world.table.target, None, world.metric)
    assert shares.tolist() == [0, 0, 0, 1]


def test_equal_models_are_not_mixed():
    world = closed("binary", "log_loss")
    model = predictions(world, 1)[0]
    assert select(np.array([model] * 4), world.table.target, None, world.metric).tolist() == [1, 0, 0, 0]


def test_broken_predictions_are_never_taken():
    world = closed("regression", "rmse")
    good = predictions(world, 2)
    shares = select(np.array([np.full_like(good[0], np.nan), *good]), world.table.target, None, world.metric)
    assert shares[0] == 0
    assert shares.sum() == pytest.approx(1)


def test_weights_count():
    target, weight = np.array([0.0, 1.0]), np.array([1.0, 1000.0])
    models = np.array([[[0.0], [0.0]], [[1.0], [1.0]]])
    assert select(models, target, weight, METRICS["mae"]).tolist() == [0, 1]
    assert select(models, target, weight[::-1], METRICS["mae"]).tolist() == [1, 0]


def test_a_walk_without_a_fold_never_looks_at_it():
    world = closed("binary", "roc_auc")
    models = predictions(world, 4)
    allowed = np.ones((6, 4), dtype=bool)
    before = _shares(world, models, allowed)
    rows = world.folds.valid_rows(2)
    world.table.target[rows] = 1 - world.table.target[rows]
    after = _shares(world, models, allowed)
    assert before[2] == after[2]
    assert before[-1] != after[-1]


def test_only_allowed_models_are_taken():
    world = closed("binary", "roc_auc")
    allowed = np.ones((6, 4), dtype=bool)
    allowed[:, 1] = False
    allowed[3, 2] = False
    shares = np.array(_shares(world, predictions(world, 4), allowed))
    assert (shares[:, 1] == 0).all()
    assert shares[3, 2] == 0
    assert shares[-1, 2] > 0


def test_a_walk_that_is_told_to_stop_has_what_it_found():
    world = closed("binary", "roc_auc")
    held_out = gather(predictions(world, 4), world.table.target, None, world.folds)
    for blend in greedy(held_out, world.metric, np.ones((6, 4), dtype=bool), FREE, lambda: False):
        assert sorted(blend.weights) == [0, 0, 0, 1]


def test_negligible_weights_are_given_to_the_others():
    assert without_negligible(np.array([0.5, 0.49, 0.01])).tolist() == pytest.approx([0.5 / 0.99, 0.49 / 0.99, 0])
    assert without_negligible(np.zeros(2)).tolist() == [0, 0]


def _shares(world, models, allowed):
    held_out = gather(models, world.table.target, None, world.folds)
    return [blend.weights for blend in greedy(held_out, world.metric, allowed, FREE, lambda: True)]
