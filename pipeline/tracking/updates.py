"""Defines a run's updates, and writes them.

A run takes one create, one batch and one end at most.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput
    from mlflow.tracking import MlflowClient

# Limits of one log_batch call and of one value, mlflow/utils/validation.py.
_MAX_PARAMS, _MAX_METRICS = 100, 700
_MAX_PARAM_CHARS, _MAX_TAG_CHARS, _MAX_NAME_CHARS = 500, 5000, 250
PARENT_TAG, NOTE_TAG, NAME_TAG = "mlflow.parentRunId", "mlflow.note.content", "mlflow.runName"
VIEW_TAG = "mlflow.sharedViewState."


def now_ms() -> int:
    """Return the milliseconds since 1970, as MLflow does."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Point:
    """One value of a metric, as people read it."""

    name: str
    value: float
    step: int = 0
    time_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True)
class Input:
    """A data set that a run reads.

    `digest` has at most 36 characters.
    """

    name: str
    digest: str
    source: str
    profile: Mapping[str, int | float | str]
    context: str


@dataclass(frozen=True)
class View:
    """How the run's table of trials is first seen.

    order_by: a column, the best first where `is_ascending` says so. columns: in their order, as MLflow's page names
    them: "metrics.`fit_s`".
    """

    order_by: str
    is_ascending: bool
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Update:
    """The news of one run.

    `run` is a trial's id, or "" for the parent. `files` maps artifact names to their text. `paths` maps artifact names,
    folders included, to where the file or folder of that name lies; what it holds is read when it is written.
    """

    run: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    inputs: tuple[Input, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    view: View | None = None
    started_ms: int = field(default_factory=now_ms)
    status: str | None = None
    ended_ms: int | None = None

    def then(self, later: Update) -> Update:
        """Return the news of both.

        A param keeps its first value, since MLflow refuses another.
        """
        return Update(
            run=self.run,
            params={**later.params, **self.params},
            tags={**self.tags, **later.tags},
            points=self.points + later.points,
            inputs=self.inputs + later.inputs,
            files={**self.files, **later.files},
            paths={**self.paths, **later.paths},
            view=later.view or self.view,
            started_ms=min(self.started_ms, later.started_ms),
            status=later.status or self.status,
            ended_ms=later.ended_ms or self.ended_ms,
        )


def view_state(view: View, parent_id: str) -> str:
    """Return a view as MLflow's page reads it.

    It shows the runs inside a parent run. MLflow 3 keeps what its button "Views" shares so, as a tag of the experiment
    named VIEW_TAG and a key, which the address of the page has as `viewStateShareKey`.
    """
    state = {
        "searchFilter": f"tags.`{PARENT_TAG}` = '{parent_id}'",
        "orderByKey": view.order_by,
        "orderByAsc": view.is_ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
    }
    return json.dumps(state)


def as_text(value: object) -> str:
    """Return a parameter's value as people read it.

    Floats have at most six digits.
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write_values(client: MlflowClient, run_id: str, update: Update) -> None:
    """Write params, tags, metrics and inputs.

    Writing the same twice changes nothing.
    """
    from mlflow.entities import Metric, Param, RunTag

    params = [Param(name[:_MAX_NAME_CHARS], value[:_MAX_PARAM_CHARS]) for name, value in update.params.items()]
    tags = [RunTag(name[:_MAX_NAME_CHARS], value[:_MAX_TAG_CHARS]) for name, value in update.tags.items()]
    metrics = [Metric(point.name, point.value, point.time_ms, point.step) for point in update.points]
    for batch in in_batches(metrics, params, tags):
        client.log_batch(run_id, *batch)
    if update.inputs:
        client.log_inputs(run_id, datasets=[_dataset_input(one) for one in update.inputs])


def in_batches(metrics: Sequence, params: Sequence, tags: Sequence) -> Iterator[tuple[Sequence, Sequence, Sequence]]:
    """Yield (metrics, params, tags) for each log_batch call.

    Nothing comes when all are empty.
    """
    limited = ((metrics, _MAX_METRICS), (params, _MAX_PARAMS), (tags, _MAX_PARAMS))
    n_batches = max(math.ceil(len(items) / limit) for items, limit in limited)
    for batch in range(n_batches):
        of_metrics, of_params, of_tags = (items[batch * limit : (batch + 1) * limit] for items, limit in limited)
        yield of_metrics, of_params, of_tags


def _dataset_input(one: Input) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    local = "://" not in one.source or one.source.startswith("file://")
    dataset = Dataset(
        name=one.name[:500],
        digest=one.digest[:36],
        source_type="local" if local else one.source.partition("://")[0],
        source=json.dumps({"uri": one.source}),
        profile=json.dumps(dict(one.profile)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", one.context)])
