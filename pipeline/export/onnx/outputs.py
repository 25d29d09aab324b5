"""Models' numbers as predictions, in a graph."""

from __future__ import annotations

import numpy as np

from stacktune.data.table import BINARY, REGRESSION
from stacktune.export.onnx.graph import Graph
from stacktune.families._output import Output
from stacktune.families.losses import BELOW_ALL, LOGARITHMIC
from stacktune.objectives import LOG_LINK, SQUARED_LOG, kind_of


def of_margins(graph: Graph, output: Output, margins: str) -> str:
    """Return (rows, n_outputs) float64 predictions of sums of leaves.

    margins: (rows, 1) or (rows, n_classes) float64: log-odds, logarithms of odds, or values.
    """
    if output.kind == REGRESSION:
        return of_values(graph, output, responses(graph, output, margins))
    if output.kind == BINARY:
        chance = graph.op("Sigmoid", margins)
        return graph.join([graph.op("Sub", graph.const(1.0), chance), chance], 1)
    return graph.op("Softmax", margins, axis=1)


def responses(graph: Graph, output: Output, margins: str) -> str:
    """Return what `Output.response` does."""
    if kind_of(output.loss) not in LOG_LINK:
        return margins
    most = graph.const(float(np.log(output.high / output.spread)))
    return graph.op("Exp", graph.op("Min", margins, most))


def of_values(graph: Graph, output: Output, raw: str) -> str:
    """Return (rows, 1) float64 values, as `Output.prediction` does."""
    values = graph.op("Mul", raw, graph.const(float(output.spread)))
    values = graph.op("Add", values, graph.const(float(output.mean)))
    if output.loss in LOGARITHMIC or kind_of(output.loss) in LOG_LINK:
        values = graph.op("Clip", values, graph.const(float(output.low)), graph.const(float(output.high)))
    return unscaled(graph, values, output.loss, output.unit)


def unscaled(graph: Graph, values: str, loss: str, unit: float) -> str:
    """Return what `losses.unscaled` does."""
    if loss not in LOGARITHMIC:
        return values
    one = graph.const(1.0)
    if loss == SQUARED_LOG:
        return graph.op("Max", graph.op("Sub", graph.op("Exp", values), one), graph.const(float(BELOW_ALL)))
    size = graph.op("Sub", graph.op("Exp", graph.op("Abs", values)), one)
    return graph.op("Mul", graph.op("Mul", graph.op("Sign", values), size), graph.const(float(unit)))


def spread_over(graph: Graph, chances: str, classes: np.ndarray, n_outputs: int) -> str:
    """Return (rows, n_outputs) of chances of some classes.

    The others have 0.
    """
    if len(classes) == n_outputs:
        return chances
    return graph.op("MatMul", chances, graph.const(np.eye(n_outputs)[classes]))
