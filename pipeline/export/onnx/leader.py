"""A whole leader as one ONNX graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.ensemble.blend import MIN_PROBABILITY, STACK, Blend
from stacktune.ensemble.interval import LOWER, UPPER, Interval
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.member import Member
from stacktune.errors import ConfigError
from stacktune.export.onnx.boosters import lightgbm_form, xgboost_form
from stacktune.export.onnx.catboost import catboost_form
from stacktune.export.onnx.columns import features_of, unit_of
from stacktune.export.onnx.encodings import Encoded, with_wrappers
from stacktune.export.onnx.forest import forest_form
from stacktune.export.onnx.graph import Graph
from stacktune.export.onnx.linear import linear_form
from stacktune.export.onnx.nets import net_form
from stacktune.export.onnx.outputs import unscaled
from stacktune.families.losses import BELOW_ALL
from stacktune.objectives import SQUARED_LOG

FORMS: dict[str, Callable[[Graph, Path, Encoded], str]] = {
    "catboost": catboost_form,
    "extra_trees": forest_form,
    "lightgbm": lightgbm_form,
    "linear": linear_form,
    "mlp": net_form,
    "nas": net_form,
    "random_forest": forest_form,
    "xgboost": xgboost_form,
}
PROBABILITIES = "probabilities"


def graph_of(leader: Leader) -> Graph:
    """Return the graph of a leader.

    Its inputs are the raw columns, (rows, 1) each. Its outputs are the prediction (rows,), and (rows, n_classes)
    float64 probabilities, or the ends of the interval where there is one.

    Raises ConfigError where a member has no form in ONNX.
    """
    _check_members(leader)
    graph = Graph(frozenset([*leader.schema.column_names, *output_names(leader)]))
    features = features_of(graph, leader.schema)
    cardinalities = leader.schema.cardinalities
    table = Encoded(features, len(leader.schema.feature_names) - len(cardinalities), cardinalities)
    blended = _blended(graph, leader.blend, [_mean(graph, leader, member, table) for member in leader.members])
    if leader.blend.temperature != 1:
        blended = _heated(graph, blended, leader.blend.temperature)
    _declare(graph, leader, blended)
    return graph


def about(leader: Leader) -> dict[str, str]:
    """Return what a graph's metadata says."""
    facts: dict[str, Any] = {
        "target": leader.target_name,
        "task": leader.task.kind,
        "classes": list(leader.task.classes),
        "threshold": leader.threshold,
        "columns": {column.name: unit_of(column) for column in leader.schema.columns},
        "members": [member.trial_id for member in leader.members],
    }
    return {"stacktune": json.dumps(facts)}


def output_names(leader: Leader) -> list[str]:
    """Return the outputs' names, which no column may have."""
    names = ["prediction"]
    names += [PROBABILITIES] if leader.task.is_classification else [LOWER, UPPER] if leader.interval else []
    taken = set(leader.schema.column_names)
    free = []
    for name in names:
        while name in taken:
            name += "_"
        free.append(name)
        taken.add(name)
    return free


def _check_members(leader: Leader) -> None:
    for member in leader.members:
        if member.family not in FORMS:
            raise no_form(member, f"the family {member.family!r} has no form in ONNX")


def no_form(member: Member, why: str) -> ConfigError:
    """Return the error of a member without a form."""
    return ConfigError(
        f"{member.trial_id} cannot be exported: {why}. Make one small model of the leader (stacktune distil MODEL "
        f"DATA) and export that, or run without the family (--exclude {member.family})."
    )


def _mean(graph: Graph, leader: Leader, member: Member, table: Encoded) -> str:
    """Return the mean of a member's fold models."""
    total = None
    folds = leader.model_folders(member)
    for folder in folds:
        try:
            said = with_wrappers(graph, folder, table, partial(FORMS[member.family], graph, folder))
        except ConfigError as error:
            raise no_form(member, str(error)) from None
        total = said if total is None else graph.op("Add", total, said)
    if total is None:
        raise ValueError(f"{member.trial_id} has no fold model")
    return graph.op("Div", total, graph.const(float(len(folds))))


