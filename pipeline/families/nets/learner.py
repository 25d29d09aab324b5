"""A net that grows by epochs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stacktune.data.table import Table, Task
from stacktune.families._output import given_weight_of, output_of
from stacktune.families.base import Config, FitSize, Job
from stacktune.families.losses import scaled
from stacktune.families.nets.architecture import Layer
from stacktune.families.nets.inputs import Encoder, Inputs, fit_encoder
from stacktune.families.nets.layers import n_joined, n_multiplications
from stacktune.families.nets.losses import value_losses
from stacktune.families.nets.net import (
    FROZEN,
    N_FREQUENCIES,
    N_PIECES,
    Dropout,
    Shape,
    decays,
    forward,
    initial_weights,
    learning_factor,
    n_inputs,
)
from stacktune.families.nets.predictor import ROWS_AT_ONCE, WEIGHTS, NetPredictor, Outputs
from stacktune.objectives import LOG_LINK, kind_of
from stacktune.seeds import derive_seed

if TYPE_CHECKING:
    import torch

    from stacktune.families.nets.net import Weights

BETAS = (0.9, 0.95)  # RealMLP-TD: a short memory of squares
ROWS_OF_FULL_BATCH = 32768
ROWS_OF_ALL_BINS = 4096


@dataclass(frozen=True)
class Part:
    """A job's rows, encoded once, on the job's device.

    target: (n_rows,) int64 codes, or float32 standardised values. weight: (n_rows,) float32 with mean 1, or None.
    """

    encoder: Encoder
    outputs: Outputs
    train: Inputs
    target: torch.Tensor
    weight: torch.Tensor | None
    valid: Inputs


def make_part(job: Job) -> Part:
    """Fit a job's encoder and encode its rows.

    The encoder is fitted on the training rows; these and the validation ones are encoded.
    """
    import torch

    train, device = job.table.take(job.rows), job.compute.device
    encoder, outputs = fit_encoder(train), _outputs_of(job)
    if job.task.is_classification:
        target = torch.from_numpy(train.labels.astype(np.int64))
    else:
        target = torch.from_numpy(output_of(job).label(train.labels))
    given = given_weight_of(job)
    weight = None if given is None else torch.from_numpy(given).to(device)
    encoded = encoder.encode(train).to(device)
    del train  # a copy of the rows, which need not be there beside that of the validation ones
    valid = encoder.encode(job.table.take(job.valid))
    return Part(encoder, outputs, encoded, target.to(device), weight, valid.to(device))


def _outputs_of(job: Job) -> Outputs:
    if job.task.is_classification:
        return Outputs(is_classification=True)
    output = output_of(job)
    if kind_of(output.loss) in LOG_LINK:
        return Outputs(False, output.mean, output.spread, output.low, output.high, output.loss)
    values = scaled(job.table.labels[job.rows], output.loss, output.unit)
    bounds = float(values.min()), float(values.max())
    return Outputs(False, output.mean, output.spread, *bounds, output.loss, output.unit)


class NetLearner:
    """A net in training.

    It has the verbs of AdjustableLearner and WarmStartLearner. Every epoch draws its order and its dropout from a seed
    of its own, so that nothing depends on how the epochs are parted, and the global generator is left alone. What is
    validated, kept and saved is a moving average of the weights over about an epoch.

    layers_of: reads the layers off a configuration; only their dropout may change while the net grows.
    """

    def __init__(self, job: Job, config: Config, layers_of: Callable[[Config], tuple[Layer, ...]]):
        import torch

        self.n_units = 0
        self._job, self._config, self._layers_of = job, config, layers_of
        self._marked: dict[str, torch.Tensor] | None = None
        with self._threads():
            self._part = job.cache.get(("net", job.part, job.compute.device), lambda: make_part(job))
            self._shape = _shape_of(self._part, job.task, config, layers_of(config))
            generator = torch.Generator().manual_seed(derive_seed(job.seed, "mlp", "weights"))
            weights = initial_weights(self._shape, self._part.encoder.knots, generator)
            weights["head.bias"] += _first_bias(self._part, job.task)
            self._weights = {
                name: w.to(job.compute.device).requires_grad_(name not in FROZEN) for name, w in weights.items()
            }
            self._average = {name: w.detach().clone() for name, w in self._weights.items()}
            self._optimizer = _make_optimizer(self._weights)

    def advance(self, units: int) -> None:
        with self._threads():
            for _ in range(units):
                self._grow_one_epoch()
                self.n_units += 1

    def predict_valid(self) -> np.ndarray:
        with self._threads():
            return self._predictor().predict_inputs(self._part.valid)

    def predict(self, table: Table) -> np.ndarray:
        with self._threads():
            return self._predictor().predict(table)

    def keep_best(self) -> None:
        self._marked = {name: weight.clone() for name, weight in self._average.items()}

    def restore_best(self) -> None:
        if self._marked is not None:
            self._average = self._marked

    def save(self, folder: Path) -> None:
        self._predictor().save(folder)

    def adjust(self, config: Config) -> None:
        self._config = config

    def warm_start(self, folders: Sequence[Path]) -> None:
        import torch
        from safetensors.torch import load_file

        left = set(self._weights)
        with torch.no_grad():
            for folder in folders:
                kept = load_file(folder / WEIGHTS, device=self._job.compute.device)
                for name in [name for name in left if name in kept and kept[name].shape == self._weights[name].shape]:
                    self._weights[name].copy_(kept[name])
                    self._average[name].copy_(kept[name])
                    left.remove(name)

    def save_state(self, folder: Path) -> None:
        from safetensors.torch import save_file

        kept = {f"weights/{name}": weight.detach() for name, weight in self._weights.items()}
        kept |= {f"average/{name}": weight for name, weight in self._average.items()}
        for name, weight in self._weights.items():
            kept |= {f"{key}/{name}": moment for key, moment in self._optimizer.state.get(weight, {}).items()}
        save_file({name: tensor.cpu().contiguous() for name, tensor in kept.items()}, folder / "state.safetensors")
        (folder / "state.json").write_text(json.dumps({"n_units": self.n_units}))

    def load_state(self, folder: Path) -> None:
        import torch
        from safetensors.torch import load_file

        kept = load_file(folder / "state.safetensors", device=self._job.compute.device)
        self.n_units = json.loads((folder / "state.json").read_text())["n_units"]
        self._marked = None
        self._optimizer.state.clear()
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(kept[f"weights/{name}"])
                self._average[name] = kept[f"average/{name}"]
                if f"step/{name}" in kept:
                    moments = {key: kept[f"{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                    self._optimizer.state[weight] = moments

    def _predictor(self) -> NetPredictor:
        return NetPredictor(self._part.encoder, self._shape, self._average, self._part.outputs)

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Hold torch to the job's threads inside a block.

        The learner works there in a process that others use too.
        """
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
        drops = [Dropout(layer.dropout, generator) for layer in self._layers_of(self._config)]
        n_steps = max(1, round(n_rows / batch_rows(self._config["batch_size"], n_rows)))
        cuts = [n_rows * step // n_steps for step in range(n_steps + 1)]
        for step in range(n_steps):
            self._set_rates((self.n_units + step / n_steps) / self._config["n_epochs"])
            rows = slice(cuts[step], cuts[step + 1])
            self._step(train[rows], target[rows], None if weight is None else weight[rows], drops)
            self._move_average(n_steps, self.n_units * n_steps + step)

    def _set_rates(self, share: float) -> None:
        """Set the rates at `share` of the planned epochs."""
        easing = flat_cosine(share)
        lr, weight_decay = self._config["lr"] * easing, self._config["weight_decay"] * easing
        for group in self._optimizer.param_groups:
            group["lr"] = lr * group["factor"]
            group["weight_decay"] = weight_decay / group["factor"] if group["decays"] else 0.0

    def _step(self, rows: Inputs, target: torch.Tensor, weight: torch.Tensor | None, drops: list[Dropout]) -> None:
        import torch.nn.functional as F  # noqa: N812

        outputs = forward(self._shape, self._weights, rows, drops)
        target = target.unsqueeze(1).expand(outputs.shape[:2])
        if self._job.task.is_classification:
            losses = F.cross_entropy(outputs.flatten(0, 1), target.flatten(), reduction="none").view(target.shape)
        else:
            losses = value_losses(outputs.squeeze(2), target, self._part.outputs)
        loss = losses.mean() if weight is None else (losses * weight.unsqueeze(1)).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def _move_average(self, n_steps: int, n_steps_done: int) -> None:
        """Move the average towards the weights.

        It is over the last tenth of the steps done, an epoch's at the most.
        """
        forget = max(1 / (n_steps + 1), 1 / (2 + 0.1 * n_steps_done))
        for name, average in self._average.items():
            average.lerp_(self._weights[name].detach(), forget)


def batch_rows(batch_size: int, n_rows: int) -> int:
    """Return the rows of one step.

    They are `batch_size` for 32,768 rows, and go with the square root of the rows otherwise.
    """
    return max(8, round(batch_size * math.sqrt(n_rows / ROWS_OF_FULL_BATCH)))


def flat_cosine(share: float) -> float:
    """Return the share of the rates that is left.

    It is 1 for the first half of the planned epochs, and then follows a cosine to 0 (RealMLP's flat_cos).
    """
    return 1.0 if share <= 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * min(share, 1.0) - 1)))


