"""The non-negative linear stacker.

It is logistic on log-probabilities; values are fitted by the loss that is asked for.

Weights have the prior N(1/m, SPREAD²): without evidence the stacker is the plain (geometric) mean of its members, and
weights of members that say the same are shared among them instead of being set against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from stacktune.ensemble.blend import STACK, Blend, log_probabilities
from stacktune.ensemble.selection import MIN_MEMBER_SHARE
from stacktune.families.losses import REWEIGHTED, nearness, relative_weight, scaled, unit_of, weighted_median
from stacktune.objectives import ABSOLUTE, LOG_LINK, PERCENTAGE, SQUARED, SQUARED_LOG, kind_of, power_of

SPREAD = 0.3
_BIAS_SPREAD = 1.0
# Absolute errors are fitted by least squares so many times over at most, each with other weights of rows, or until the
# members' weights rest. Errors below this share of the usual one weigh alike.
_MAX_REWEIGHTINGS, _MAX_CHANGE_AT_REST, _MIN_GAP = 20, 1e-3, 0.01


def fit_stack(predictions: np.ndarray, target: np.ndarray, weight: np.ndarray | None, loss: str = SQUARED) -> Blend:
    """Return the stack that predicts `target` best.

    predictions: (m, n, n_outputs).

    Regression if there is one output, else classification: one weight a member, shared by all classes, and a bias a
    class. Members whose share is negligible are dropped and the others fitted again. weight: (n,) or None. loss: of
    values, see Task.
    """
    share = np.ones(len(target)) if weight is None else weight.astype(np.float64) / weight.mean(dtype=np.float64)
    fit = _fit_of(loss) if predictions.shape[2] == 1 else _logistic
    if loss == PERCENTAGE:
        share = share * relative_weight(target, unit_of(target, loss))
    if loss == SQUARED_LOG:
        predictions, target = scaled(predictions, loss, 1.0), scaled(target, loss, 1.0)
    kept = np.arange(len(predictions))
    weights, bias = fit(predictions, target, share)
    heavy = weights >= MIN_MEMBER_SHARE * weights.sum()
    if not heavy.all() and heavy.any():
        kept = np.flatnonzero(heavy)
        weights, bias = fit(predictions[kept], target, share)
    spread = np.zeros(len(predictions))
    spread[kept] = weights
    return Blend(STACK, tuple(spread.tolist()), tuple(bias.tolist()), loss == SQUARED_LOG)


def _fit_of(loss: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    kind = kind_of(loss)
    if kind in LOG_LINK:
        return partial(_quasi_likely, power_of(loss))
    if kind in REWEIGHTED or kind == PERCENTAGE:
        return partial(_reweighted, ABSOLUTE if kind == PERCENTAGE else loss)
    return _least_squares


def _quasi_likely(
    power: float, predictions: np.ndarray, target: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the stack of least Pearson residuals.

    Their variance goes with the plain mean to the power (Wedderburn 1974). It has no bias, so that nothing is below 0.
    """
    values = predictions[:, :, 0]
    mean = np.maximum(values.mean(axis=0), np.finfo(np.float64).tiny)
    share = share / mean**power
    noise = float(_mean((target - mean) ** 2, share))
    return _solve(values, target, share / share.mean(), noise, has_bias=False)


def _logistic(predictions: np.ndarray, target: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most likely softmax stack.

    It is ((m,) weights, (n_outputs,) biases of mean zero).
    """
    from scipy.optimize import minimize

    m, n, n_outputs = predictions.shape
    logs = log_probabilities(predictions).transpose(0, 2, 1)
    logs = np.ascontiguousarray(logs - logs.mean(axis=1, keepdims=True))
    hit, rows = target[None, :] == np.arange(n_outputs)[:, None], np.arange(n)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:m], parameters[m:]
        margins = sum((w * log for w, log in zip(weights, logs, strict=True) if w != 0), bias[:, None])
        margins = np.broadcast_to(margins, hit.shape) - margins.max(axis=0)
        odds = np.exp(margins)
        total = odds.sum(axis=0)
        surprise = np.log(total) - margins[target, rows]
        residual = (odds / total - hit) * share
        gap, tilt = (weights - 1 / m) / SPREAD, bias / _BIAS_SPREAD
        value = (surprise * share).sum() + 0.5 * ((gap**2).sum() + (tilt**2).sum())
        slope = [(residual * log).sum() for log in logs] + gap / SPREAD
        return value / n, np.concatenate((slope, residual.sum(axis=1) + tilt / _BIAS_SPREAD)) / n

    start = np.concatenate((np.full(m, 1 / m), np.zeros(n_outputs)))
    bounds = [(0, None)] * m + [(None, None)] * n_outputs
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200, "ftol": 1e-10})
    return found.x[:m], found.x[m:] - found.x[m:].mean()


def _least_squares(predictions: np.ndarray, target: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most likely linear stack.

    It is ((m,) weights, (1,) bias), and its noise is that of the plain mean.
    """
    values = predictions[:, :, 0]
    centred = values - _mean(values, share)[:, None]
    aim = target - _mean(target, share)
    return _solve(values, target, share, float(_mean((aim - centred.mean(axis=0)) ** 2, share)))


def _reweighted(
    loss: str, predictions: np.ndarray, target: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the most likely stack under Laplace noise.

    The noise's logarithm falls with its size, as wide as the plain mean's; or with its pinball loss or Huber's.
    """
    values = predictions[:, :, 0]
    share = share / share.mean()
    gap = target - values.mean(axis=0)
    noise = max(float(_mean(np.abs(gap - weighted_median(gap, share)), share)), np.finfo(np.float64).tiny)
    weights, bias = _least_squares(predictions, target, share)
    for _ in range(_MAX_REWEIGHTINGS):
        gap = target - (weights[:, None] * values).sum(axis=0) - bias
        before = weights
        weights, bias = _solve(values, target, share * nearness(gap, loss, _MIN_GAP * noise, noise), noise)
        if np.abs(weights - before).max() < _MAX_CHANGE_AT_REST:
            break
    return weights, bias


def _solve(
    values: np.ndarray, target: np.ndarray, share: np.ndarray, noise: float, has_bias: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return ((m,) weights, (1,) bias) of least squares.

    They are over `noise`, under the prior.
    """
    from scipy.optimize import nnls

    m = len(values)
    # A member without errors would make it nothing, and weights infinite.
    noise = max(noise, 1e-12 * float(_mean(np.square(target), share)), np.finfo(np.float64).tiny ** 0.5)
    middle, mean = (_mean(values, share), _mean(target, share)) if has_bias else (np.zeros(m), np.zeros(()))
    centred, aim = values - middle[:, None], target - mean
    gram = np.array([(centred * (row * share)).sum(axis=1) for row in centred]) / noise + np.eye(m) / SPREAD**2
    pull = (centred * (aim * share)).sum(axis=1) / noise + 1 / m / SPREAD**2
    # |R w - R⁻ᵀ pull|² has the same minimum as w' gram w / 2 - pull' w, in m rows instead of n.
    root = np.linalg.cholesky(gram).T
    weights, _ = nnls(root, np.linalg.solve(root.T, pull))
    return weights, np.atleast_1d(mean - (weights * middle).sum())


def _mean(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (values * share).sum(axis=-1) / share.sum()
