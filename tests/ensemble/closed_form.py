"""Trials with predictions made from a formula, for tests of what is built on them."""

from dataclasses import dataclass, field

import numpy as np

from stacktune.data.folds import Folds, make_folds
from stacktune.data.table import Table, Task
from stacktune.metrics import Metric, get_metric
from stacktune.trials.result import COMPLETED, TrialResult
from stacktune.trials.scoring import all_metrics, fold_scores


@dataclass
class Closed:
    """A task with out-of-fold predictions by trial id; `add` makes a completed trial of one prediction."""

    table: Table
    task: Task
    folds: Folds
    metric: Metric
    oof: dict[str, np.ndarray] = field(default_factory=dict)
    results: list[TrialResult] = field(default_factory=list)

    def add(self, trial_id: str, prediction: np.ndarray, fit_s: float = 1.0, predict_us: float = 10.0) -> None:
        scores = fold_scores(self.metric, self.task, self.table, self.folds, prediction)
        metrics = all_metrics(self.task, self.table, self.folds, prediction, self.metric)
        self.oof[trial_id] = prediction
        self.results.append(
            TrialResult(
                trial_id=trial_id,
                family=trial_id.split("-")[0],
                config={},
                scheduler="asha",
                status=COMPLETED,
                rungs_reached=3,
                n_rungs=3,
                curve=scores[:1],
                fold_scores=scores,
                metrics=metrics,
                fit_s=fit_s,
                predict_us=predict_us,
            )
        )


def closed(kind: str, metric: str | None, n: int = 600, seed: int = 0, weighted: bool = False) -> Closed:
    """Return a task of `kind` whose latent signal is the table's single feature: logits, class scores or values."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=n).astype(np.float32)
    if kind == "binary":
        target = (random.random(n) < 1 / (1 + np.exp(-2 * signal))).astype(np.int32)
    elif kind == "multiclass":
        target = np.digitize(signal + random.normal(0, 0.3, n), [-0.5, 0.5]).astype(np.int32)
    else:
        target = signal + random.normal(0, 0.3, n)
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c")}.get(kind, ())
    task = Task(kind, classes)
    weight = random.integers(1, 4, n).astype(np.float32) if weighted else None
    table = Table(signal[:, None], ("signal",), target=target, weight=weight)
    return Closed(table, task, make_folds(table, task, 5, seed), get_metric(metric, kind))


def predictions(world: Closed, n_models: int, seed: int = 1, noise: float = 1.0) -> list[np.ndarray]:
    """Return predictions of the signal, each with its own `noise`, so that their mean beats each."""
    random = np.random.default_rng(seed)
    signal = world.table.features[:, 0].astype(np.float64)
    seen = [signal + random.normal(0, noise, len(signal)) for _ in range(n_models)]
    if world.task.kind == "regression":
        return [values[:, None] for values in seen]
    if world.task.kind == "binary":
        logits = [np.column_stack((-values, values)) for values in seen]
    else:
        logits = [-3 * (values[:, None] - np.array([-1.0, 0.0, 1.0])) ** 2 for values in seen]
    odds = [np.exp(logit) for logit in logits]
    return [odd / odd.sum(axis=1, keepdims=True) for odd in odds]
