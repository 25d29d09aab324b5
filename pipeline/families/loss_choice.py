"""Chooses a run's loss and its families.

Without --loss it is the one that is best for the metric; with it, the metric is the one that is best under the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from stacktune.data.notes import shortened
from stacktune.data.table import Task
from stacktune.domains import DomainCheck, below_zero, no_amounts, zeros
from stacktune.errors import ConfigError
from stacktune.families.constraints import MONOTONE
from stacktune.families.losses import OF_MEANS
from stacktune.families.registry import all_families, get_family
from stacktune.metrics import Metric
from stacktune.objectives import (
    ABSOLUTE,
    HUBER,
    PERCENTAGE,
    POISSON,
    QUANTILE,
    SQUARED,
    SQUARED_LOG,
    TWEEDIE,
    kind_of,
    level_of,
    loss_of,
    metric_of,
)
from stacktune.settings.problem import ValidationSettings

# The targets that a loss is not for, in the words of domains.py.
DOMAINS: dict[str, DomainCheck] = {
    SQUARED_LOG: below_zero,
    POISSON: no_amounts,
    TWEEDIE: no_amounts,
    PERCENTAGE: zeros,
}
ANYWHERE = "quantile:Q, mae, huber or squared"
# Losses that came with --loss: a family that cannot fit one is left out, also where only the metric asks for it.
_STRICT = frozenset({QUANTILE, HUBER, POISSON, TWEEDIE})
_WHAT = {
    SQUARED: "squared errors",
    ABSOLUTE: "absolute errors",
    HUBER: "squared errors, and absolute ones beyond the spread of the target",
    SQUARED_LOG: "squared errors of log(1 + target)",
    PERCENTAGE: "squared errors of logarithms, weighed by 1 / |target|",
    POISSON: "the Poisson deviance",
}

Config = TypeVar("Config", bound=ValidationSettings)


def with_metric_of_loss(config: Config, task: Task) -> Config:
    """Return the settings with the loss's metric.

    Raises ConfigError where a loss is asked for, and the task is no regression.
    """
    if config.loss is None:
        return config
    if task.is_classification:
        raise ConfigError(
            f"--loss {config.loss} is for regression, but this is a {task.kind} target, for which all models fit the "
            "log loss. Leave --loss out; or choose --task regression where the target is an amount."
        )
    return config if config.metric else replace(config, metric=metric_of(loss_of(config.loss)))


def chosen_loss(config: ValidationSettings, metric: Metric) -> str:
    """Return the loss that models fit, see Task."""
    return metric.loss if config.loss is None else loss_of(config.loss)


def check_loss(config: ValidationSettings, target: np.ndarray, rows: str) -> None:
    """Raise ConfigError for targets beyond a loss's domain.

    target: (n,) values. rows: which, for people.
    """
    check = DOMAINS.get(kind_of(loss_of(config.loss))) if config.loss else None
    problem = check(target, ()) if check else None
    if problem:
        raise ConfigError(f"--loss {config.loss} {problem}, of {rows}. Choose {ANYWHERE}.")


def fitting_families(names: Sequence[str], task: Task, is_chosen: bool) -> list[str]:
    """Return the families that can fit the task's loss.

    Learners of squares can fit means in the place of a loss that is least there. Families that fit it by leaves that
    break directions are left out where there are any to keep to.

    is_chosen: whether a user asked for the loss; what a metric alone asks for, families may fit by squares.
    Raises ConfigError where none can.
    """
    loss = task.loss
    is_strict = is_chosen or kind_of(loss) in _STRICT
    able = [name for name in names if (_can(name, loss) or not is_strict) and _keeps(name, task)]
    if not able:
        others = [name for name in all_families() if _can(name, loss) and _keeps(name, task)]
        raise ConfigError(
            f"{_what(loss)}{_kept(task)} can be fitted by none of the families {', '.join(names)}. "
            + (f"Families that can: {', '.join(others)}." if others else "Choose another --loss.")
        )
    return able


def _can(name: str, loss: str) -> bool:
    losses = get_family(name).losses
    return kind_of(loss) in losses or (kind_of(loss) in OF_MEANS and SQUARED in losses)


def _keeps(name: str, task: Task) -> bool:
    family = get_family(name)
    return not task.monotone or (MONOTONE in family.holds and kind_of(task.loss) not in family.loosened_by)


def _kept(task: Task) -> str:
    return " within --monotone" if task.monotone else ""


def left_out_notes_of_loss(names: Sequence[str], task: Task) -> list[str]:
    """Return a note on families left out."""
    return [f"{_listed(names)} left out, which cannot fit {_what(task.loss)}{_kept(task)}"] if names else []


def chosen_loss_notes(config: ValidationSettings, loss: str, metric: Metric, names: Sequence[str]) -> list[str]:
    """Return a note on how families fit it.

    There is none unless the loss was chosen, or came with --loss.

    names: of the families that can.
    """
    if config.loss is None and kind_of(loss) not in _STRICT:
        return []
    option = f"--loss {config.loss}" if config.loss else f"--metric {metric.name}"
    parts = [f"for {option}, models fit {_what(loss)} and are judged by {metric.name}"]
    by_way: dict[str, list[str]] = {}
    for name in names:
        if way := _way(name, loss):
            by_way.setdefault(way, []).append(name)
    parts += [f"{_listed(of)} by {way}" for way, of in by_way.items()]
    return ["; ".join(parts)]


def _way(name: str, loss: str) -> str | None:
    family, kind = get_family(name), kind_of(loss)
    return family.ways.get(kind) if kind in family.losses else "squared errors, which are least at the mean, too"


def _what(loss: str) -> str:
    kind = kind_of(loss)
    if kind == QUANTILE:
        return f"the pinball loss of the {level_of(loss):g} quantile"
    return f"the Tweedie deviance of power {level_of(loss):g}" if kind == TWEEDIE else _WHAT[kind]


def _listed(names: Sequence[str]) -> str:
    return shortened(list(names)) if len(names) > 2 else " and ".join(names)
