"""Neural nets for tables.

They have RealMLP's inputs and layers and TabM's members, and are grown by epochs in torch.
"""

from __future__ import annotations

from stacktune.families.base import AdjustableLearner, Config, Family, FitSize, Job
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.nets.architecture import Layer
from stacktune.families.nets.learner import NetLearner, net_bytes
from stacktune.families.nets.predictor import load_predictor
from stacktune.families.suitability import SearchConditions, Turn, Unsuited

# On a CPU nets take a million rows of 50 columns in at 0.5 million cells a second. What they cannot go through four
# times within the longest trial, they are not worth beginning on.
MAX_CELLS_A_SECOND = 45_000


def _suits(conditions: SearchConditions) -> Unsuited | None:
    if not conditions.is_large or conditions.budget_s is None or conditions.n_gpus:
        return None
    if conditions.n_cells <= MAX_CELLS_A_SECOND * conditions.budget_s:
        return None
    return Unsuited("the table is large for this budget")


def _start(job: Job, config: Config) -> AdjustableLearner:
    return NetLearner(job, config, _layers)


def _layers(config: Config) -> tuple[Layer, ...]:
    """Return one layer after the other, all alike."""
    return tuple(
        Layer("dense", config["width"], config["activation"], "none", config["dropout"], reads=(place,))
        for place in range(config["n_layers"])
    )


def _n_bytes(config: Config, fit_size: FitSize) -> float:
    return net_bytes(config, _layers(config), fit_size)


def _n_epochs(config: Config) -> int:
    return config["n_epochs"]


FAMILY = Family(
    name="mlp",
    unit="epoch",
    max_units=_n_epochs,
    start=_start,
    load=load_predictor,
    losses=ALL_LOSSES,
    n_bytes=_n_bytes,
    first_rung=0.25,
    patience=0.3,
    chunk=1,
    scheduler="pbt",
    uses_gpu=True,
    suits=_suits,
    turn=Turn(usual=60, many_classes=30, first_model=70),
)
