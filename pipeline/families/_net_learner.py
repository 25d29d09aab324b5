"""A net that grows by epochs, and the net that predicts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.table import Table, Task
from pipeline.families._net_inputs import Encoder, Inputs, fit_encoder
from pipeline.families._nets import Dropout, Shape, decays, forward, initial_weights, learning_factor
from pipeline.families.base import Config, Job
from pipeline.seeds import derive_seed

if TYPE_CHECKING:
    import torch

    from pipeline.families._nets import Weights

BETAS = (0.9, 0.95)  # RealMLP-TD: a short memory of squares
AVERAGE_OVER = 0.25  # share of an epoch over which the moving average of the weights forgets
ROWS_AT_ONCE = 2048  # predicted together; what stays in a core's cache


@dataclass(frozen=True)
class Outputs:
    """How a net's outputs become predictions: probabilities, or values around `centre` within [low, high]."""

    is_classification: bool
    centre: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0

    def predictions(self, outputs: torch.Tensor) -> torch.Tensor:
        """Turn (n_rows, k, n_outputs) into (n_rows, n_outputs) float64, the mean over the members."""
        outputs = outputs.double()
        if self.is_classification:
            means = outputs.softmax(dim=2).mean(dim=1)
            return means / means.sum(dim=1, keepdim=True)
        return (outputs.mean(dim=1) * self.scale + self.centre).clamp(self.low, self.high)


@dataclass(frozen=True)
class NetPredictor:
    """A fitted net: what it learnt about the columns, its shape, its weights and its outputs."""

    encoder: Encoder
    shape: Shape
    weights: Weights
    outputs: Outputs

    def predict(self, table: Table) -> np.ndarray:
        return self.predict_inputs(self.encoder.encode(table))

    def predict_inputs(self, inputs: Inputs) -> np.ndarray:
        """Return (n_rows, n_outputs) float64 for encoded rows."""
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

        save_arrays(
            {field.name: getattr(self.encoder, field.name) for field in fields(Encoder)}, folder / "encoder.safetensors"
        )
        save_tensors(
            {name: weight.cpu().contiguous() for name, weight in self.weights.items()}, folder / "weights.safetensors"
        )
        described = {"shape": asdict(self.shape), "outputs": asdict(self.outputs)}
        (folder / "net.json").write_text(json.dumps(described, indent=1))


def load_predictor(folder: Path) -> NetPredictor:
    """Read what `NetPredictor.save` wrote; the net predicts on the CPU, with torch's own number of threads."""
    from safetensors.numpy import load_file as load_arrays
    from safetensors.torch import load_file as load_tensors

    described = json.loads((folder / "net.json").read_text())
    return NetPredictor(
        encoder=Encoder(**load_arrays(folder / "encoder.safetensors")),
        shape=Shape(**described["shape"]),
        weights=load_tensors(folder / "weights.safetensors"),
        outputs=Outputs(**described["outputs"]),
    )


@dataclass(frozen=True)
class Part:
    """The rows of a job, encoded once: training inputs, targets and weights on the job's device, watched inputs.

    target: (n_rows,) int64 codes, or float32 standardised values. weight: (n_rows,) float32 with mean 1, or None.
    """

    encoder: Encoder
    outputs: Outputs
    train: Inputs
    target: torch.Tensor
    weight: torch.Tensor | None
    watched: Inputs


def make_part(job: Job) -> Part:
    """Fit the encoder on a job's training rows and encode these and the watched ones."""
    import torch

    train, device = job.table.take(job.rows), job.compute.device
    encoder, outputs = fit_encoder(train), _outputs_of(train, job.task)
    if job.task.is_classification:
        target = torch.from_numpy(train.target.astype(np.int64))
    else:
        target = torch.from_numpy(((train.target - outputs.centre) / outputs.scale).astype(np.float32))
    weight = None if train.weight is None else torch.from_numpy(train.weight / train.weight.mean()).to(device)
    watched = encoder.encode(job.table.take(job.watched))
    return Part(encoder, outputs, encoder.encode(train).to(device), target.to(device), weight, watched.to(device))


