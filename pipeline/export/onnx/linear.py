"""Linear models in a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.table import REGRESSION
from stacktune.export.onnx.encodings import Encoded, crossed, encoded_means, laid_out, scaled
from stacktune.export.onnx.graph import Graph
from stacktune.export.onnx.outputs import of_values, responses, spread_over
from stacktune.families._encode import OneHot, read_parts
from stacktune.families._output import Output
from stacktune.families.linear import DESIGN_PARTS, MODEL_FILE, Weights


def linear_form(graph: Graph, folder: Path, table: Encoded) -> str:
    """Return the predictions of a linear model."""
    parts = read_parts(folder / MODEL_FILE, {**DESIGN_PARTS, "weights": Weights})
    weights, output = parts["weights"], Output.load(folder)
    margins = graph.op("Add", _margins(graph, parts, table), graph.const(np.asarray(weights.intercepts, np.float64)))
    if output.kind == REGRESSION:
        return of_values(graph, output, responses(graph, output, margins))
    return spread_over(graph, graph.op("Softmax", margins, axis=1), weights.seen, output.n_outputs)


def _margins(graph: Graph, parts: dict[str, Any], table: Encoded) -> str:
    both = crossed(graph, parts["crossing"], table)
    dense = [scaled(graph, parts["scaling"], both.numeric(graph))]
    if len(parts["encoding"].columns):
        means = encoded_means(graph, parts["encoding"], both.codes(graph))
        dense.append(scaled(graph, parts["encoding_scaling"], means))
    coefficients = np.asarray(parts["weights"].coefficients, np.float64)
    n_dense = len(coefficients) - parts["one_hot"].n_indicators
    columns = graph.cast(graph.join(dense, 1), np.float64)
    margins = graph.op("MatMul", columns, graph.const(coefficients[:n_dense]))
    if not len(parts["one_hot"].columns):
        return margins
    return graph.op("Add", margins, _of_levels(graph, parts["one_hot"], coefficients[n_dense:], both))


def _of_levels(graph: Graph, one_hot: OneHot, coefficients: np.ndarray, table: Encoded) -> str:
    """Return the sums of the levels' own coefficients.

    A row has one level a column: its coefficients are looked up.
    """
    codes = graph.take(table.codes(graph), one_hot.columns, 1)
    places = laid_out(graph, codes, one_hot.cardinalities)
    looked_up = graph.op("Gather", graph.const(coefficients[one_hot.indicators]), places, axis=0)
    return graph.reduced("ReduceSum", looked_up, 1)
