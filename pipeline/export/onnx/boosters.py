"""Boosted trees of LightGBM and XGBoost in a graph.

Each is read from what its library writes of its own trees. Splits keep their double thresholds, and features come as
float32 in doubles, so that every row goes where the library sends it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.export.onnx.encodings import Encoded, with_crossed_means
from stacktune.export.onnx.graph import Graph
from stacktune.export.onnx.outputs import of_margins
from stacktune.export.onnx.trees import LEQ, LT, MEMBER, Grown, Nodes, sum_of_trees
from stacktune.families import lightgbm as light
from stacktune.families import xgboost as xgb
from stacktune.families._cross import load_crossed
from stacktune.families._output import Output


def lightgbm_form(graph: Graph, folder: Path, table: Encoded) -> str:
    """Return the predictions of a LightGBM model."""
    import lightgbm

    table = with_crossed_means(graph, load_crossed(folder), table)
    document = lightgbm.Booster(model_file=folder / light.MODEL_FILE).dump_model()
    grown = Grown()
    for tree in document["tree_info"]:
        grown.begin()
        _add_light(grown, tree["tree_structure"])
    n_each = document["num_tree_per_iteration"]
    return _of_trees(graph, folder, table, grown.nodes(), n_each, np.zeros(n_each))


def _add_light(grown: Grown, node: dict[str, Any]) -> int:
    if "leaf_value" in node:
        return grown.leaf([node["leaf_value"]])
    place = _add_light_split(grown, node)
    grown.lead(place, _add_light(grown, node["left_child"]), _add_light(grown, node["right_child"]))
    return place


def _add_light_split(grown: Grown, node: dict[str, Any]) -> int:
    if node["decision_type"] == "==":  # a missing value is no level
        levels = [float(level) for level in node["threshold"].split("||")]
        return grown.member(node["split_feature"], levels, False)
    # Where no training row missed a value, LightGBM takes a missing one for 0.
    missing_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
    return grown.inner(node["split_feature"], node["threshold"], LEQ, missing_left)


def xgboost_form(graph: Graph, folder: Path, table: Encoded) -> str:
    """Return the predictions of an XGBoost model."""
    import xgboost

    table = with_crossed_means(graph, load_crossed(folder), table)
    booster = xgboost.Booster(model_file=folder / xgb.MODEL_FILE)
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    model = learner["gradient_booster"]["model"]
    nodes = _joined([_of_xgboost(tree) for tree in model["trees"]])
    n_each = max(1, int(learner["learner_model_param"]["num_class"]))
    base = _base_margins(learner, n_each)
    return _of_trees(graph, folder, table, nodes, n_each, base, np.array(model["tree_info"], dtype=np.int64))


def _of_xgboost(tree: dict[str, Any]) -> Nodes:
    """Return one tree's nodes.

    A level among the categories of a node goes to the right, all others and numbers below the condition to the left.
    """
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    split = np.array(tree["split_conditions"], np.float32).astype(np.float64)
    is_member = (np.array(tree["split_type"]) == 1) & (left >= 0)
    missing_left = np.array(tree["default_left"], bool)
    levels = {
        node: [float(level) for level in tree["categories"][start : start + size]]
        for node, start, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        )
    }
    return Nodes(
        np.array([len(left)]),
        np.where(is_member, right, left),
        np.where(is_member, left, right),
        np.array(tree["split_indices"]),
        np.where(is_member, np.nan, split),
        np.where(is_member, MEMBER, LT).astype(np.uint8),
        missing_left ^ is_member,
        np.where(left < 0, split, 0.0)[:, None],
        levels,
    )


def _joined(parts: list[Nodes]) -> Nodes:
    starts = np.cumsum([0, *(len(part.yes) for part in parts)])
    levels = {
        start + node: each for start, part in zip(starts, parts, strict=False) for node, each in part.levels.items()
    }
    names = ("sizes", "yes", "no", "feature", "split", "mode", "missing_yes", "values")
    together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Nodes(**together, levels=levels)


def _base_margins(learner: dict[str, Any], n_each: int) -> np.ndarray:
    """Return what XGBoost adds to sums of leaves.

    They are (n_each,). It writes it as a prediction, of one number or of one a class.
    """
    written = json.loads(learner["learner_model_param"]["base_score"])
    base = np.broadcast_to(np.array(written, dtype=np.float64).ravel(), n_each)
    objective = learner["objective"]["name"]
    if objective == xgb.OBJECTIVES["binary"]:
        return np.log(base / (1 - base))
    return np.log(base) if objective in (xgb.OBJECTIVES["poisson"], xgb.OBJECTIVES["tweedie"]) else base


def _of_trees(
    graph: Graph,
    folder: Path,
    table: Encoded,
    nodes: Nodes,
    n_each: int,
    base: np.ndarray,
    target: np.ndarray | None = None,
) -> str:
    """Return predictions of trees.

    Each adds to one margin.

    n_each: margins of a row. base: (n_each,) where they begin. target: (n_trees,) the margin of each tree.
    """
    target = np.arange(len(nodes.sizes)) % n_each if target is None else target
    margins = sum_of_trees(graph, graph.cast(table.features, np.float64), nodes, target, n_each)
    margins = graph.op("Add", margins, graph.const(np.array(base, np.float64)[None]))
    return of_margins(graph, Output.load(folder), margins)
