"""An architecture of layers over the embedded columns.

Each layer is fed by the columns and earlier layers of its choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

COLUMNS = 0  # where a layer reads the embedded columns; layers count from 1
_LAYER = re.compile(r"([a-z]+)-(\d+)-([a-z]+)-([a-z]+)-([\d.]+)\(([x\d,]+)\)")


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    kind: "dense", "glu", "residual", "attention" or "cross", see `layers.py`. width: its outputs. dropout: a rate.
    activation: "relu", "silu" or "selu". norm: "none" or "layer". reads: what feeds it, rising, side by side: COLUMNS
    and numbers of earlier layers.
    """

    kind: str
    width: int
    activation: str
    norm: str
    dropout: float
    reads: tuple[int, ...]


def repaired(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return layers that make a net whatever was chosen.

    A layer that reads nothing reads the columns. The other repairs are part of how a net is built: what no layer reads
    is joined at the end (`unread`), and where unequal widths are to be added, a projection makes them equal. The rules
    are those of Zoph and Le (2017, section 3.3), who pad where we project.
    """
    return tuple(layer if layer.reads else replace(layer, reads=(COLUMNS,)) for layer in layers)


def unread(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return the numbers of layers that nothing later reads.

    Side by side, these layers are what the heads see.
    """
    read = {source for layer in layers for source in layer.reads}
    return tuple(number for number in range(1, len(layers) + 1) if number not in read)


def widths(layers: Sequence[Layer], n_inputs: int) -> tuple[int, ...]:
    """Return the widths of the columns and each layer.

    These are what can be read.
    """
    return (n_inputs, *(layer.width for layer in layers))


def to_line(layers: Sequence[Layer]) -> str:
    """Return the architecture on one line.

    It is written like "dense-128-silu-none-0.1(x) cross-64-relu-layer-0(x,1)".
    """
    return " ".join(
        f"{layer.kind}-{layer.width}-{layer.activation}-{layer.norm}-{layer.dropout:g}({_sources(layer)})"
        for layer in layers
    )


def _sources(layer: Layer) -> str:
    return ",".join("x" if source == COLUMNS else str(source) for source in layer.reads)


def from_line(line: str) -> tuple[Layer, ...]:
    """Return the layers that `to_line` wrote.

    Raises ValueError for what it never writes.
    """
    layers: list[Layer] = []
    for word in line.split():
        match = _LAYER.fullmatch(word)
        if match is None:
            raise ValueError(f"a layer is written like dense-128-silu-none-0.1(x), but got {word!r}")
        kind, width, activation, norm, dropout, sources = match.groups()
        reads = tuple(COLUMNS if source == "x" else int(source) for source in sources.split(","))
        if list(reads) != sorted(set(reads)) or reads[-1] > len(layers):
            raise ValueError(f"layer {len(layers) + 1} reads earlier layers in rising order, but got {word!r}")
        layers.append(Layer(kind, int(width), activation, norm, float(dropout), reads))
    if not layers:
        raise ValueError("an architecture has a layer at least")
    return tuple(layers)
