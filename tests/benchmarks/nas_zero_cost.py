"""How well scores that need no training rank architectures, against what one epoch tells.

    python tests/benchmarks/nas_zero_cost.py TABLE.parquet=TARGET … [--rows 1000] [--children 40] [--epochs 4]
        [--seeds 5]

Children drawn at random are trained from scratch as in nas_tables.py. Before that each is scored on one batch, with
heads drawn at random, as they begin at zero otherwise:

- size: its multiplications a row;
- snip: Σ|w · ∂loss/∂w| (Lee et al. 2019, arXiv 1810.02340);
- synflow: Σ w · ∂Σoutputs/∂w with |w| for w and ones for columns (Tanaka et al. 2020, arXiv 2006.05467);
- expressflow: over layers, width · Σ|z · ∂Σoutputs/∂z| over how far z moves with the columns (Xing et al. 2024, ATLAS,
  arXiv 2403.10318).

Prints Spearman's correlation of each with the score after all epochs, and that of the score after a quarter of them;
and how many of the best fifth of the children would be lost if the half with the lowest score were not trained.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from nas_tables import Ground, ground
from scipy.stats import spearmanr

from stacktune.families.nas import TRAINING
from stacktune.families.nets.architecture import from_line
from stacktune.families.nets.layers import n_multiplications, run_layers
from stacktune.families.nets.learner import Part, _shape_of, make_part
from stacktune.families.nets.net import Shape, forward, initial_weights
from stacktune.search.nas.children import child_space, random_child
from stacktune.search.space import load_space

N_ROWS = 256
STEP = 0.01
BEST, SKIPPED = 0.2, 0.5


class Watch:
    """Keeps what a layer puts out, in the place of its dropout."""

    def __call__(self, h: torch.Tensor) -> torch.Tensor:
        h.retain_grad()
        self.output = h
        return h


def zero_cost(place: Ground, part: Part, config: dict) -> dict[str, float]:
    """Return what each score says of a child that has not been trained; more is better."""
    shape = _shape_of(part, place.job.task, {**TRAINING, **config}, from_line(config["architecture"]))
    generator = torch.Generator().manual_seed(place.job.seed)
    weights = initial_weights(shape, part.encoder.knots, generator)
    head = weights["head.weight"]
    weights["head.weight"] = torch.randn(head.shape, generator=generator) * head.shape[1] ** -0.5
    for weight in weights.values():
        weight.requires_grad_()
    return {
        "size": float(config["k"] * n_multiplications(shape.layers, shape.n_inputs)),
        "snip": snip(shape, weights, part),
        "expressflow": expressflow(shape, weights, part, generator),
        "synflow": synflow(shape, weights),
    }


def snip(shape: Shape, weights: dict, part: Part) -> float:
    """Return Σ|w · ∂loss/∂w|."""
    rows, target = part.train[slice(0, N_ROWS)], part.target[:N_ROWS]
    outputs = forward(shape, weights, rows).mean(dim=1)
    is_classes = target.dtype == torch.int64
    loss = F.cross_entropy(outputs, target) if is_classes else (outputs.squeeze(1) - target).square().mean()
    return _saliency(loss, _of_layers(weights))


def expressflow(shape: Shape, weights: dict, part: Part, generator: torch.Generator) -> float:
    """Return Σ width · Σ|z · ∂Σoutputs/∂z| / |z moved|, over layers."""
    rows = part.train[slice(0, N_ROWS)]
    watches = [Watch() for _ in shape.layers]
    forward(shape, weights, rows, watches).sum().backward()
    moved = [Watch() for _ in shape.layers]
    nudged = replace(rows, plain=_nudged(rows.plain, generator), curved=_nudged(rows.curved, generator))
    forward(shape, weights, nudged, moved)
    score = 0.0
    for layer, before, after in zip(shape.layers, watches, moved, strict=True):
        flow = (before.output * before.output.grad).abs().sum()
        length = (after.output - before.output).norm(dim=1).mean() / STEP
        score += float((layer.width * flow / length.clamp(min=1e-9)).detach())
    return score


def _nudged(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return inputs + STEP * torch.randn(inputs.shape, generator=generator)


def synflow(shape: Shape, weights: dict) -> float:
    """Return the logarithm of Σ w · ∂Σoutputs/∂w, without data."""
    positive = {name: weight.detach().abs().double().requires_grad_() for name, weight in weights.items()}
    ones = torch.ones(1, shape.n_inputs, dtype=torch.float64)
    outputs = run_layers(shape.layers, positive, ones, ()) @ positive["head.weight"].mean(0)
    return float(np.log(_saliency(outputs.sum(), _of_layers(positive))))


def _of_layers(weights: dict) -> list[torch.Tensor]:
    return [weight for name, weight in weights.items() if name.startswith(("layer", "head"))]


def _saliency(value: torch.Tensor, weights: list[torch.Tensor]) -> float:
    gradients = torch.autograd.grad(value, weights, allow_unused=True)
    parts = [(w * g).abs().sum().detach() for w, g in zip(weights, gradients, strict=True) if g is not None]
    return float(torch.stack(parts).sum())


def told(path: str, target: str, args: argparse.Namespace, seed: int) -> list[dict[str, object]]:
    """Return how well each score tells what children score after all."""
    torch.set_num_threads(1)
    place, rng = ground(path, target, args.rows, seed), np.random.default_rng((seed, 4))
    space = child_space(load_space("nas").domains)
    children = [random_child(space, rng) for _ in range(args.children)]
    true = np.array([place.trained(config, args.epochs, []) for config in children])
    part = make_part(place.job)
    scores = pd.DataFrame([zero_cost(place, part, config) for config in children])
    scores["one epoch"] = [place.trained(config, max(1, args.epochs // 4), []) for config in children]
    best = np.argsort(-true)[: round(BEST * len(true))]
    rows = []
    for name, values in scores.items():
        kept = np.argsort(-values.to_numpy(), kind="stable")[: round((1 - SKIPPED) * len(true))]
        lost = 1 - np.isin(best, kept).mean()
        rows.append({"table": place.name, "score": name, "spearman": spearmanr(values, true).statistic, "lost": lost})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--children", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cpus", type=int, default=2)
    args = parser.parse_args()
    runs = [(*table.rsplit("=", 1), args, seed) for table in args.tables for seed in range(args.seeds)]
    with ProcessPoolExecutor(args.cpus) as pool:
        frame = pd.DataFrame([row for rows in pool.map(told, *zip(*runs, strict=True)) for row in rows])
    print(frame.groupby(["score", "table"]).agg(["mean", "std"]).round(2).to_string())
    print(frame.groupby("score")[["spearman", "lost"]].mean().round(2).to_string())


if __name__ == "__main__":
    main()
