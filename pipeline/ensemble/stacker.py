"""The non-negative linear stacker: logistic on log-probabilities, least squares on values.

Weights have the prior N(1/m, SPREAD²): without evidence the stacker is the plain (geometric) mean of its members, and
weights of members that say the same are shared among them instead of being set against each other.
"""

from __future__ import annotations

import numpy as np

from pipeline.ensemble.blend import STACK, Blend, log_probabilities
from pipeline.ensemble.selection import NEGLIGIBLE

SPREAD = 0.3
_BIAS_SPREAD = 1.0


def fit_stack(predictions: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> Blend:
    """Return the stack of `predictions`, (m, n, n_outputs), that predicts `target` best.

    Regression if there is one output, else classification: one weight a member, shared by all classes, and a bias a
    class. Members whose share is negligible are dropped and the others fitted again. weight: (n,) or None.
    """
    share = np.ones(len(target)) if weight is None else weight.astype(np.float64) / weight.mean(dtype=np.float64)
    fit = _least_squares if predictions.shape[2] == 1 else _logistic
    kept = np.arange(len(predictions))
    weights, bias = fit(predictions, target, share)
    heavy = weights >= NEGLIGIBLE * weights.sum()
    if not heavy.all() and heavy.any():
        kept = np.flatnonzero(heavy)
        weights, bias = fit(predictions[kept], target, share)
    spread = np.zeros(len(predictions))
    spread[kept] = weights
    return Blend(STACK, tuple(spread.tolist()), tuple(bias.tolist()))


def _logistic(predictions: np.ndarray, target: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ((m,) weights, (n_outputs,) biases of mean zero) of the most likely softmax stack."""
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
    """Return ((m,) weights, (1,) bias) of the most likely linear stack, its noise that of the plain mean."""
    from scipy.optimize import nnls

    values = predictions[:, :, 0]
    m = len(values)
    middle = _mean(values, share)
    centred, aim = values - middle[:, None], target - _mean(target, share)
    noise = max(float(_mean((aim - centred.mean(axis=0)) ** 2, share)), np.finfo(np.float64).tiny)
    gram = np.array([(centred * (row * share)).sum(axis=1) for row in centred]) / noise + np.eye(m) / SPREAD**2
    pull = (centred * (aim * share)).sum(axis=1) / noise + 1 / m / SPREAD**2
    # |R w - R⁻ᵀ pull|² has the same minimum as w' gram w / 2 - pull' w, in m rows instead of n.
    root = np.linalg.cholesky(gram).T
    weights, _ = nnls(root, np.linalg.solve(root.T, pull))
    return weights, np.atleast_1d(_mean(target, share) - (weights * middle).sum())


def _mean(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (values * share).sum(axis=-1) / share.sum()
