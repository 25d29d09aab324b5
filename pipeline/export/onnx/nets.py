"""Neural nets in a graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stacktune.export.onnx.encodings import Encoded, squashed
from stacktune.export.onnx.graph import Graph
from stacktune.export.onnx.outputs import unscaled
from stacktune.families.nets.architecture import COLUMNS, Layer, unread
from stacktune.families.nets.inputs import SMOOTH_CLIP, Encoder
from stacktune.families.nets.layers import weight_name
from stacktune.families.nets.net import Shape
from stacktune.families.nets.predictor import NetPredictor, Outputs, load_predictor
from stacktune.objectives import LOG_LINK, kind_of

Arrays = dict[str, np.ndarray]
_ACTIVATIONS = {"relu": "Relu", "selu": "Selu"}


def net_form(graph: Graph, folder: Path, table: Encoded) -> str:
    """Return the predictions of a net."""
    net = load_predictor(folder)
    weights = {name: weight.numpy() for name, weight in net.weights.items()}
    columns = _embedded(graph, net, weights, table)
    k, n_inputs = net.shape.k, net.shape.n_inputs
    adapter = graph.const(weights["adapter.weight"][:, None, :])
    columns = graph.shaped(graph.op("Mul", graph.op("Unsqueeze", columns, graph.const([0])), adapter), -1, n_inputs)
    h = _run_layers(graph, net.shape.layers, weights, columns, n_inputs)
    n_joined = weights["head.weight"].shape[1]
    h = graph.shaped(h, k, -1, n_joined)
    outputs = graph.op("MatMul", h, graph.const(weights["head.weight"]))
    outputs = graph.op("Add", outputs, graph.const(weights["head.bias"]))
    return _predictions(graph, net.outputs, graph.cast(outputs, np.float64))


def _embedded(graph: Graph, net: NetPredictor, weights: Arrays, table: Encoded) -> str:
    """Return (rows, n_inputs) float32, as `_embed` does."""
    encoder, shape = net.encoder, net.shape
    scaled = _scaled(graph, encoder, table)
    codes = graph.op("Add", table.codes(graph), graph.const(np.float32(1)))
    codes = graph.cast(graph.where(graph.op("IsNaN", codes), graph.const(np.float32(0)), codes), np.int64)
    parts = _plain(graph, encoder, table, scaled, codes)
    if shape.n_curved:
        curved = scaled if encoder.is_curved.all() else graph.take(scaled, np.flatnonzero(encoder.is_curved), 1)
        parts += [curved, *_curves(graph, shape, weights, curved)]
    if shape.n_embedded:
        places = graph.op("Add", graph.take(codes, encoder.embedded, 1), graph.const(encoder.map_starts[None]))
        levels = graph.op("Gather", graph.const(encoder.level_map), places, axis=0)
        embedded = graph.op("Gather", graph.const(weights["level.weight"]), levels, axis=0)
        parts.append(graph.shaped(embedded, -1, shape.n_embedded * weights["level.weight"].shape[1]))
    return graph.join(parts, 1)


def _scaled(graph: Graph, encoder: Encoder, table: Encoded) -> str:
    numbers = graph.cast(graph.take(table.features, encoder.numbers, 1), np.float64)
    z = graph.op("Mul", graph.op("Sub", numbers, graph.const(encoder.centre[None])), graph.const(encoder.scale[None]))
    scaled = graph.cast(squashed(graph, z, SMOOTH_CLIP), np.float32)
    return graph.where(graph.op("IsNaN", scaled), graph.const(np.float32(0)), scaled)


def _plain(graph: Graph, encoder: Encoder, table: Encoded, scaled: str, codes: str) -> list[str]:
    parts = [graph.take(scaled, np.flatnonzero(~encoder.is_curved), 1)]
    flags = graph.op("IsNaN", graph.take(table.features, encoder.flagged, 1))
    parts.append(graph.cast(flags, np.float32))
    column, level = encoder.one_hot.T
    is_level = graph.op("Equal", graph.take(codes, column, 1), graph.const(level[None] + 1, np.int64))
    return [*parts, graph.cast(is_level, np.float32)]


def _curves(graph: Graph, shape: Shape, weights: Arrays, curved: str) -> list[str]:
    """Return the waves and pieces of each curved number."""
    numbers = graph.op("Unsqueeze", graph.op("Transpose", curved, perm=[1, 0]), graph.const([2]))
    frequency = graph.const(weights["frequency.weight"] * np.float32(math.tau))
    angles = graph.op("Add", graph.op("Mul", numbers, frequency), graph.const(weights["frequency.bias"]))
    waves = graph.op("MatMul", graph.op("Cos", angles), graph.const(weights["wave.weight"]))
    waves = graph.op("Add", waves, graph.const(weights["wave.bias"]))
    filled = graph.op("Sub", numbers, graph.const(weights["piece.start"]))
    filled = graph.op("Mul", filled, graph.const(weights["piece.slope"]))
    filled = graph.op("Clip", filled, graph.const(np.float32(0)), graph.const(np.float32(1)))
    pieces = graph.op("MatMul", filled, graph.const(weights["piece.weight"]))
    return [
        graph.shaped(graph.op("Transpose", each, perm=[1, 0, 2]), -1, shape.n_curved * width)
        for each, width in ((waves, weights["wave.weight"].shape[2]), (pieces, weights["piece.weight"].shape[2]))
    ]


def _run_layers(graph: Graph, layers: Sequence[Layer], weights: Arrays, columns: str, n_inputs: int) -> str:
    outputs = {COLUMNS: columns}
    for place, layer in enumerate(layers):
        h = graph.join([outputs[source] for source in layer.reads], 1)
        named = _Named(graph, weights, weight_name(layers, place, n_inputs))
        outputs[place + 1] = _run(graph, layer, named, h, columns)
    return graph.join([outputs[number] for number in unread(layers)], 1)


class _Named:
    """One layer's weights as constants of a graph."""

    def __init__(self, graph: Graph, weights: Arrays, name: str):
        self.graph, self.weights, self.name = graph, weights, name

    def linear(self, h: str, part: str = "") -> str:
        prefix = f"{self.name}.{part}." if part else f"{self.name}."
        h = self.graph.op("MatMul", h, self.graph.const(self.weights[f"{prefix}weight"].T))
        bias = self.weights.get(f"{prefix}bias")
        return h if bias is None else self.graph.op("Add", h, self.graph.const(bias))

    def projected(self, h: str) -> str:
        return self.linear(h, "project") if f"{self.name}.project.weight" in self.weights else h


