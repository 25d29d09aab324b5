"""CatBoost's trees and counts in a graph.

It hashes the text of each level, combines the hashes of several columns and of splits of numbers, and looks counts of
the training rows up by them. Hashes of levels and all counts are read from what CatBoost writes of its model; combining
hashes is arithmetic in 64 bits that wraps around (`CalcHash` in catboost/libs/cat_feature), which ONNX has, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stacktune.errors import ConfigError
from stacktune.export.onnx.encodings import Encoded
from stacktune.export.onnx.graph import ML, Graph
from stacktune.export.onnx.outputs import of_margins, spread_over
from stacktune.export.onnx.trees import EQ, GT, Grown, sum_of_trees
from stacktune.families._output import Output
from stacktune.families.catboost import MODEL_FILE, N_TREES

_MAGIC = 0x4906BA494954CB65
_EMPTY = 2**64 - 1  # where CatBoost's hash map has no entry
# What CatBoost counts on a CPU.
_BORDERS, _BUCKETS, _MEAN, _COUNTER = "Borders", "Buckets", "BinarizedTargetMeanValue", "Counter"


def catboost_form(graph: Graph, folder: Path, table: Encoded) -> str:
    """Return the predictions of a CatBoost model.

    Raises ConfigError where it counts levels in a way that is not known here.
    """
    import catboost

    model = catboost.CatBoost().load_model(str(folder / MODEL_FILE))
    document = _document_of(model, table)
    levels = _levels(graph, table)
    made = Counts(graph, document, table, levels)
    trees = (document.get("oblivious_trees") or document["trees"])[: int(model.get_metadata()[N_TREES])]
    scale, bias = document["scale_and_bias"]
    bias = np.atleast_1d(np.array(bias, dtype=np.float64))
    grown = _Trees(document, made, len(bias))
    for tree in trees:
        grown.add(tree)
    nodes = grown.grown.nodes()
    nodes.values[:] *= scale
    features = graph.join([graph.cast(table.numeric(graph), np.float64), *levels, *made.columns], 1)
    margins = sum_of_trees(graph, features, nodes, np.zeros(len(trees), int), 1)
    margins = graph.op("Add", margins, graph.const(bias[None]))
    output = Output.load(folder)
    if len(bias) == 1:
        return of_margins(graph, output, margins)
    classes = np.asarray(model.classes_, dtype=np.int64)
    return spread_over(graph, of_margins(graph, output, margins), classes, output.n_outputs)


def _document_of(model: Any, table: Encoded) -> dict[str, Any]:
    """Return the model as JSON.

    The hash of every level's text is there, too.
    """
    import catboost
    import pandas as pd

    n_levels = [count + 2 for count in table.cardinalities]
    n_rows = max([1, *n_levels])
    columns: dict[str, Any] = {str(place): np.zeros(n_rows, np.float32) for place in range(table.n_numeric)}
    places = list(range(table.n_numeric, table.n_numeric + len(n_levels)))
    for place, n in zip(places, n_levels, strict=True):
        columns[str(place)] = pd.Categorical.from_codes(np.arange(n_rows) % n, pd.RangeIndex(n))
    with TemporaryDirectory() as aside:
        path = Path(aside) / "model.json"
        pool = catboost.Pool(pd.DataFrame(columns), cat_features=places)
        model.save_model(str(path), format="json", pool=pool)
        return json.loads(path.read_text())


def _levels(graph: Graph, table: Encoded) -> list[str]:
    """Return columns' levels, (rows, 1) float64.

    After a column's own levels come a missing value, and one never seen.
    """
    levels = []
    for place, count in enumerate(table.cardinalities):
        code = graph.cast(graph.take(table.codes(graph), [place], 1), np.float64)
        is_unseen = graph.op("Equal", code, graph.const(float(count)))
        code = graph.where(is_unseen, graph.const(float(count + 1)), code)
        levels.append(graph.where(graph.op("IsNaN", code), graph.const(float(count)), code))
    return levels


class Counts:
    """Counts that a model looks up by levels.

    columns: (rows, 1) float64 each, in the model's order.
    """

    def __init__(self, graph: Graph, document: Mapping[str, Any], table: Encoded, levels: list[str]):
        facts = document["features_info"]
        self._graph, self.table, self._levels = graph, table, levels
        self._hash_of = {each["value"]: _signed32(int(each["hash"])) for each in facts.get("cat_features_hash") or []}
        self._floats = facts.get("float_features") or []
        self._data = document.get("ctr_data") or {}
        self._hashes: dict[str, str] = {}
        self._buckets: dict[str, str] = {}
        self.ctrs = facts.get("ctrs") or []
        self.columns = [self._column(ctr) for ctr in self.ctrs]

    def hashes_of(self, column: int) -> np.ndarray:
        """Return the hashes of a column's levels."""
        return np.array([self._hash_of[str(level)] for level in range(self.table.cardinalities[column] + 2)], np.int64)

    def _column(self, ctr: Mapping[str, Any]) -> str:
        if ctr["ctr_type"] not in (_BORDERS, _BUCKETS, _MEAN, _COUNTER):
            raise ConfigError(f"CatBoost counts levels by {ctr['ctr_type']}, which has no form in ONNX here")
        data, identifier = self._data[ctr["identifier"]], ctr["identifier"]
        stride = data["hash_stride"]
        flat = data["hash_map"]
        keys = [int(key) for key in flat[::stride]]
        counts = np.array([flat[place + 1 : place + stride] for place in range(0, len(flat), stride)], np.float64)
        kept = [place for place, key in enumerate(keys) if key != _EMPTY]
        if identifier not in self._buckets:
            self._buckets[identifier] = self._bucket(self._hash(ctr["elements"]), [keys[place] for place in kept])
        values = _values(ctr, counts[kept].reshape(len(kept), stride - 1), data["counter_denominator"])
        return self._graph.op("Gather", self._graph.const(values), self._buckets[identifier], axis=0)

    def _bucket(self, hashed: str, keys: list[int]) -> str:
        """Return where a hash is among the known ones.

        It is behind them where it is none.
        """
        signed = [key - 2**64 if key >= 2**63 else key for key in keys]
        if not signed:
            return self._graph.op("Mul", hashed, self._graph.const(0, np.int64))
        places = list(range(len(signed)))
        return self._graph.op(
            "LabelEncoder", hashed, domain=ML, keys_int64s=signed, values_int64s=places, default_int64=len(signed)
        )

    def _hash(self, elements: list[Mapping[str, Any]]) -> str:
        """Return some columns' hash, (rows, 1) int64."""
        key = json.dumps(elements, sort_keys=True)
        if key not in self._hashes:
            ranked = sorted(elements, key=lambda element: _ORDER[element["combination_element"]])
            combined = self._graph.const(np.zeros((1, 1)), np.int64)
            magic = self._graph.const(_MAGIC, np.int64)
            for element in ranked:
                scaled = self._graph.op("Mul", self._part(element), magic)
                combined = self._graph.op("Mul", self._graph.op("Add", combined, scaled), magic)
            self._hashes[key] = combined
        return self._hashes[key]

    def _part(self, element: Mapping[str, Any]) -> str:
        graph, kind = self._graph, element["combination_element"]
        if kind == "float_feature":
            feature = self._floats[element["float_feature_index"]]
            value = graph.take(self.table.features, [feature["flat_feature_index"]], 1)
            is_more = graph.op("Greater", value, graph.const(np.float32(element["border"])))
            if feature["nan_value_treatment"] == "AsTrue":
                is_more = graph.op("Or", is_more, graph.op("IsNaN", value))
            return graph.cast(is_more, np.int64)
        column = element["cat_feature_index"]
        level = graph.cast(self._levels[column], np.int64)
        if kind == "cat_feature_value":
            return graph.op("Gather", graph.const(self.hashes_of(column)), level, axis=0)
        is_it = (self.hashes_of(column) == _signed32(element["value"])).astype(np.int64)
        return graph.op("Gather", graph.const(is_it), level, axis=0)


