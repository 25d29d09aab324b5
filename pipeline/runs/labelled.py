"""Opens a leader beside a labelled table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacktune.errors import ConfigError, DataError, nearest_column
from stacktune.storage.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from stacktune.data.table import Table, Task
    from stacktune.ensemble.leader import Leader
    from stacktune.metrics import Metric
    from stacktune.settings.groups import Settings


@dataclass(frozen=True)
class Labelled:
    """A leader, and rows whose targets are known.

    frame: the same rows as they came, with columns that the leader does not use. notes: what is to be said of the
    table.
    """

    leader: Leader
    table: Table
    metric: Metric
    frame: pd.DataFrame
    notes: tuple[str, ...]

    def columns(self, names: Sequence[str]) -> list[tuple[str, pd.Series]]:
        """Return raw values of columns that part rows.

        Raises ConfigError for one that is not there, or has nothing to tell apart.
        """
        known = [str(name) for name in self.frame.columns]
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"--by names {name!r}, but the table has no such column.{nearest_column(name, known)}"
                )
            if name == self.leader.target_name:
                raise ConfigError(f"--by names the target {name!r}: name a column that parts the rows otherwise.")
        return [(name, self.frame.iloc[:, known.index(name)]) for name in dict.fromkeys(names)]


def opened(leader: Leader, run: Path | None, data: Any, by: Sequence[str] = ()) -> Labelled:
    """Return a leader with an encoded, labelled table.

    run: the folder of its run, which knows its metric and weights; None where there is only a model. data: the table,
    at a path or URI or in memory. by: columns that it is to have beside those of the model.

    Raises:
        ConfigError: the metric is gone. DataError: the table is not the model's, or its metric is undefined there.
    """
    from stacktune.data.dataset import load_labelled_frame
    from stacktune.data.in_memory import as_rows
    from stacktune.settings.problem import IN_MEMORY

    rows = None if isinstance(data, str | os.PathLike) else as_rows(data)
    place = os.fspath(data) if rows is None else IN_MEMORY
    config = _config(run)
    weight = None if config is None else config.weight
    table, frame, notes = load_labelled_frame(place, leader.schema, leader.task, leader.target_name, weight, rows, by)
    metric = _metric_of_model(leader) if config is None else _metric_of_run(config, leader.task, table)
    problem = metric.problem(table.labels, leader.task.classes)
    if problem is not None:
        raise DataError(
            f"{place!r} cannot be judged: {metric.name}, the model's metric, {problem}. Give other rows, too."
        )
    if rows is None and config is not None and _is_learnt_from(place, config):
        notes = [*notes, "this is the table that the run learnt from: scores and importance on it flatter"]
    return Labelled(leader, table, metric, frame, tuple(notes))


def _is_learnt_from(place: str, config: Settings) -> bool:
    """Return whether the run's own table lies there."""
    return place == config.data or os.path.abspath(place) == os.path.abspath(config.data)


def _config(run: Path | None) -> Settings | None:
    from stacktune.runs.resume import saved_config

    return saved_config(run) if run is not None and RunFolder(run).config.is_file() else None


def _metric_of_run(config: Settings, task: Task, table: Table) -> Metric:
    from stacktune.families.loss_choice import with_metric_of_loss
    from stacktune.runs.begin import folders_of_user
    from stacktune.runs.metric import chosen_metric

    return chosen_metric(with_metric_of_loss(config, task), task, table.labels, folders_of_user(None))


def _metric_of_model(leader: Leader) -> Metric:
    from stacktune.metrics import get_metric

    try:
        return get_metric(leader.metric_name, leader.task.kind)
    except ConfigError:  # one of the run's own, which a model alone does not know
        return get_metric(None, leader.task.kind)
