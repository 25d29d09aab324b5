"""The stacker recovers known mixtures, stays non-negative and falls back on the mean where nothing is known."""

import numpy as np
import pytest
from closed_form import closed, predictions
from scipy.optimize import minimize
from scipy.special import softmax

from stacktune.ensemble.blend import log_probabilities
from stacktune.ensemble.stacker import SPREAD, fit_stack
from stacktune.metrics import METRICS


def _logits_to_probabilities(logits):
    return softmax(np.stack((np.zeros_like(logits), logits), axis=-1), axis=-1)


def test_known_logistic_weights_and_bias_are_found():
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 100_000))
    truth = 0.8 * logits[0] + 1.6 * logits[1] + 0.5
    target = (random.random(100_000) < 1 / (1 + np.exp(-truth))).astype(int)
    stack = fit_stack(_logits_to_probabilities(logits), target, None)
    assert stack.weights == pytest.approx((0.8, 1.6, 0.0), abs=0.03)
    assert stack.bias[1] - stack.bias[0] == pytest.approx(0.5, abs=0.03)


def test_known_linear_weights_and_bias_are_found_and_negative_ones_are_not_allowed():
    random = np.random.default_rng(0)
    values = random.normal(10, 1, size=(3, 20_000))
    target = 0.3 * values[0] + 0.9 * values[1] - 0.5 * values[2] + 4
    stack = fit_stack(values[:, :, None], target, None)
    assert stack.weights == pytest.approx((0.3, 0.9, 0.0), abs=0.02)
    residual = target - stack.combine(values[:, :, None])[:, 0]
    assert residual.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_minimum_of_the_stated_loss(kind, weighted):
    world = closed(kind, "log_loss", n=300, weighted=weighted)
    models, target = np.array(predictions(world, 3, noise=0.7)), world.table.target
    share = np.ones(300) if not weighted else world.table.weight / world.table.weight.mean()
    logs = log_probabilities(models)

    def loss(parameters):
        weights, bias = np.abs(parameters[:3]), parameters[3:]
        likelihood = softmax(np.tensordot(weights, logs, 1) + bias, axis=-1)[np.arange(300), target]
        return (
            -(share * np.log(likelihood)).sum() + 0.5 * (((weights - 1 / 3) / SPREAD) ** 2).sum() + (bias**2).sum() / 2
        )

    best = minimize(loss, np.concatenate((np.full(3, 0.3), np.zeros(models.shape[2]))))
    stack = fit_stack(models, target, world.table.weight)
    assert loss(np.array([*stack.weights, *stack.bias])) == pytest.approx(best.fun, abs=2e-3)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_models_that_say_the_same_share_the_weight(kind):
    world = closed(kind, None)
    model = predictions(world, 1)[0]
    weights = fit_stack(np.array([model, model, model]), world.table.target, None).weights
    assert np.ptp(weights) < 1e-3
    assert min(weights) > 0


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_handful_of_rows_moves_it_little_from_the_mean(kind):
    world = closed(kind, None, n=30)
    models = np.array(predictions(world, 5, noise=2.0))[:, :4]
    target = world.table.target[:4]
    weights = np.array(fit_stack(models, target, None).weights)
    assert (weights < 0.2 + 2 * SPREAD).all()
    assert (weights >= 0).all()


def test_models_of_noise_are_dropped():
    world = closed("binary", None, n=4000)
    random = np.random.default_rng(5)
    noise = _logits_to_probabilities(random.normal(size=(2, 4000)))
    weights = np.array(fit_stack(np.array([*predictions(world, 2), *noise]), world.table.target, None).weights)
    assert (weights[:2] > 0.1).all()
    assert (weights[2:] < 0.1).all()
    assert (weights[(weights > 0)] > 0.02 * weights.sum()).all()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_it_beats_every_member_on_rows_it_has_not_seen(kind):
    world = closed(kind, None, n=4000)
    models, target = np.array(predictions(world, 6)), world.table.target
    stacked = fit_stack(models[:, :2000], target[:2000], None).combine(models[:, 2000:])
    best = max(world.metric.score(target[2000:], model[2000:]) for model in models)
    assert world.metric.score(target[2000:], stacked) > best


