"""Every metric, under scikit-learn's name, in plain numpy.

Inside, higher is always better. Greedy ensemble selection calls these thousands of times, so the rank metrics sort bare
integers (which numpy does with SIMD instructions) instead of calling argsort, and nothing here imports scikit-learn.
Sums are numpy's own: BLAS adds in an order that depends on the number of cores, and a leaderboard must not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np

from stacktune.decisions import DECISIONS
from stacktune.deviances import pinball, tweedie_deviance
from stacktune.domains import DomainCheck, beyond_log1p, no_amounts, no_positive, no_problem, one_class, zeros
from stacktune.errors import ConfigError, nearest
from stacktune.objectives import ABSOLUTE, PERCENTAGE, POISSON, QUANTILE, SQUARED, SQUARED_LOG, TWEEDIE, level_in

# Undefined or not finite; small enough that sums and squares of it stay finite.
WORST = -1e100

_Measure = Callable[[np.ndarray, np.ndarray, np.ndarray | None, float], float]


def is_defined(score: float) -> bool:
    """Return whether a score is of defined ones alone.

    The score may be a mean of scores.
    """
    return score > WORST / 1e6


@dataclass(frozen=True)
class Metric:
    """One way to judge predictions.

    tasks: the task kinds it suits.
    greater_is_better: of the value as people read it; `score` is turned so that higher is always better.
    needs_threshold: whether two-class predictions are decided at a threshold first.
    problem: of targets, (n,) codes of classes (their names, none for regression) or values: why their score is
        undefined whatever is predicted, as in "…, but 3 of 10 rows are zero"; None where it is defined.
    loss: of values, which loss models are to fit so that this gets best.
    of_counts: of decisions, the value by confusion counts (…, 2, 2), true classes before decided ones.
    unit: of decisions, what a wrong one changes the value of a row by at most.
    n_thresholds: of decisions, about how many candidates are tried for the best threshold.
    threshold_by: the metric by which the threshold is chosen, where it is not this one.
    version: of a run's own metric, what it is made of, which tells it from others of its name.
    module: of a user's function, the module that it lies in.
    """

    name: str
    tasks: frozenset[str]
    greater_is_better: bool
    needs_threshold: bool
    measure: _Measure = field(repr=False, compare=False)
    problem: DomainCheck = field(default=no_problem, repr=False, compare=False)
    loss: str = SQUARED
    of_counts: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False, compare=False)
    unit: float = 1.0
    n_thresholds: int = 1000
    threshold_by: Metric | None = None
    version: str = ""
    module: str = ""

    @property
    def is_own(self) -> bool:
        """Return whether it is a run's own."""
        return bool(self.version)

    @property
    def decides(self) -> Metric:
        """Return the metric that a threshold is chosen for."""
        return self.threshold_by or self

    def score(
        self, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None, threshold: float = 0.5
    ) -> float:
        """Return the score, higher better.

        It is WORST where the metric is undefined or a prediction is not finite.

        target: (n,) class codes or values. prediction: (n, n_outputs). weight: (n,) or None.
        threshold: on the probability of the second class; used by two-class decisions only.
        """
        if len(target) == 0 or not np.isfinite(prediction).all():
            return WORST
        with np.errstate(all="ignore"):
            value = float(self.measure(target, prediction, weight, threshold))
        if not np.isfinite(value):
            return WORST
        return max(WORST, value if self.greater_is_better else -value)

    def shown(self, score: float) -> float:
        """Return `score` as people read it.

        It has its own sign, and is NaN if it is undefined, or a mean with any undefined score.
        """
        value = score if self.greater_is_better else -score
        return value if is_defined(score) else float("nan")