def _blended(graph: Graph, blend: Blend, said: list[str]) -> str:
    """Return what `Blend.combine` does, but for the temperature."""
    if blend.kind != STACK:
        return _weighted(graph, blend, said)
    bias = graph.const(np.array(blend.bias, dtype=np.float64))
    if blend.is_log:
        floor = graph.const(float(BELOW_ALL))
        logs = [graph.op("Log", graph.op("Add", graph.op("Max", each, floor), graph.const(1.0))) for each in said]
        return unscaled(graph, graph.op("Add", _weighted(graph, blend, logs), bias), SQUARED_LOG, 1.0)
    if len(blend.bias) == 1:
        return graph.op("Add", _weighted(graph, blend, said), bias)
    ends = graph.const(MIN_PROBABILITY), graph.const(1 - MIN_PROBABILITY)
    logs = [graph.op("Log", graph.op("Clip", each, *ends)) for each in said]
    return graph.op("Softmax", graph.op("Add", _weighted(graph, blend, logs), bias), axis=1)


def _weighted(graph: Graph, blend: Blend, said: list[str]) -> str:
    parts = [
        graph.op("Mul", each, graph.const(float(weight)))
        for weight, each in zip(blend.weights, said, strict=True)
        if weight > 0
    ]
    total = parts[0]
    for part in parts[1:]:
        total = graph.op("Add", total, part)
    return total


def _heated(graph: Graph, blended: str, temperature: float) -> str:
    logs = graph.op("Log", graph.op("Max", blended, graph.const(float(np.finfo(np.float64).tiny))))
    return graph.op("Softmax", graph.op("Div", logs, graph.const(temperature)), axis=1)


def _declare(graph: Graph, leader: Leader, blended: str) -> None:
    """Declare the outputs."""
    names, task = output_names(leader), leader.task
    if not task.is_classification:
        values = graph.shaped(blended, -1)
        graph.output(names[0], values, np.float64)
        if leader.interval is not None:
            for name, end in zip(names[1:], _ends(graph, leader.interval, blended, values), strict=True):
                graph.output(name, end, np.float64)
        return
    if task.n_outputs == 2:
        positive = graph.shaped(graph.take(blended, [1], 1), -1)
        is_positive = graph.op("GreaterOrEqual", positive, graph.const(float(leader.threshold)))
        code = graph.cast(is_positive, np.int64)
    else:
        code = graph.op("ArgMax", blended, axis=1, keepdims=0)
    labels, dtype = label_array(leader)
    graph.output(names[0], graph.op("Gather", graph.const(labels), code, axis=0), dtype)
    graph.output(names[1], blended, np.float64, task.n_outputs)


def label_array(leader: Leader) -> tuple[np.ndarray, Any]:
    """Return the classes as an array, and its type.

    They are numbers or truth values where the target was, else text.
    """
    labels = leader.task.labels or leader.task.classes
    for kind, dtype in ((bool, np.bool_), (int, np.int64), (float, np.float64)):
        if all(type(label) is kind for label in labels):
            return np.array(labels, dtype=dtype), dtype
    return np.array([str(label) for label in labels], dtype=object), str


def _ends(graph: Graph, interval: Interval, blended: str, values: str) -> list[str]:
    """Return the ends of the intervals, as `Interval.ends` does."""
    edges = graph.const(np.array(interval.edges, dtype=np.float64)[None])
    beyond = graph.cast(graph.op("GreaterOrEqual", blended, edges), np.int64)
    place = graph.reduced("ReduceSum", beyond, 1)
    ends = []
    for gaps in (interval.below, interval.above):
        end = graph.op("Add", values, graph.op("Gather", graph.const(np.array(gaps)), place, axis=0))
        ends.append(end if interval.floor is None else graph.op("Max", end, graph.const(float(interval.floor))))
    return ends
