"""Child nets of an architecture search.

They have layers in any order and wiring, over the inputs and members of `mlp`'s nets.
"""

from __future__ import annotations

from stacktune.families.base import Config, Family, FitSize, Job, WarmStartLearner
from stacktune.families.losses import ALL_LOSSES
from stacktune.families.nets.architecture import Layer, from_line
from stacktune.families.nets.inputs import MAX_ONE_HOT
from stacktune.families.nets.layers import n_multiplications
from stacktune.families.nets.learner import NetLearner, net_bytes
from stacktune.families.nets.net import n_inputs
from stacktune.families.nets.predictor import load_predictor
from stacktune.families.suitability import SearchConditions, Turn, Unsuited

# What children are trained with beside what the controller chooses: the middle of search_spaces/mlp.py, so that their
# scores differ by their architectures.
N_EPOCHS = 12
TRAINING = {"n_epochs": N_EPOCHS, "batch_size": 256, "weight_decay": 0.02, "plr_sigma": 0.1, "n_bins": 128}

# An architecture search wants dozens of nets: core-seconds, of which GPUs make more, and cells for each of them.
MIN_CORE_SECONDS, GPU_SPEED = 3600.0, 4.0
# Enough to tell nets apart.
MIN_ROWS = 2_000
MAX_CELLS_A_CORE_SECOND = 400


def _suits(conditions: SearchConditions) -> Unsuited | None:
    if conditions.budget_s is None:
        return Unsuited("architectures are searched within a time budget only", is_shown=False)
    core_s = conditions.n_cpus * conditions.budget_s
    if conditions.is_held_out or conditions.n_rows < MIN_ROWS:
        return Unsuited("too few rows are judged to tell nets apart", is_shown=False)
    if core_s < MIN_CORE_SECONDS / (GPU_SPEED if conditions.n_gpus else 1):
        return Unsuited("the budget is too short to train dozens of nets", is_shown=False)
    if conditions.n_cells / core_s > MAX_CELLS_A_CORE_SECOND:
        return Unsuited("the table is too large to train dozens of nets within this budget", is_shown=False)
    return None


def _start(job: Job, config: Config) -> WarmStartLearner:
    return NetLearner(job, {**TRAINING, **config}, _layers)


def _layers(config: Config) -> tuple[Layer, ...]:
    return from_line(config["architecture"])


def _n_multiplications(config: Config, fit_size: FitSize) -> int:
    """Estimate the multiplications that a child takes a row.

    They are those of all its members, as if all numbers were curved.
    """
    few = [cardinality for cardinality in fit_size.cardinalities if cardinality <= MAX_ONE_HOT]
    n_numeric = fit_size.n_columns - len(fit_size.cardinalities)
    columns = n_inputs(sum(few), n_numeric, len(fit_size.cardinalities) - len(few))
    return config["k"] * n_multiplications(_layers(config), columns)


def _n_bytes(config: Config, fit_size: FitSize) -> float:
    return net_bytes({**TRAINING, **config}, _layers(config), fit_size)


FAMILY = Family(
    name="nas",
    unit="epoch",
    max_units=lambda config: N_EPOCHS,
    start=_start,
    load=load_predictor,
    losses=ALL_LOSSES,
    n_bytes=_n_bytes,
    first_rung=0.25,
    patience=0.3,
    chunk=1,
    searcher="controller",
    n_multiplications=_n_multiplications,
    uses_gpu=True,
    suits=_suits,
    turn=Turn(usual=80, many_classes=80, first_model=80),
)