def _outputs_of(train: Table, task: Task) -> Outputs:
    if task.is_classification:
        return Outputs(is_classification=True)
    centre = float(np.average(train.target, weights=train.weight))
    deviation = float(np.sqrt(np.average((train.target - centre) ** 2, weights=train.weight)))
    return Outputs(False, centre, deviation or 1.0, float(train.target.min()), float(train.target.max()))


def _first_bias(part: Part, task: Task) -> torch.Tensor:
    """Return the (n_outputs,) outputs that predict the training rows best when nothing else is known."""
    import torch

    if not task.is_classification:
        return torch.zeros(1)
    shares = torch.bincount(part.target, weights=part.weight, minlength=task.n_outputs).float() + 1.0
    return (shares / shares.sum()).log().cpu()


class NetLearner:
    """A net in training, of the verbs of AdjustableLearner.

    Every epoch draws its order and its dropout from a seed of its own, so that nothing depends on how the epochs are
    told apart, and the global generator is left alone.
    """

    def __init__(self, job: Job, config: Config):
        import torch

        self.n_units = 0
        self._job, self._config, self._marked = job, dict(config), None
        with self._threads():
            part = job.cache.get(("mlp", job.part, job.compute.device), lambda: make_part(job))
            self._part, self._shape = part, _shape_of(part.encoder, job.task, config)
            generator = torch.Generator().manual_seed(derive_seed(job.seed, "mlp", "weights"))
            weights = initial_weights(self._shape, generator)
            weights["head.bias"] += _first_bias(part, job.task)
            self._weights = {name: w.to(job.compute.device).requires_grad_() for name, w in weights.items()}
            self._average = {name: w.detach().clone() for name, w in self._weights.items()}
            self._optimizer = _make_optimizer(self._weights)

    def advance(self, units: int) -> None:
        with self._threads():
            for _ in range(units):
                self._grow_one_epoch()
                self.n_units += 1

    def watch(self) -> np.ndarray:
        with self._threads():
            return self._predictor(self._average).predict_inputs(self._part.watched)

    def predict(self, table: Table) -> np.ndarray:
        with self._threads():
            return self._predictor(self._average).predict(table)

    def mark(self) -> None:
        self._marked = {name: weight.clone() for name, weight in self._average.items()}

    def rewind(self) -> None:
        if self._marked is not None:
            self._average = self._marked

    def save(self, folder: Path) -> None:
        self._predictor(self._average).save(folder)

    def adjust(self, config: Config) -> None:
        self._config = dict(config)

    def save_state(self, folder: Path) -> None:
        from safetensors.torch import save_file

        kept = {f"weights/{name}": w.detach() for name, w in self._weights.items()}
        kept |= {f"average/{name}": w for name, w in self._average.items()}
        for name, weight in self._weights.items():
            kept |= {f"{key}/{name}": value for key, value in self._optimizer.state.get(weight, {}).items()}
        save_file({name: tensor.cpu().contiguous() for name, tensor in kept.items()}, folder / "state.safetensors")
        (folder / "state.json").write_text(json.dumps({"n_units": self.n_units}))

    def load_state(self, folder: Path) -> None:
        import torch
        from safetensors.torch import load_file

        kept = load_file(folder / "state.safetensors")
        self.n_units, self._marked = json.loads((folder / "state.json").read_text())["n_units"], None
        self._optimizer.state.clear()
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(kept[f"weights/{name}"])
                self._average[name] = kept[f"average/{name}"].to(weight.device)
                moments = {key: kept.get(f"{key}/{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
                if moments["step"] is not None:
                    self._optimizer.state[weight] = {key: m.to(weight.device) for key, m in moments.items()}

    def _predictor(self, weights: Weights) -> NetPredictor:
        return NetPredictor(self._part.encoder, self._shape, weights, self._part.outputs)

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Keep torch to the job's threads while the learner works, in a process that others use too."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self._job.compute.n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _grow_one_epoch(self) -> None:
        import torch

        device, n_rows = self._job.compute.device, len(self._part.train)
        seed = derive_seed(self._job.seed, "mlp", "epoch", self.n_units)
        order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed)).to(device)
        train, target = self._part.train[order], self._part.target[order]
        weight = None if self._part.weight is None else self._part.weight[order]
        generator = torch.Generator(device).manual_seed(seed)
        n_steps = max(1, round(n_rows / batch_rows(self._config["batch_size"], n_rows)))
        cuts = [n_rows * step // n_steps for step in range(n_steps + 1)]
        forget = 1.0 / (AVERAGE_OVER * n_steps + 1)
        for step in range(n_steps):
            share = (self.n_units + step / n_steps) / self._config["n_epochs"]
            drop = self._set_rates(min(share, 1.0), generator)
            rows = slice(cuts[step], cuts[step + 1])
            self._step(train[rows], target[rows], None if weight is None else weight[rows], drop)
            for name, average in self._average.items():
                average.lerp_(self._weights[name].detach(), forget)

    def _set_rates(self, share: float, generator: torch.Generator) -> Dropout:
        """Set the optimiser's rates for `share` of the planned epochs and return the dropout that goes with them."""
        lr = self._config["lr"] * learning_schedule(share)
        easing = flat_cosine(share)
        for group in self._optimizer.param_groups:
            group["lr"] = lr * group["factor"]
            group["weight_decay"] = self._config["weight_decay"] * easing / group["factor"] if group["decays"] else 0.0
        return Dropout(self._config["dropout"] * easing, generator)

    def _step(self, rows: Inputs, target: torch.Tensor, weight: torch.Tensor | None, drop: Dropout) -> None:
        import torch.nn.functional as F  # noqa: N812

        outputs = forward(self._shape, self._weights, rows, drop)
        target = target.unsqueeze(1).expand(outputs.shape[:2])
        if self._job.task.is_classification:
            losses = F.cross_entropy(outputs.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
        else:
            losses = (outputs.squeeze(2) - target).square()
        loss = losses.mean() if weight is None else (losses * weight.unsqueeze(1)).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()


def batch_rows(batch_size: int, n_rows: int) -> int:
    """Return the rows of one step: `batch_size` for 32,768 rows, and with the square root of the rows otherwise."""
    return max(8, round(batch_size * math.sqrt(n_rows / 32768)))


def flat_cosine(share: float) -> float:
    """Return 1 for the first half of the epochs, then a cosine to 0 (RealMLP's flat_cos)."""
    return 1.0 if share <= 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * share - 1)))


def learning_schedule(share: float) -> float:
    """Return what the learning rate is multiplied by after `share` of the epochs."""
    return flat_cosine(share)


def _make_optimizer(weights: Weights) -> torch.optim.AdamW:
    """Return fused AdamW with one group for each pair of learning factor and decay; the rates are set at each step."""
    import torch

    groups: dict[tuple[float, bool], list[torch.Tensor]] = {}
    for name, weight in weights.items():
        if weight.numel():
            groups.setdefault((learning_factor(name, weight), decays(name)), []).append(weight)
    described = [{"params": params, "factor": factor, "decays": pulls} for (factor, pulls), params in groups.items()]
    return torch.optim.AdamW(described, lr=0.0, betas=BETAS, fused=True)


def _shape_of(encoder: Encoder, task: Task, config: Config) -> Shape:
    shape = Shape(
        n_plain=encoder.n_plain,
        n_curved=encoder.n_curved,
        n_embedded=encoder.n_embedded,
        n_levels=encoder.n_levels,
        n_outputs=task.n_outputs,
        width=config["width"],
        n_layers=config["n_layers"],
        k=config["k"],
        activation=config["activation"],
        plr_sigma=config["plr_sigma"],
    )
    return replace(shape)