def test_certain_and_wrong_members_do_no_harm():
    world = closed("binary", "log_loss", n=2000)
    models = predictions(world, 3)
    certain = (models[0] > 0.5).astype(float)
    stack = fit_stack(np.array([*models, certain]), world.table.target, None)
    scored = METRICS["log_loss"].score(world.table.target, stack.combine([*models, certain]))
    assert (
        scored
        >= METRICS["log_loss"].score(
            world.table.target, fit_stack(np.array(models), world.table.target, None).combine(models)
        )
        - 1e-3
    )
    assert stack.weights[3] < 0.1


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_constant_target_or_member_is_fitted_without_complaint(kind):
    world = closed(kind, None, n=50)
    model = predictions(world, 1)[0]
    constant = np.full_like(model, 1 / model.shape[1])
    for target in (world.table.target, np.zeros_like(world.table.target)):
        stack = fit_stack(np.array([constant, model]), target, None)
        assert np.isfinite([*stack.weights, *stack.bias]).all()
        assert np.isfinite(stack.combine([constant, model])).all()


def skewed_world(n=3000, seed=0):
    """Return the medians of a target of lognormal noise, and two models of it that each miss a part."""
    random = np.random.default_rng(seed)
    parts = random.normal(size=(2, n))
    target = np.exp(1 + parts.sum(axis=0) + random.normal(size=n))
    models = np.stack([np.exp(1.5 + parts.sum(axis=0) + 0.7 * random.normal(size=n)) for _ in range(3)])
    return models[:, :, None], target


@pytest.mark.parametrize(("metric", "gain"), [("mae", 0.97), ("mape", 0.6), ("rmsle", 0.95)])
def test_weights_are_fitted_by_the_loss_that_the_metric_asks_for(metric, gain):
    models, target = skewed_world()
    errors = []
    for loss in ("squared", METRICS[metric].loss):
        stack = fit_stack(models[:, :1500], target[:1500], None, loss)
        errors.append(-METRICS[metric].score(target[1500:], stack.combine(models[:, 1500:])))
    assert errors[1] < gain * errors[0]


@pytest.mark.parametrize("loss", ["absolute", "percentage"])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_minimum_of_the_stated_absolute_loss(loss, weighted):
    models, target = skewed_world(400)
    weight = np.random.default_rng(3).integers(1, 4, 400).astype(np.float64) if weighted else None
    share = (1.0 if weight is None else weight) / (np.abs(target) if loss == "percentage" else np.ones(400))
    share = share / share.mean()
    values = models[:, :, 0]
    gap = target - values.mean(axis=0)
    noise = min((share * np.abs(gap - middle)).mean() for middle in gap)

    def errors(parameters):
        weights, bias = parameters[:3], parameters[3]
        size = np.abs(target - weights @ values - bias)
        return (share * size).sum() / noise + 0.5 * (((weights - 1 / 3) / SPREAD) ** 2).sum()

    stack = fit_stack(models, target, weight, loss)
    found = errors(np.array([*stack.weights, *stack.bias]))
    bounds = [(0, None)] * 3 + [(None, None)]
    best = minimize(
        errors, [*stack.weights, *stack.bias], method="Nelder-Mead", bounds=bounds, options={"maxiter": 4000}
    )
    assert found == pytest.approx(best.fun, rel=2e-3)


def test_a_stack_of_logarithms_recovers_powers_of_its_members():
    random = np.random.default_rng(0)
    logs = random.uniform(0, 3, size=(2, 20_000))
    target = np.expm1(0.3 * logs[0] + 0.9 * logs[1] + 0.2)
    stack = fit_stack(np.expm1(logs)[:, :, None], target, None, "squared_log")
    assert stack.is_log
    assert stack.weights == pytest.approx((0.3, 0.9), abs=0.02)
    np.testing.assert_allclose(stack.combine(np.expm1(logs)[:, :, None])[:, 0], target, rtol=0.02)


@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_a_member_without_errors_leaves_finite_weights(loss):
    """Least squares over no noise ended the run in a traceback after its search."""
    target = np.zeros(60)
    target[5] = 50.0
    stack = fit_stack(np.stack([target[:, None], np.zeros((60, 1))]), target, None, loss)
    assert np.isfinite([*stack.weights, *stack.bias]).all()