def decide(prediction: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Return (n,) class codes.

    They are the second of two classes from `threshold` on, else the likeliest class.
    """
    if prediction.shape[1] == 2:
        return (prediction[:, 1] >= threshold).astype(np.int64)
    return prediction.argmax(axis=1)


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    return float(np.average(values, weights=weight))


def _ranked(
    positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (thresholds, true positives, false positives).

    Each has one entry a distinct score, from the highest on.

    positive: (n,) bool. The counts are of rows (or of weight) at or above the threshold.
    """
    if weight is None and score.min() >= 0:
        thresholds, ends, true = _rank_by_bits(positive, score)
        return thresholds, true, ends + 1.0 - true
    order = np.argsort(score)[::-1]
    sorted_score = score[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_score)), len(score) - 1)
    share = np.ones(len(score)) if weight is None else weight[order].astype(np.float64)
    hit = positive[order]
    return sorted_score[ends], np.cumsum(share * hit)[ends], np.cumsum(share * ~hit)[ends]


def _rank_by_bits(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ranks as by `_ranked`, by sorting integers.

    They are (thresholds, last position of each, true positives), by one sort. Floats that are not negative order like
    their bits, and their sign bit is free: shifted out, it makes room for the label, so that label and score are sorted
    as one integer with no index to carry along.
    """
    keys = np.ascontiguousarray(score + 0).view(f"u{score.itemsize}")  # adding 0 turns -0.0 into 0.0
    keys = np.left_shift(keys, 1, out=keys)
    keys |= positive
    # Inverted, the highest score comes first without a reversed view, on which numpy is slow.
    np.invert(keys, out=keys).sort()
    np.invert(keys, out=keys)
    true = np.cumsum((keys & 1).astype(np.float64))
    bits = keys >> 1
    ends = np.append(np.flatnonzero(bits[1:] != bits[:-1]), len(bits) - 1)
    return bits[ends].view(score.dtype), ends, true[ends]


def _roc_auc_two(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None) -> float:
    _, true, false = _ranked(positive, score, weight)
    if true[-1] <= 0 or false[-1] <= 0:
        return float("nan")
    return float((np.diff(false, prepend=0) * (2 * true - np.diff(true, prepend=0))).sum() / (2 * true[-1] * false[-1]))


def _average_precision_two(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None) -> float:
    _, true, false = _ranked(positive, score, weight)
    if true[-1] <= 0:
        return float("nan")
    return float((np.diff(true, prepend=0) * true / (true + false)).sum() / true[-1])


def _each_class(
    measure_two: Callable[[np.ndarray, np.ndarray, np.ndarray | None], float],
    target: np.ndarray,
    prediction: np.ndarray,
    weight: np.ndarray | None,
    _: float,
) -> float:
    """Measure the second class, or each against the rest.

    With two classes it is the second; with more, classes weigh alike. Classes that are missing in the target are left
    out of the mean (scikit-learn raises).
    """
    if prediction.shape[1] == 2:
        return measure_two(target == 1, prediction[:, 1], weight)
    values = np.array([measure_two(target == c, prediction[:, c], weight) for c in range(prediction.shape[1])])
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _log_loss(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, _: float) -> float:
    likelihood = prediction[np.arange(len(target)), target].astype(np.float64)
    tiny = np.finfo(np.float64).eps
    return _mean(-np.log(np.clip(likelihood, tiny, 1 - tiny)), weight)


def _decided(
    name: str, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float
) -> float:
    return float(DECISIONS[name](confusion(target, prediction, weight, threshold)))


def confusion(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float) -> np.ndarray:
    """Return (k, k) counts, true classes before decided ones."""
    k = prediction.shape[1]
    cells = target.astype(np.int64) * k + decide(prediction, threshold)
    return np.bincount(cells, weights=weight, minlength=k * k).reshape(k, k).astype(np.float64)


def _rmse(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, _: float) -> float:
    return float(np.sqrt(_mean((target - prediction[:, 0]) ** 2, weight)))


def _mae(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, _: float) -> float:
    return _mean(np.abs(target - prediction[:, 0]), weight)


def _r2(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, _: float) -> float:
    """Return the share of variance explained.

    For a constant target it is 1 if that is met exactly, else 0, as in scikit-learn.
    """
    residual = _mean((target - prediction[:, 0]) ** 2, weight)
    variance = _mean((target - _mean(target, weight)) ** 2, weight)
    return 1 - residual / variance if variance > 0 else float(residual == 0)


def _rmsle(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, _: float) -> float:
    """Return the RMSE of log(1 + value).

    Targets need to be above -1 for it. Predictions below zero, or where targets are too, below the least of them, count
    as that: the logarithm of next to nothing would outweigh all others.
    """
    least = float(target.min())
    if least <= -1:
        return float("nan")
    gap = np.log1p(target) - np.log1p(np.maximum(prediction[:, 0], min(0.0, least)))
    return float(np.sqrt(_mean(gap**2, weight)))


def _mape(target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, _: float) -> float:
    """Return the mean of errors over targets.

    It is undefined where a target is zero: scikit-learn divides by 2e-16, which outweighs all.
    """
    return _mean(np.abs(target - prediction[:, 0]) / np.abs(target), weight) if target.all() else float("nan")


_CLASSES, _VALUES = frozenset({"binary", "multiclass"}), frozenset({"regression"})

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", _CLASSES, True, False, partial(_each_class, _roc_auc_two), one_class),
        Metric("average_precision", _CLASSES, True, False, partial(_each_class, _average_precision_two), no_positive),
        *(Metric(name, _CLASSES, True, True, partial(_decided, name), of_counts=of) for name, of in DECISIONS.items()),
        Metric("log_loss", _CLASSES, False, False, _log_loss),
        Metric("rmse", _VALUES, False, False, _rmse),
        Metric("mae", _VALUES, False, False, _mae, loss=ABSOLUTE),
        Metric("r2", _VALUES, True, False, _r2),
        Metric("rmsle", _VALUES, False, False, _rmsle, beyond_log1p, loss=SQUARED_LOG),
        Metric("mape", _VALUES, False, False, _mape, zeros, loss=PERCENTAGE),
    )
}
# By name, the loss that is best for each, what measures it at a level, and the targets that it is not for.
OF_LEVELS: dict[str, tuple[str, Callable[..., float], DomainCheck]] = {
    "pinball": (QUANTILE, pinball, no_problem),
    "poisson_deviance": (POISSON, tweedie_deviance, no_amounts),
    "tweedie_deviance": (TWEEDIE, tweedie_deviance, no_amounts),
}
_DEFAULTS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def metrics_for(task_kind: str, chosen: Metric | None = None) -> tuple[Metric, ...]:
    """Return every metric that suits the task.

    They are those of METRICS, and the run's own: the chosen one, and the one that its threshold is chosen for.
    """
    known = tuple(metric for metric in METRICS.values() if task_kind in metric.tasks)
    own = () if chosen is None else (chosen, *([chosen.threshold_by] if chosen.threshold_by else []))
    return (*known, *(metric for metric in own if metric.name not in METRICS))


def get_metric(name: str | None, task_kind: str) -> Metric:
    """Return the metric called `name`, or the task's default.

    Raises ConfigError if unknown or for another task.
    """
    name = _DEFAULTS[task_kind] if name is None else name
    metric = METRICS.get(name) or _of_level(name)
    if metric is None:
        raise ConfigError(f"there is no metric {name!r}.{nearest(name, [*METRICS, *OF_LEVELS])}")
    if task_kind not in metric.tasks:
        fitting = ", ".join(metric.name for metric in metrics_for(task_kind))
        raise ConfigError(f"metric {name!r} does not suit a {task_kind} task. Metrics that do: {fitting}.")
    return metric


def _of_level(name: str) -> Metric | None:
    """Return a metric with a level, e.g. "pinball:0.9".

    Only a run that chooses it has it on its leaderboard. Raises ConfigError for a level out of bounds.
    """
    kind, _, level = name.partition(":")
    if kind not in OF_LEVELS:
        return None
    of_loss, measure, problem = OF_LEVELS[kind]
    if of_loss == POISSON:
        return Metric(name, _VALUES, False, False, partial(measure, 1.0), problem, of_loss) if kind == name else None
    number = level_in(level, of_loss, f"--metric {kind}")
    return Metric(
        f"{kind}:{number:.12g}", _VALUES, False, False, partial(measure, number), problem, f"{of_loss}:{number:.12g}"
    )


def check_domain(metric: Metric, target: np.ndarray, classes: tuple[str, ...], rows: str) -> None:
    """Raise ConfigError if a target makes the metric undefined.

    It is so whatever is predicted.

    rows: which, for people.
    """
    problem = metric.problem(target, classes)
    if problem is None:
        return
    kind = ("binary" if len(classes) == 2 else "multiclass") if classes else "regression"
    fitting = [other.name for other in metrics_for(kind) if other.problem(target, classes) is None]
    raise ConfigError(
        f"--metric {metric.name} {problem}, of {rows}. Choose {', '.join(fitting[:-1])} or {fitting[-1]}."
    )


def choose_threshold(
    metric: Metric, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """Return the threshold that scores best.

    It is on the second class's probability. Candidates lie midway between neighbouring scores: between all of them on
    up to 1,000 distinct scores, else at score quantiles that crowd towards both ends, where rare events are decided. It
    is 0.5 where no threshold is called for.
    """
    undecided = not metric.needs_threshold or prediction.shape[1] != 2
    if undecided or len(target) == 0 or not np.isfinite(prediction).all():
        return 0.5
    return best_threshold(metric, *threshold_counts(target, prediction, weight, metric.n_thresholds))[0]


def best_threshold(metric: Metric, thresholds: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return (threshold, score) of the best candidate.

    Candidates are those that `threshold_counts` tried; ties go to the one nearest 0.5.
    """
    if metric.of_counts is None:
        raise TypeError(f"{metric.name} decides nothing at a threshold")
    if len(thresholds) > metric.n_thresholds + 1:
        tried = np.append(0, _spread_positions(len(thresholds) - 1, metric.n_thresholds) + 1)
        thresholds, counts = thresholds[tried], counts[tried]
    with np.errstate(all="ignore"):
        values = metric.of_counts(counts) if metric.greater_is_better else -metric.of_counts(counts)
    values = np.nan_to_num(values, nan=WORST)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    chosen = best[np.argmin(np.abs(thresholds[best] - 0.5))]
    return float(thresholds[chosen]), float(values[chosen])


def threshold_counts(
    target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None, n_most: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """Return candidate thresholds and their confusion counts.

    They are (t,) and (t, 2, 2), by one sort for all two-class metrics. The first threshold lies above every score, the
    last one below. `t` is about `n_most` at most.
    """
    scores, true, false = _ranked(target == 1, prediction[:, 1].astype(np.float64), weight)
    at = np.append(0, _spread_positions(len(scores), n_most) + 1)
    true, false = np.append(0.0, true), np.append(0.0, false)
    counts = np.empty((len(at), 2, 2))
    counts[:, 1, 1], counts[:, 0, 1] = true[at], false[at]
    counts[:, 1, 0], counts[:, 0, 0] = true[-1] - true[at], false[-1] - false[at]
    above = np.append(np.nextafter(max(1.0, scores[0]), 2), scores)[at]
    below = np.append(scores, 0.0)[at]
    middle = (above + below) / 2
    return np.where(middle > below, middle, above), counts


@lru_cache(maxsize=64)
def _spread_positions(n: int, n_most: int) -> np.ndarray:
    """Return up to about `n_most` positions, crowding outwards.

    They are of 0 … n-1, evenly spread and crowding towards both ends.
    """
    if n <= n_most:
        return np.arange(n)
    crowded = np.geomspace(1, n / 2, n_most // 3).astype(np.int64) - 1
    even = np.linspace(0, n - 1, n_most // 3).astype(np.int64)
    return np.unique(np.concatenate((crowded, n - 1 - crowded, even)))