def _make_optimizer(weights: Weights) -> torch.optim.AdamW:
    """Return a fused AdamW over the weights.

    It has one group for each pair of learning factor and decay; the rates are set at each step.
    """
    import torch

    groups: dict[tuple[float, bool], list[torch.Tensor]] = {}
    for name, weight in weights.items():
        if weight.numel() and name not in FROZEN:
            groups.setdefault((learning_factor(name, weight), decays(name)), []).append(weight)
    described = [{"params": params, "factor": factor, "decays": pulls} for (factor, pulls), params in groups.items()]
    return torch.optim.AdamW(described, lr=0.0, betas=BETAS, fused=True)


def _first_bias(part: Part, task: Task) -> torch.Tensor:
    """Return the (n_outputs,) outputs to begin with.

    They predict the training rows best when nothing else is known.
    """
    import torch

    if not task.is_classification:
        return torch.zeros(1)
    shares = torch.bincount(part.target, weights=part.weight, minlength=task.n_outputs).float() + 1.0
    return (shares / shares.sum()).log().cpu()


def bins(n_bins: int, n_rows: int) -> int:
    """Return how many pieces a number has.

    They are `n_bins`, and fewer in proportion on small tables, as a power of two from 2 on.
    """
    return 2 ** max(1, math.floor(math.log2(n_bins * min(1.0, n_rows / ROWS_OF_ALL_BINS))))


