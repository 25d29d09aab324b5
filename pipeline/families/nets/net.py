"""The net itself, as functions of named weights.

It has embeddings, k members that share their layers, and one head a member.

Each number enters as itself, as learnt waves (PBLD of RealMLP, Holzmüller et al. 2024, "Better by default") and as
learnt pieces between its knots (PLE of Gorishniy et al. 2022, "On embeddings for numerical features"). The members are
those of TabM-mini (Gorishniy et al. 2025): each scales the inputs by its own adapter and has its own head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacktune.families.nets.architecture import Layer
from stacktune.families.nets.inputs import Inputs
from stacktune.families.nets.layers import layer_weights, n_joined, run_layers

if TYPE_CHECKING:
    import numpy as np
    import torch

    Weights = dict[str, torch.Tensor]

N_FREQUENCIES = 16  # PBLD's hidden size (RealMLP-TD)
N_WAVES = 3  # PBLD's output size without the number itself (RealMLP-TD)
N_PIECES = 8  # what a number's pieces are embedded into; 16 scored .9293 on adult, 8 .9291 (one fold, one seed)
D_LEVEL = 8  # width of a level's embedding (RealMLP-TD)
FROZEN = ("piece.start", "piece.slope")


@dataclass(frozen=True)
class Shape:
    """The sizes of a net's weights, and their use.

    n_plain, n_curved, n_embedded, n_levels: the encoder's sizes. k: members.
    plr_sigma: standard deviation of the first frequencies. n_bins: pieces of a number, a divisor of N_KNOTS.
    """

    n_plain: int
    n_curved: int
    n_embedded: int
    n_levels: int
    n_outputs: int
    k: int
    plr_sigma: float
    n_bins: int
    layers: tuple[Layer, ...]

    @property
    def n_inputs(self) -> int:
        return n_inputs(self.n_plain, self.n_curved, self.n_embedded)


def n_inputs(n_plain: int, n_curved: int, n_embedded: int) -> int:
    """Return how many numbers the columns are embedded into."""
    return n_plain + (1 + N_WAVES + N_PIECES) * n_curved + D_LEVEL * n_embedded


def initial_weights(shape: Shape, knots: np.ndarray, generator: torch.Generator) -> Weights:
    """Return float32 CPU weights drawn from `generator`.

    Heads begin at 0, so that a net begins at its biases.

    knots: (n_curved, N_KNOTS + 1) of the encoder.
    """
    import torch

    weights = _number_weights(shape, knots, generator)
    weights["level.weight"] = _normal(generator, 0.1, shape.n_levels, D_LEVEL)
    weights["adapter.weight"] = torch.ones(1, shape.n_inputs)
    if shape.k > 1:
        weights["adapter.weight"] = _normal(generator, 1.0, shape.k, shape.n_inputs)
    weights |= layer_weights(shape.layers, shape.n_inputs, generator)
    weights["head.weight"] = torch.zeros(shape.k, n_joined(shape.layers), shape.n_outputs)
    weights["head.bias"] = torch.zeros(shape.k, 1, shape.n_outputs)
    return weights


def _number_weights(shape: Shape, knots: np.ndarray, generator: torch.Generator) -> Weights:
    import torch

    n_curved, n_bins = shape.n_curved, shape.n_bins
    chosen = torch.from_numpy(knots)[:, :: (knots.shape[1] - 1) // n_bins]
    widths = chosen.diff(dim=1)
    return {
        "frequency.weight": _normal(generator, shape.plr_sigma, n_curved, 1, N_FREQUENCIES),
        "frequency.bias": (torch.rand(n_curved, 1, N_FREQUENCIES, generator=generator) * 2 - 1) * math.pi,
        "wave.weight": _normal(generator, N_FREQUENCIES**-0.5, n_curved, N_FREQUENCIES, N_WAVES),
        "wave.bias": torch.zeros(n_curved, 1, N_WAVES),
        "piece.start": chosen[:, None, :-1].contiguous(),
        "piece.slope": torch.where(widths > 0, 1 / widths.clamp(min=1e-12), 0.0)[:, None],
        "piece.weight": _normal(generator, n_bins**-0.5, n_curved, n_bins, N_PIECES),
    }


def _normal(generator: torch.Generator, deviation: float, *size: int) -> torch.Tensor:
    import torch

    return torch.randn(*size, generator=generator) * deviation


def learning_factor(name: str, weight: torch.Tensor) -> float:
    """Return the factor of a weight's learning rate.

    RealMLP's neural-tangent parametrisation is spelt as a factor of one over the root of the inputs; its factors for
    the scaling layer (6), biases, activations and waves (0.1) are its tuned defaults.
    """
    if name.startswith("adapter"):
        return 6.0
    if name.startswith(("frequency", "wave", "bend")) or name.endswith("bias"):
        return 0.1
    if name.startswith(("layer", "head")):
        n_inputs = weight.shape[1]
        return n_inputs**-0.5
    return 1.0


def decays(name: str) -> bool:
    """Return whether weight decay pulls on a weight.

    It pulls on all but biases and activations.
    """
    return name.endswith(".weight") and not name.startswith("bend")


def forward(shape: Shape, weights: Weights, inputs: Inputs, drops: Sequence[Dropout] = ()) -> torch.Tensor:
    """Return the net's outputs, (n_rows, k, n_outputs) float32.

    drops: one for each layer, or none.
    """
    import torch

    columns = (_embed(shape, weights, inputs).unsqueeze(0) * weights["adapter.weight"].unsqueeze(1)).flatten(0, 1)
    h = run_layers(shape.layers, weights, columns, drops)
    h = h.view(shape.k, len(inputs), h.shape[1])
    return torch.baddbmm(weights["head.bias"], h, weights["head.weight"]).transpose(0, 1)


def _embed(shape: Shape, weights: Weights, inputs: Inputs) -> torch.Tensor:
    """Return (n_rows, n_inputs): plain inputs, embedded numbers, embedded levels."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    parts = [inputs.plain]
    if shape.n_curved:
        numbers = inputs.curved.t().unsqueeze(2)
        angles = torch.addcmul(weights["frequency.bias"], numbers, weights["frequency.weight"], value=math.tau)
        waves = torch.baddbmm(weights["wave.bias"], torch.cos(angles), weights["wave.weight"])
        filled = ((numbers - weights["piece.start"]) * weights["piece.slope"]).clamp_(0, 1)
        pieces = torch.bmm(filled, weights["piece.weight"])
        parts += [inputs.curved, waves.transpose(0, 1).flatten(1), pieces.transpose(0, 1).flatten(1)]
    if shape.n_embedded:
        parts.append(F.embedding(inputs.levels, weights["level.weight"]).flatten(1))
    return torch.cat(parts, dim=1)


class Dropout:
    """Dropout from a generator of one's own.

    Its rate is rounded to 1/256. One random byte decides on one unit: three times as fast on a CPU as torch's, which
    draws a number for each.
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
