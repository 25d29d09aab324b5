"""The net that predicts.

It holds what it learnt about the columns, its weights, and how its outputs are read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stacktune.data.table import Table
from stacktune.families._checks import first_of, refuse
from stacktune.families.losses import LOGARITHMIC, unscaled
from stacktune.families.nets.architecture import Layer
from stacktune.families.nets.inputs import Encoder, Inputs
from stacktune.families.nets.layers import n_joined
from stacktune.families.nets.net import Shape, forward
from stacktune.objectives import LOG_LINK, SQUARED, kind_of

if TYPE_CHECKING:
    import torch

    from stacktune.families.nets.net import Weights

WEIGHTS = "weights.safetensors"
ROWS_AT_ONCE = 2048  # predicted together; their activations stay in a core's cache


@dataclass(frozen=True)
class Outputs:
    """How a net's outputs become predictions.

    They become probabilities, or values around `centre` within [low, high].

    loss, unit: on which scale these values are, see losses.py.
    """

    is_classification: bool
    centre: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0
    loss: str = SQUARED
    unit: float = 1.0

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Average the members' outputs into predictions.

        The outputs are (n_rows, k, n_outputs), the predictions are (n_rows, n_outputs) float64.
        """
        import torch

        outputs = outputs.double()
        if self.is_classification:
            means = outputs.softmax(dim=2).mean(dim=1)
            return means / means.sum(dim=1, keepdim=True)
        values = outputs.mean(dim=1)
        if kind_of(self.loss) in LOG_LINK:
            values = values.clamp(max=math.log(self.high / self.scale)).exp()
        values = (values * self.scale + self.centre).clamp(self.low, self.high)
        if self.loss not in LOGARITHMIC:
            return values
        return torch.from_numpy(unscaled(values.cpu().numpy(), self.loss, self.unit))


@dataclass(frozen=True)
class NetPredictor:
    """A fitted net."""

    encoder: Encoder
    shape: Shape
    weights: Weights
    outputs: Outputs

    def predict(self, table: Table) -> np.ndarray:
        return self.predict_inputs(self.encoder.encode(table))

    def predict_inputs(self, inputs: Inputs) -> np.ndarray:
        """Predict encoded rows, as (n_rows, n_outputs) float64."""
        import torch

        device = self.weights["head.bias"].device
        parts = [torch.empty(0, self.shape.n_outputs, dtype=torch.float64)]
        with torch.inference_mode():
            for start in range(0, len(inputs), ROWS_AT_ONCE):
                rows = inputs[start : start + ROWS_AT_ONCE].to(device)
                parts.append(self.outputs.predictions(forward(self.shape, self.weights, rows)).cpu())
            return torch.cat(parts).numpy()

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file as save_arrays
        from safetensors.torch import save_file as save_tensors

        arrays = {field.name: np.ascontiguousarray(getattr(self.encoder, field.name)) for field in fields(Encoder)}
        save_arrays(arrays, folder / "encoder.safetensors")
        weights = {name: weight.cpu().contiguous() for name, weight in self.weights.items()}
        save_tensors(weights, folder / WEIGHTS)
        described = {"shape": asdict(self.shape), "outputs": asdict(self.outputs)}
        (folder / "net.json").write_text(json.dumps(described, indent=1))


def load_predictor(folder: Path) -> NetPredictor:
    """Read what `NetPredictor.save` wrote.

    The net predicts on the CPU, with torch's own number of threads.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file as load_arrays
    from safetensors.torch import load_file as load_tensors

    try:
        described = json.loads((folder / "net.json").read_text())
        net = NetPredictor(
            encoder=Encoder(**load_arrays(folder / "encoder.safetensors")),
            shape=Shape(**{**described["shape"], "layers": _layers_from(described["shape"]["layers"])}),
            weights=load_tensors(folder / WEIGHTS),
            outputs=Outputs(**described["outputs"]),
        )
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise refuse(folder, f"it cannot be read ({error})") from None
    first_of(folder, _faults(net))
    return net


def _faults(net: NetPredictor) -> Iterator[str]:
    """Yield where weights, encoder and description disagree.

    Torch itself checks every index.
    """
    shape, encoder, weights = net.shape, net.encoder, net.weights
    for name in ("n_plain", "n_curved", "n_embedded", "n_levels"):
        if getattr(shape, name) != getattr(encoder, name):
            yield f"{name} is {getattr(shape, name)} of the net and {getattr(encoder, name)} of its columns"
    expected = {
        "adapter.weight": (shape.k, shape.n_inputs),
        "head.weight": (shape.k, n_joined(shape.layers), shape.n_outputs),
        "head.bias": (shape.k, 1, shape.n_outputs),
    }
    for name, size in expected.items():
        found = tuple(weights[name].shape) if name in weights else None
        if found != size:
            yield f"{name} has the shape {found} instead of {size}"


def _layers_from(stored: list[dict[str, Any]]) -> tuple[Layer, ...]:
    return tuple(Layer(**{**layer, "reads": tuple(layer["reads"])}) for layer in stored)
