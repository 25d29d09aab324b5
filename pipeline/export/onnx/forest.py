"""Random forests and extra-trees in a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stacktune.data.table import REGRESSION
from stacktune.export.onnx.encodings import Encoded, encoded_means, with_crossed_means
from stacktune.export.onnx.graph import Graph
from stacktune.export.onnx.outputs import of_values, spread_over
from stacktune.export.onnx.trees import LEQ, Nodes, each_tree, sum_of_trees
from stacktune.families._cross import load_crossed
from stacktune.families._encode import TargetEncoding, read_parts
from stacktune.families._forest import MODEL_FILE, Outline, Trees
from stacktune.families._output import Output
from stacktune.objectives import ABSOLUTE, HUBER, HUBER_DELTA, QUANTILE, kind_of, level_of


def forest_form(graph: Graph, folder: Path, table: Encoded) -> str:
    """Return the predictions of a forest."""
    parts = read_parts(folder / MODEL_FILE, {"outline": Outline, "encoding": TargetEncoding, "trees": Trees})
    outline, output = parts["outline"], Output.load(folder)
    table = with_crossed_means(graph, load_crossed(folder), table)
    columns = graph.take(table.features, outline.kept, 1)
    if len(parts["encoding"].columns):
        means = encoded_means(graph, parts["encoding"], table.codes(graph))
        columns = graph.join([columns, means], 1)
    said = _together(graph, graph.cast(columns, np.float64), _nodes(parts["trees"]), output)
    if output.kind == REGRESSION:
        return of_values(graph, output, said)
    said = graph.op("Div", said, graph.reduced("ReduceSum", said, 1, keepdims=True))
    return spread_over(graph, said, outline.classes, output.n_outputs)


def _nodes(trees: Trees) -> Nodes:
    inner = trees.left >= 0
    feature, split = np.zeros(len(inner), np.int64), np.zeros(len(inner))
    missing, values = np.zeros(len(inner), bool), np.zeros((len(inner), trees.values.shape[1]), np.float32)
    feature[inner], split[inner], missing[inner] = trees.feature, trees.threshold, trees.missing_left != 0
    values[~inner] = trees.values
    mode = np.full(len(inner), LEQ, np.uint8)
    return Nodes(trees.sizes, trees.left.astype(int), trees.right.astype(int), feature, split, mode, missing, values)


def _together(graph: Graph, columns: str, nodes: Nodes, output: Output) -> str:
    """Return what trees say together, as `together_of` does."""
    kind, n_trees = kind_of(output.loss), len(nodes.sizes)
    if output.kind != REGRESSION or kind not in (ABSOLUTE, QUANTILE, HUBER):
        total = sum_of_trees(graph, columns, nodes, np.zeros(n_trees, np.int64), 1)
        return graph.op("Div", total, graph.const(float(n_trees)))
    said = each_tree(graph, columns, nodes)
    middle = _quantile(graph, said, n_trees, level_of(output.loss) if kind == QUANTILE else 0.5)
    if kind != HUBER:
        return middle
    gap = graph.op("Clip", graph.op("Sub", said, middle), graph.const(-HUBER_DELTA), graph.const(HUBER_DELTA))
    return graph.op("Add", middle, graph.reduced("ReduceMean", gap, 1, keepdims=True))


def _quantile(graph: Graph, said: str, n_trees: int, level: float) -> str:
    """Return (rows, 1) quantiles of (rows, n_trees).

    They lie between two neighbours in proportion, as NumPy's do.
    """
    risen = graph.op("TopK", said, graph.const([n_trees], np.int64), axis=1, largest=0, sorted=1, n_outputs=2)
    place = level * (n_trees - 1)
    below = int(place)
    low, high = graph.take(risen, [below], 1), graph.take(risen, [min(below + 1, n_trees - 1)], 1)
    step = graph.op("Mul", graph.op("Sub", high, low), graph.const(place - below))
    return graph.op("Add", low, step)
