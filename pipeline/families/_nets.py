"""The net itself, as functions of named weights: embeddings, k members that share their layers, one head a member.

Numbers are embedded as in RealMLP (Holzmüller et al. 2024, "Better by default", PBLD), the members are those of
TabM-mini (Gorishniy et al. 2025): each member scales the inputs by its own adapter and has its own head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.families._net_inputs import Inputs

if TYPE_CHECKING:
    import torch

    Weights = dict[str, torch.Tensor]

N_FREQUENCIES = 16  # PBLD's hidden size (RealMLP-TD)
N_PER_NUMBER = 4  # PBLD's output size, the number itself included (RealMLP-TD)


@dataclass(frozen=True)
class Shape:
    """What fixes the sizes of a net's weights and how they are used.

    n_plain, n_curved, n_embedded, n_levels: the encoder's sizes. k: members. d_embedding: width of a level's embedding.
    activation: "selu" or "silu". plr_sigma: standard deviation of the first frequencies.
    """

    n_plain: int
    n_curved: int
    n_embedded: int
    n_levels: int
    n_outputs: int
    width: int
    n_layers: int
    k: int
    activation: str
    plr_sigma: float
    d_embedding: int = 8

    @property
    def n_inputs(self) -> int:
        return self.n_plain + N_PER_NUMBER * self.n_curved + self.d_embedding * self.n_embedded


def initial_weights(shape: Shape, generator: torch.Generator) -> Weights:
    """Return float32 CPU weights drawn from `generator`; heads begin at 0, so that a net begins at its biases."""
    import torch

    def normal(*size: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(*size, generator=generator) * scale

    weights = {
        "frequency.weight": normal(shape.n_curved, 1, N_FREQUENCIES, scale=shape.plr_sigma),
        "frequency.bias": (torch.rand(shape.n_curved, 1, N_FREQUENCIES, generator=generator) * 2 - 1) * math.pi,
        "number.weight": normal(shape.n_curved, N_FREQUENCIES, N_PER_NUMBER - 1, scale=N_FREQUENCIES**-0.5),
        "number.bias": torch.zeros(shape.n_curved, 1, N_PER_NUMBER - 1),
        "level.weight": normal(shape.n_levels, shape.d_embedding, scale=0.5),
        "adapter.weight": torch.ones(1, shape.n_inputs) if shape.k == 1 else normal(shape.k, shape.n_inputs),
        "head.weight": torch.zeros(shape.k, shape.width, shape.n_outputs),
        "head.bias": torch.zeros(shape.k, 1, shape.n_outputs),
    }
    n_inputs = max(shape.n_inputs, 1)
    for layer in range(shape.n_layers):
        weights[f"layer{layer}.weight"] = normal(shape.width, n_inputs, scale=n_inputs**-0.5)
        weights[f"layer{layer}.bias"] = normal(shape.width, scale=0.1)
        weights[f"bend{layer}.weight"] = torch.ones(shape.width)
        n_inputs = shape.width
    return weights


def learning_factor(name: str, weight: torch.Tensor) -> float:
    """Return what the learning rate of a weight is multiplied by.

    RealMLP's neural-tangent parametrisation is spelt as a factor of one over the root of the inputs; its factors for
    the scaling layer (6), biases, activations and numerical embeddings (0.1) are its tuned defaults.
    """
    if name.startswith("adapter"):
        return 6.0
    if name.startswith(("frequency", "number", "bend")) or name.endswith("bias"):
        return 0.1
    if name.startswith(("layer", "head")):
        n_inputs = weight.shape[1]
        return n_inputs**-0.5
    return 1.0


def decays(name: str) -> bool:
    """Whether weight decay pulls on a weight: all but biases and activations."""
    return name.endswith(".weight") and not name.startswith("bend")


def forward(shape: Shape, weights: Weights, inputs: Inputs, drop: Dropout | None = None) -> torch.Tensor:
    """Return (n_rows, k, n_outputs) float32 outputs."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    adapter = weights["adapter.weight"]
    h = (_embed(shape, weights, inputs).unsqueeze(0) * adapter.unsqueeze(1)).flatten(0, 1)
    bend = F.selu if shape.activation == "selu" else F.silu
    for layer in range(shape.n_layers):
        h = F.linear(h, weights[f"layer{layer}.weight"], weights[f"layer{layer}.bias"])
        h = torch.lerp(h, bend(h), weights[f"bend{layer}.weight"])
        if drop is not None:
            h = drop(h)
    h = h.view(shape.k, len(inputs), shape.width)
    return torch.baddbmm(weights["head.bias"], h, weights["head.weight"]).transpose(0, 1)


def _embed(shape: Shape, weights: Weights, inputs: Inputs) -> torch.Tensor:
    """Return (n_rows, n_inputs): plain inputs, embedded numbers, embedded levels."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    parts = [inputs.plain]
    if shape.n_curved:
        numbers = inputs.curved.t().unsqueeze(2)
        waves = torch.cos(
            torch.addcmul(weights["frequency.bias"], numbers, weights["frequency.weight"], value=math.tau)
        )
        bent = torch.baddbmm(weights["number.bias"], waves, weights["number.weight"])
        parts += [inputs.curved, bent.transpose(0, 1).flatten(1)]
    if shape.n_embedded:
        parts.append(F.embedding(inputs.levels, weights["level.weight"]).flatten(1))
    return torch.cat(parts, dim=1)


class Dropout:
    """Dropout from a generator of one's own, its rate rounded to 1/256.

    One random byte decides on one unit: eight times as fast as torch's dropout, which draws a number for each.
    """

    def __init__(self, rate: float, generator: torch.Generator):
        self._n_dropped = round(256 * rate)
        self._generator = generator

    def __call__(self, h: torch.Tensor) -> torch.Tensor:
        import torch

        if self._n_dropped == 0:
            return h
        words = torch.empty((h.numel() + 7) // 8, dtype=torch.int64, device=h.device)
        words.random_(-(2**63), None, generator=self._generator)
        kept = words.view(torch.uint8)[: h.numel()].view_as(h) >= self._n_dropped
        return h * kept.to(h.dtype).mul_(256 / (256 - self._n_dropped))
