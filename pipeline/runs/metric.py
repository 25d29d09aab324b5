"""Chooses a run's metric.

It is one that everybody knows, the cost of decisions, or a function of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stacktune.costs import COST, cost_metric
from stacktune.data.table import Task
from stacktune.errors import ConfigError
from stacktune.metrics import METRICS, Metric, get_metric
from stacktune.own_metric import is_own, load_function, own_metric, own_notes
from stacktune.settings.pairs import values_by_name
from stacktune.settings.problem import ValidationSettings


def check_metric(config: ValidationSettings, folders: Sequence[Path]) -> None:
    """Refuse metrics that no table could have.

    Raises ConfigError. folders: of the user's, where a function of theirs may lie.
    """
    if config.metric is not None and is_own(config.metric):
        load_function(config.metric, folders)
    _check_costs(config)


def _check_costs(config: ValidationSettings) -> None:
    if config.metric == COST and not config.cost:
        raise ConfigError("--metric cost needs to know what decisions cost: give --cost, as in --cost fn=10,fp=1.")
    known = METRICS.get(config.metric or "")
    if config.cost and known is not None and known.needs_threshold:
        raise ConfigError(_two_thresholds(known.name))


def _two_thresholds(name: str) -> str:
    return (
        f"--metric {name} chooses a threshold of its own, and --cost another: leave one of them out. With --cost "
        "alone, the expected cost a row is the metric."
    )


def chosen_metric(config: ValidationSettings, task: Task, target: np.ndarray, folders: Sequence[Path] = ()) -> Metric:
    """Return the metric of a run.

    With costs, its threshold is the one where these are least.

    target: (n,) of the training rows. folders: of the user's; the one that the command stands in if there are none.

    Raises:
        ConfigError: it is unknown, for another task, or a function that is no metric.
    """
    _check_costs(config)
    if not config.cost:
        return _named(config.metric, task, target, folders)
    costs = cost_metric(values_by_name(config.cost), task.kind)
    if config.metric in (None, COST):
        return costs
    metric = _named(config.metric, task, target, folders)
    if metric.needs_threshold:
        raise ConfigError(_two_thresholds(metric.name))
    return replace(metric, threshold_by=costs)


def _named(name: str | None, task: Task, target: np.ndarray, folders: Sequence[Path]) -> Metric:
    if name is not None and is_own(name):
        return own_metric(name, task, target, folders or [Path.cwd()])
    return get_metric(name, task.kind)


def metric_notes(metric: Metric, task: Task, is_weighted: bool) -> list[str]:
    """Return sentences on a run's own metric."""
    notes, decides = own_notes(metric, is_weighted), metric.decides
    if decides.name != COST:
        return notes
    negative, positive = task.classes
    return [
        *notes,
        f"decisions cost {decides.version} a row, where {positive} is positive and {negative} negative: the threshold "
        f"is where the mean cost is least{', which is the metric' if metric is decides else ''}",
    ]