def _run(graph: Graph, layer: Layer, named: _Named, h: str, columns: str) -> str:
    """Return a layer's outputs, as `layers.run_layers` does."""
    add, mul = (lambda a, b: graph.op("Add", a, b)), (lambda a, b: graph.op("Mul", a, b))
    if layer.kind == "glu":
        both = named.linear(h)
        value, gate = (graph.take(both, np.arange(layer.width) + start, 1) for start in (0, layer.width))
        h = mul(value, _activated(graph, layer, gate))
    elif layer.kind == "residual":
        h = named.projected(h)
        h = add(h, named.linear(_activated(graph, layer, named.linear(h, "inner"))))
    elif layer.kind == "attention":
        heed = named.linear(_activated(graph, layer, named.linear(h, "squeeze")), "excite")
        heed = mul(graph.op("Sigmoid", heed), graph.const(np.float32(2)))
        h = named.linear(mul(h, heed))
    elif layer.kind == "cross":
        h = named.projected(h)
        h = add(h, mul(named.linear(columns, "columns"), named.linear(h)))
    else:
        h = named.linear(h)
    scale = named.weights.get(f"bend.{named.name}.scale")
    if scale is not None:
        h = graph.op("LayerNormalization", h, graph.const(scale), axis=1, epsilon=1e-5)
    bend = graph.const(named.weights[f"bend.{named.name}.weight"])
    return add(h, mul(graph.op("Sub", _activated(graph, layer, h), h), bend))


def _activated(graph: Graph, layer: Layer, h: str) -> str:
    if layer.activation == "silu":
        return graph.op("Mul", h, graph.op("Sigmoid", h))
    return graph.op(_ACTIVATIONS[layer.activation], h)


def _predictions(graph: Graph, outputs: Outputs, raw: str) -> str:
    """Return what `Outputs` makes of (k, rows, n_outputs)."""
    if outputs.is_classification:
        means = graph.reduced("ReduceMean", graph.op("Softmax", raw, axis=2), 0)
        return graph.op("Div", means, graph.reduced("ReduceSum", means, 1, keepdims=True))
    values = graph.reduced("ReduceMean", raw, 0)
    if kind_of(outputs.loss) in LOG_LINK:
        values = graph.op("Exp", graph.op("Min", values, graph.const(math.log(outputs.high / outputs.scale))))
    values = graph.op("Mul", values, graph.const(float(outputs.scale)))
    values = graph.op("Add", values, graph.const(float(outputs.centre)))
    values = graph.op("Clip", values, graph.const(float(outputs.low)), graph.const(float(outputs.high)))
    return unscaled(graph, values, outputs.loss, outputs.unit)
