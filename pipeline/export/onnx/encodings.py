"""Families' encodings of columns, in a graph.

Codes become levels, means of the target and pairs of levels; numbers are scaled; levels that no training row has are
asked about in others' stead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stacktune.export.onnx.graph import ML, Graph
from stacktune.families._class_weights import CLASS_WEIGHTS_FILE, ClassWeights
from stacktune.families._cross import MANY_LEVELS, CrossedMeans, Crossing
from stacktune.families._encode import N_OTHER, TargetEncoding, read_parts
from stacktune.families._scale import SQUASHED_BEYOND, Scaling
from stacktune.families._unseen import N_DRAWN, UNSEEN_FILE, KnownLevels


@dataclass(frozen=True)
class Encoded:
    """A table in a graph, see Table.

    features: (rows, n_features) float32.
    """

    features: str
    n_numeric: int
    cardinalities: tuple[int, ...]

    def numeric(self, graph: Graph) -> str:
        """Return (rows, n_numeric) float32."""
        return graph.take(self.features, np.arange(self.n_numeric), 1)

    def codes(self, graph: Graph) -> str:
        """Return (rows, n_categorical) float32."""
        return graph.take(self.features, self.n_numeric + np.arange(len(self.cardinalities)), 1)


Predict = Callable[[Encoded], str]


def with_wrappers(graph: Graph, folder: Path, table: Encoded, predict: Predict) -> str:
    """Return a fold model's (rows, n_outputs) float64.

    predict: of the family's own model in `folder`; unseen levels and class weights are seen to here.
    """
    levels = read_parts(folder / UNSEEN_FILE, {"levels": KnownLevels})["levels"]
    if not len(levels.columns):
        return _weighed(graph, folder, predict(table))
    asked, strange = _filled(graph, levels, table)
    answers = _weighed(graph, folder, predict(asked))
    return _averaged(graph, answers, graph.n_rows(table.features), strange)


def _weighed(graph: Graph, folder: Path, prediction: str) -> str:
    """Return what `ClassWeights.corrected` does, where classes weighed."""
    if not (folder / CLASS_WEIGHTS_FILE).exists():
        return prediction
    factors = read_parts(folder / CLASS_WEIGHTS_FILE, {"class_weights": ClassWeights})["class_weights"].factors
    shares = graph.op("Div", prediction, graph.const(factors))
    total = graph.reduced("ReduceSum", shares, 1, keepdims=True)
    is_any = graph.op("Greater", total, graph.const(0.0))
    return graph.where(is_any, graph.op("Div", shares, total), prediction)


def _filled(graph: Graph, levels: KnownLevels, table: Encoded) -> tuple[Encoded, str]:
    """Return the rows to ask about.

    Which of them had unseen levels comes second.

    They are all rows with the first level drawn in place of unseen ones, then N_DRAWN - 1 copies of the rows that had
    any, with the others. The latter rows' positions are (n_strange,) int64.
    """
    places = table.n_numeric + levels.columns
    others = np.setdiff1d(np.arange(table.n_numeric + len(table.cardinalities)), places)
    order = np.argsort(np.concatenate([others, places]), kind="stable")
    chosen, rest = graph.take(table.features, places, 1), graph.take(table.features, others, 1)
    known = graph.op("Gather", graph.const(levels.known), laid_out(graph, chosen, levels.cardinalities), axis=0)
    unseen = graph.op("Not", known)
    first = graph.where(unseen, graph.const(levels.drawn[:1]), chosen)
    usual = graph.take(graph.join([rest, first], 1), order, 1)
    n_unseen = graph.reduced("ReduceSum", graph.cast(unseen, np.int64), 1)
    strange = graph.shaped(graph.op("NonZero", n_unseen), -1)
    chosen, rest, unseen = (graph.op("Gather", each, strange, axis=0) for each in (chosen, rest, unseen))
    copies = []
    for drawn in levels.drawn[1:]:
        filled = graph.where(unseen, graph.const(drawn[None]), chosen)
        copies.append(graph.take(graph.join([rest, filled], 1), order, 1))
    return replace(table, features=graph.join([usual, *copies], 0)), strange


def _averaged(graph: Graph, answers: str, n_rows: str, strange: str) -> str:
    """Return one answer for each row.

    Those of unseen levels are means.
    """
    end = graph.const([np.iinfo(np.int64).max])
    usual = graph.slice(answers, graph.const([0]), n_rows, 0)
    copies = graph.slice(answers, n_rows, end, 0)
    n_strange = graph.op("Shape", strange)
    width = graph.op("Shape", answers, start=1, end=2)
    shape = graph.join([graph.const([N_DRAWN - 1]), n_strange, width], 0)
    total = graph.reduced("ReduceSum", graph.op("Reshape", copies, shape, allowzero=1), 0)
    total = graph.op("Add", total, graph.op("Gather", usual, strange, axis=0))
    mean = graph.op("Div", total, graph.const(float(N_DRAWN)))
    return graph.op("ScatterND", usual, graph.shaped(strange, -1, 1), mean)


def laid_out(graph: Graph, codes: str, cardinalities: np.ndarray) -> str:
    """Return (rows, n_columns) int64 levels, as `lay_out` does."""
    missing = graph.const(cardinalities.astype(np.float32)[None] + np.float32(1))
    levels = graph.cast(graph.where(graph.op("IsNaN", codes), missing, codes), np.int64)
    n_levels = cardinalities + N_OTHER
    return graph.op("Add", levels, graph.const((np.cumsum(n_levels) - n_levels)[None], np.int64))


def encoded_means(graph: Graph, encoding: TargetEncoding, codes: str) -> str:
    """Return (rows, n_means) float32, as `TargetEncoding.transform` does."""
    places = laid_out(graph, graph.take(codes, encoding.columns, 1), encoding.cardinalities)
    n_columns, n_signals = len(encoding.columns), encoding.means.shape[1]
    means = graph.op("Gather", graph.const(encoding.means.astype(np.float32)), places, axis=0)
    counts = graph.op("Gather", graph.const(np.log1p(encoding.counts).astype(np.float32)), places, axis=0)
    return graph.join([graph.shaped(means, -1, n_columns * n_signals), counts], 1)


def crossed(graph: Graph, crossing: Crossing, table: Encoded) -> Encoded:
    """Return the table plus a column for each pair.

    It is what `Crossing.apply` does.
    """
    if not len(crossing.pairs):
        return table
    codes, count = table.codes(graph), np.array(table.cardinalities, dtype=np.int64)
    levels = graph.where(graph.op("IsNaN", codes), graph.const(count.astype(np.float32)[None] + np.float32(1)), codes)
    levels = graph.cast(levels, np.int64)
    ends = np.cumsum(crossing.sizes)
    parts = []
    for pair, stride, size, end in zip(crossing.pairs, crossing.strides, crossing.sizes, ends, strict=True):
        first, second = (graph.take(levels, [column], 1) for column in pair)
        key = graph.op("Add", graph.op("Mul", first, graph.const(stride, np.int64)), second)
        parts.append(_position(graph, crossing.keys[end - size : end], key))
    return Encoded(
        graph.join([table.features, *parts], 1),
        table.n_numeric,
        (*table.cardinalities, *map(int, crossing.sizes)),
    )


def _position(graph: Graph, known: np.ndarray, key: str) -> str:
    n_known = float(len(known))
    if not len(known):
        return graph.cast(graph.op("Mul", key, graph.const(0, np.int64)), np.float32)
    return graph.op(
        "LabelEncoder",
        key,
        domain=ML,
        keys_int64s=known.tolist(),
        values_floats=np.arange(n_known).tolist(),
        default_float=n_known,
    )


def with_crossed_means(graph: Graph, means: CrossedMeans | None, table: Encoded) -> Encoded:
    """Return the table as `CrossedMeans.apply` does."""
    if means is None:
        return table
    both = crossed(graph, means.crossing, table)
    few = np.flatnonzero(np.array(table.cardinalities) <= MANY_LEVELS)
    encoded = encoded_means(graph, means.encoding, both.codes(graph))
    parts = [table.numeric(graph), encoded, graph.take(table.codes(graph), few, 1)]
    kept = tuple(table.cardinalities[column] for column in few)
    return Encoded(graph.join(parts, 1), table.n_numeric + means.encoding.n_features, kept)


def scaled(graph: Graph, scaling: Scaling, numeric: str) -> str:
    """Return (rows, n_columns) float32, as `Scaling.transform` does."""
    missing = graph.op("IsNaN", numeric)
    middle = scaling.knots[len(scaling.knots) // 2][None]
    filled = graph.where(missing, graph.const(middle), graph.cast(numeric, np.float64))
    shaped = _pieces(graph, scaling, filled) if str(scaling.how) == "piecewise" else _squashed(graph, scaling, filled)
    flags = graph.cast(graph.take(graph.cast(missing, np.int64), scaling.gappy, 1), np.float32)
    return graph.join([graph.cast(shaped, np.float32), flags], 1)


def _squashed(graph: Graph, scaling: Scaling, filled: str) -> str:
    knots = scaling.knots
    quartiles, ends = knots[3] - knots[1], knots[4] - knots[0]
    spread = np.where(quartiles > 0, quartiles / 1.349, np.where(ends > 0, ends / 4, 1.0))
    z = graph.op("Div", graph.op("Sub", filled, graph.const(knots[2][None])), graph.const(spread[None]))
    return squashed(graph, z, SQUASHED_BEYOND)


def squashed(graph: Graph, z: str, beyond: float) -> str:
    """Return z / sqrt(1 + (z / beyond)²)."""
    part = graph.op("Div", z, graph.const(beyond))
    root = graph.op("Sqrt", graph.op("Add", graph.op("Mul", part, part), graph.const(1.0)))
    return graph.op("Div", z, root)


def _pieces(graph: Graph, scaling: Scaling, filled: str) -> str:
    index, column = np.divmod(scaling.gaps, scaling.knots.shape[1])
    low, high = scaling.knots[index, column][None], scaling.knots[index + 1, column][None]
    share = graph.op("Sub", graph.take(filled, column, 1), graph.const(low))
    share = graph.op("Div", share, graph.const(high - low))
    return graph.op("Clip", share, graph.const(0.0), graph.const(1.0))
