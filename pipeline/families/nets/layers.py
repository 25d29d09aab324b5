"""The layers of a net, as functions of weights.

They say how each kind of layer begins, and what it does with what it reads.

A layer's weights are named by its place, its kind and the widths of what it reads, so that two nets have a weight of
the same name and shape where a layer of theirs does the same work: that is what a child can inherit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from stacktune.families.nets.architecture import COLUMNS, Layer, unread, widths

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]
    Drop = Callable[[torch.Tensor], torch.Tensor]

# Squeeze and excitation squeezes to a sixteenth (Hu et al. 2018, section 6.4.1); inputs here are few.
SQUEEZE, MIN_SQUEEZED = 8, 8
# Kinds that bend by themselves begin with straight outputs, which they may learn to bend.
BENDING = ("dense", "attention")


def layer_weights(layers: Sequence[Layer], n_inputs: int, generator: torch.Generator) -> Weights:
    """Draw the first weights of all layers.

    They are drawn from `generator`, as float32 on the CPU.
    """
    import torch

    weights: Weights = {}
    for place, layer in enumerate(layers):
        name = weight_name(layers, place, n_inputs)
        for part, size in _sizes(layer, _n_read(layers, place, n_inputs), n_inputs).items():
            deviation = size[1] ** -0.5 if len(size) == 2 and size[1] else 0.1
            weights[f"{name}.{part}"] = torch.randn(*size, generator=generator) * deviation
        weights[f"bend.{name}.weight"] = torch.full((layer.width,), float(layer.kind in BENDING))
        if layer.norm == "layer":
            weights[f"bend.{name}.scale"] = torch.ones(layer.width)
    return weights


def weight_name(layers: Sequence[Layer], place: int, n_inputs: int) -> str:
    """Return the beginning of a layer's weights' names."""
    layer, wide = layers[place], widths(layers, n_inputs)
    read = "+".join(f"{source}x{wide[source]}" for source in layer.reads)
    return f"layer{place}.{layer.kind}.{read}"


def _n_read(layers: Sequence[Layer], place: int, n_inputs: int) -> int:
    wide = widths(layers, n_inputs)
    return sum(wide[source] for source in layers[place].reads)


def _sizes(layer: Layer, n_read: int, n_columns: int) -> dict[str, tuple[int, ...]]:
    """Return the size of each weight of a layer.

    The layer reads `n_read` numbers; matrices are (n_out, n_in).
    """
    width = layer.width
    project = {} if n_read == width else {"project.weight": (width, n_read)}
    if layer.kind == "glu":
        return {"weight": (2 * width, n_read), "bias": (2 * width,)}
    if layer.kind == "residual":
        return project | {"inner.weight": (width, width), "inner.bias": (width,), "weight": (width, width)}
    if layer.kind == "attention":
        squeezed = max(MIN_SQUEEZED, n_read // SQUEEZE)
        squeeze = {"squeeze.weight": (squeezed, n_read), "excite.weight": (n_read, squeezed)}
        return squeeze | {"weight": (width, n_read), "bias": (width,)}
    if layer.kind == "cross":
        columns = {"columns.weight": (width, n_columns)}
        return project | columns | {"weight": (width, width), "bias": (width,)}
    return {"weight": (width, n_read), "bias": (width,)}


def n_multiplications(layers: Sequence[Layer], n_inputs: int) -> int:
    """Count the multiplications that the layers take a row.

    They are those of the layers' matrices, for one member.
    """
    sizes = [_sizes(layer, _n_read(layers, place, n_inputs), n_inputs) for place, layer in enumerate(layers)]
    return sum(size[0] * size[1] for parts in sizes for size in parts.values() if len(size) == 2)


def n_joined(layers: Sequence[Layer]) -> int:
    """Return how many numbers the heads see."""
    return sum(layers[number - 1].width for number in unread(layers))


def run_layers(layers: Sequence[Layer], weights: Weights, columns: torch.Tensor, drops: Sequence[Drop]) -> torch.Tensor:
    """Run the layers and return what none reads.

    The columns are (n, n_inputs), and what no layer reads is (n, n_joined).

    drops: one for each layer, or none.
    """
    outputs = {COLUMNS: columns}
    for place, layer in enumerate(layers):
        name = weight_name(layers, place, columns.shape[1])
        h = _run(layer, _Named(weights, name), _join([outputs[source] for source in layer.reads]), columns)
        outputs[place + 1] = drops[place](h) if drops else h
    return _join([outputs[number] for number in unread(layers)])


def _join(parts: list[torch.Tensor]) -> torch.Tensor:
    import torch

    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class _Named:
    """One layer's weights by the names of `_sizes`."""

    def __init__(self, weights: Mapping[str, torch.Tensor], name: str):
        self._weights, self._name = weights, name

    @property
    def bend(self) -> torch.Tensor:
        return self._weights[f"bend.{self._name}.weight"]

    @property
    def scale(self) -> torch.Tensor | None:
        """Return the scale of a layer that is normed."""
        return self._weights.get(f"bend.{self._name}.scale")

    def linear(self, h: torch.Tensor, part: str = "") -> torch.Tensor:
        import torch.nn.functional as F  # noqa: N812

        prefix = f"{self._name}.{part}." if part else f"{self._name}."
        return F.linear(h, self._weights[f"{prefix}weight"], self._weights.get(f"{prefix}bias"))

    def projected(self, h: torch.Tensor) -> torch.Tensor:
        """Return `h` at the layer's width."""
        return self.linear(h, "project") if f"{self._name}.project.weight" in self._weights else h


def _run(layer: Layer, named: _Named, h: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return a layer's (n, width) from (n, n_read) `h`.

    `h` is what the layer reads.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    activate = {"relu": F.relu, "silu": F.silu, "selu": F.selu}[layer.activation]
    if layer.kind == "glu":
        value, gate = named.linear(h).chunk(2, dim=1)
        h = value * activate(gate)
    elif layer.kind == "residual":
        h = named.projected(h)
        h = h + named.linear(activate(named.linear(h, "inner")))
    elif layer.kind == "attention":
        heed = 2 * torch.sigmoid(named.linear(activate(named.linear(h, "squeeze")), "excite"))
        h = named.linear(h * heed)
    elif layer.kind == "cross":
        h = named.projected(h)
        h = h + named.linear(columns, "columns") * named.linear(h)
    else:
        h = named.linear(h)
    scale = named.scale
    if scale is not None:
        h = F.layer_norm(h, (layer.width,), scale)
    return torch.lerp(h, activate(h), named.bend)
