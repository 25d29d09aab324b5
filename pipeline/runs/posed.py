"""What a run asks of its models.

Classes may weigh more than they do, predictions may have to rise or fall with columns, and columns may be kept from
acting on one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stacktune.data.class_text import respelled
from stacktune.data.dataset import Dataset
from stacktune.data.table import MULTICLASS, Task
from stacktune.errors import ConfigError, nearest
from stacktune.families.constraints import INTERACTIONS, MONOTONE
from stacktune.families.registry import all_families, get_family
from stacktune.metrics import Metric
from stacktune.settings.pairs import groups_of, values_by_name
from stacktune.settings.problem import ModelSettings

DIRECTIONS = {1: "rise", -1: "fall"}


def check_models(config: ModelSettings) -> None:
    """Raise ConfigError for settings that exclude each other."""
    if config.balance and config.class_weights:
        raise ConfigError(
            f"--balance and --class-weights {','.join(config.class_weights)} exclude each other: give one."
        )


def posed_task(config: ModelSettings, dataset: Dataset, metric: Metric) -> Task:
    """Return the task with what models must hold.

    Raises:
        ConfigError: a column or a class is not there, or the task knows no such thing.
    """
    return replace(
        dataset.task,
        loss=metric.loss,
        class_weights=_class_weights(config, dataset),
        monotone=_monotone(config, dataset),
        interactions=_interactions(config, dataset),
    )


def holding(families: Sequence[str], task: Task) -> tuple[list[str], list[str]]:
    """Return the families that can hold it, and notes.

    Raises:
        ConfigError: none can.
    """
    kept, notes = list(families), []
    for what, is_asked in ((MONOTONE, task.monotone), (INTERACTIONS, task.interactions)):
        if not is_asked:
            continue
        able = [name for name in kept if what in get_family(name).holds]
        left_out = [name for name in kept if name not in able]
        if not able:
            raise ConfigError(
                f"--{what} cannot be held by {' and '.join(kept)}, and no other family is chosen. Those that can: "
                f"{', '.join(_able(what))}."
            )
        if left_out:
            notes.append(f"{' and '.join(left_out)} left out, which cannot hold --{what}")
        kept = able
    return kept, [*_asked_notes(task), *notes]


def _able(what: str) -> list[str]:
    return [name for name, family in all_families().items() if what in family.holds]


def _asked_notes(task: Task) -> list[str]:
    notes = []
    if task.class_weights:
        shown = ", ".join(f"{name} {factor:.3g}" for name, factor in zip(task.classes, task.class_weights, strict=True))
        what = "whose probabilities are brought back to the share that each class has"
        notes.append(f"models learn with class weights ({shown}), {what}")
    if task.monotone:
        shown = ", ".join(f"{DIRECTIONS[direction]} with {name}" for name, direction in task.monotone)
        what = f"probabilities of {task.positive}" if task.positive else "predictions"
        notes.append(f"{what} {shown}, or stay, in every model")
    if task.interactions:
        groups = "; ".join(", ".join(group) for group in task.interactions)
        notes.append(
            f"in every model, columns act on one another within these groups only: {groups}; the others are one"
        )
    return notes


def _class_weights(config: ModelSettings, dataset: Dataset) -> tuple[float, ...]:
    task = dataset.task
    flag = "--balance" if config.balance else "--class-weights"
    if not config.balance and not config.class_weights:
        return ()
    if not task.is_classification:
        raise ConfigError(f"{flag} weighs classes, and {dataset.target_name!r} is a regression target. Leave it out.")
    if config.balance:
        sizes = np.bincount(dataset.table.labels, dataset.table.weight, minlength=task.n_outputs)
        return tuple((sizes.sum() / (len(sizes) * sizes)).tolist())
    given = values_by_name(config.class_weights)
    # A settings file turns yes, true and 1.0 into values, whose text differs.
    class_of = respelled([name for name in given if name not in task.classes], task.classes)
    for name, factor in given.items():
        if name not in task.classes and name not in class_of:
            raise ConfigError(
                f"--class-weights names {name!r}, which is no class of the target {dataset.target_name!r}."
                f"{nearest(name, task.classes)}"
            )
        if factor <= 0:
            raise ConfigError(f"--class-weights gives {name!r} {factor:g}: a factor must be above 0.")
    by_class = {class_of.get(name, name): factor for name, factor in given.items()}
    return tuple(by_class.get(name, 1.0) for name in task.classes)


def _monotone(config: ModelSettings, dataset: Dataset) -> tuple[tuple[str, int], ...]:
    given = values_by_name(config.monotone)
    if given and dataset.task.kind == MULTICLASS:
        raise ConfigError(
            "--monotone says what a value or the probability of the positive of two classes does, and this is a "
            "multiclass task. Leave it out."
        )
    for name, direction in given.items():
        if _kind_of(name, "--monotone", dataset) != "numeric":
            raise ConfigError(
                f"--monotone names {name!r}, which is no column of numbers: it has no order to rise with."
            )
        if direction not in DIRECTIONS:
            raise ConfigError(f"--monotone gives {name!r} {direction:g}: give +1 to rise with it, and -1 to fall.")
    return tuple((name, int(direction)) for name, direction in given.items())


def _interactions(config: ModelSettings, dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    groups = groups_of(config.interactions)
    for name in (name for group in groups for name in group):
        _kind_of(name, "--interactions", dataset)
    names, places = dataset.schema.feature_names, dataset.schema.places
    return tuple(tuple(names[place] for name in group for place in places[name]) for group in groups)


def _kind_of(name: str, flag: str, dataset: Dataset) -> str:
    kinds = {str(column.name): column.kind for column in dataset.schema.columns}
    if name not in kinds:
        raise ConfigError(f"{flag} names {name!r}, which models do not learn from.{nearest(name, kinds)}")
    return kinds[name]