# In which order CatBoost combines the parts of a hash.
_ORDER = {"cat_feature_value": 0, "float_feature": 1, "cat_feature_exact_value": 2}


def _signed32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value


def _values(ctr: Mapping[str, Any], counts: np.ndarray, denominator: float) -> np.ndarray:
    """Return each bucket's value, float64.

    Behind them comes that of none. They are computed in float32, as CatBoost does.
    """
    kind, border = ctr["ctr_type"], ctr["target_border_idx"]
    if kind == _MEAN:
        good, total = counts[:, 0], counts[:, 1]
    elif kind == _COUNTER:
        good, total = counts[:, 0], np.full(len(counts), float(denominator))
    elif kind == _BUCKETS:
        good, total = counts[:, border], counts.sum(axis=1)
    else:
        good, total = counts[:, border + 1 :].sum(axis=1), counts.sum(axis=1)
    none = float(denominator) if kind == _COUNTER else 0.0
    good, total = (np.append(each, last).astype(np.float32) for each, last in ((good, 0.0), (total, none)))
    prior, weight = np.float32(ctr["prior_numerator"]), np.float32(ctr["prior_denomerator"])
    share = (good + prior) / (total + weight)
    return ((share + np.float32(ctr["shift"])) * np.float32(ctr["scale"])).astype(np.float64)