def _shape_of(part: Part, task: Task, config: Config, layers: tuple[Layer, ...]) -> Shape:
    return Shape(
        n_plain=part.encoder.n_plain,
        n_curved=part.encoder.n_curved,
        n_embedded=part.encoder.n_embedded,
        n_levels=part.encoder.n_levels,
        n_outputs=task.n_outputs,
        k=config["k"],
        plr_sigma=config["plr_sigma"],
        n_bins=bins(config["n_bins"], len(part.train)),
        layers=layers,
    )


def net_bytes(config: Config, layers: Sequence[Layer], fit_size: FitSize) -> float:
    """Estimate the bytes that a net takes.

    They are those of the rows encoded, one batch's activations, and six copies of its weights: its weights, their
    average, the best of these, their gradients and Adam's two moments.
    """
    n_bins, n_columns = bins(config["n_bins"], fit_size.n_rows), n_inputs(0, fit_size.n_columns, 0)
    of_embeddings = fit_size.n_columns * (2 * N_FREQUENCIES + 2 * n_bins)
    of_layers = config["k"] * (n_columns + sum(layer.width for layer in layers) + fit_size.n_outputs)
    n_rows = min(max(ROWS_AT_ONCE, 3 * batch_rows(config["batch_size"], fit_size.n_rows)), fit_size.n_rows)
    activations = n_rows * (of_embeddings + of_layers)
    n_weights = n_multiplications(layers, n_columns) + config["k"] * fit_size.n_outputs * n_joined(layers)
    n_weights += fit_size.n_columns * N_PIECES * n_bins
    return 12 * fit_size.n_cells + 16 * fit_size.n_rows * fit_size.n_outputs + 5 * activations + 24 * n_weights