class _Trees:
    """A model's trees as nodes.

    width: values of a leaf.
    """

    def __init__(self, document: Mapping[str, Any], made: Counts, width: int):
        facts = document["features_info"]
        self.grown, self._width, self._made = Grown(), width, made
        self._floats, self._levels = facts.get("float_features") or [], facts.get("categorical_features") or []
        n_before = sum(len(each.get("borders") or ()) for each in self._floats)
        n_before += sum(len(each.get("values") or ()) for each in self._levels)
        # Splits are numbered over the borders of numbers, then levels, then the borders of counts.
        self._count_of = {}
        for place, ctr in enumerate(made.ctrs):
            for _ in ctr["borders"]:
                self._count_of[n_before] = place
                n_before += 1
        self._n_features = len(made.table.cardinalities) + made.table.n_numeric

    def add(self, tree: Mapping[str, Any]) -> None:
        """Add a tree, symmetric or not."""
        self.grown.begin()
        if "splits" not in tree:
            self._add_node(tree)
            return
        splits = tree["splits"] or []
        self._add_level(splits, tree["leaf_values"], len(splits) - 1, 0)

    def _add_level(self, splits: list[Any], values: list[float], depth: int, number: int) -> int:
        """Add the nodes of one depth.

        They all ask the same. The first split is the lowest bit of a leaf's number.
        """
        if depth < 0:
            return self.grown.leaf(values[number * self._width : (number + 1) * self._width])
        place = self._add_split(splits[depth])
        yes = self._add_level(splits, values, depth - 1, number | 1 << depth)
        self.grown.lead(place, yes, self._add_level(splits, values, depth - 1, number))
        return place

    def _add_node(self, node: Mapping[str, Any]) -> int:
        if "split" not in node:
            value = node["value"]
            return self.grown.leaf(list(value) if isinstance(value, list) else [value])
        place = self._add_split(node["split"])
        no, yes = (self._add_node(node[side]) for side in ("left", "right"))
        self.grown.lead(place, yes, no)
        return place

    def _add_split(self, split: Mapping[str, Any]) -> int:
        kind = split["split_type"]
        if kind == "FloatFeature":
            feature = self._floats[split["float_feature_index"]]
            missing_yes = feature["nan_value_treatment"] == "AsTrue"
            return self.grown.inner(feature["flat_feature_index"], float(np.float32(split["border"])), GT, missing_yes)
        if kind == "OneHotFeature":
            column = split["cat_feature_index"]
            level = np.flatnonzero(self._made.hashes_of(column) == _signed32(split["value"]))
            place = self._made.table.n_numeric + column
            return self.grown.inner(place, float(level[0]) if len(level) else -1.0, EQ, False)
        place = self._n_features + self._count_of[split["split_index"]]
        return self.grown.inner(place, float(np.float32(split["border"])), GT, False)
