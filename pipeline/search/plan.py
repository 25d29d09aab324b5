"""How a run's cores and seconds are dealt out, each decision with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data.table import Table, Task
from pipeline.families.registry import get_family

# Cheap and strong first, so that a short run has seen every kind of model; unknown families follow by name.
OPENING = ("lightgbm", "linear", "catboost", "xgboost", "extra_trees", "mlp", "random_forest")
# Boosting grows a tree a class, these fit all classes at once.
MANY_CLASSES = 25
OPENING_FOR_MANY_CLASSES = ("linear", "extra_trees", "mlp", "random_forest", "lightgbm", "xgboost", "catboost")
# In a reproducible run, what is decided about a trial rests on trials at least this far before it.
LAG = 8
# No trial may take more of the search than this, so that a huge table still sees several families.
LONGEST_TRIAL_SHARE = 0.35
GPU_SHARE = 0.25
MAX_FAILURES = 3
# Up to so many rows, training on 7/8 of them instead of 4/5 pays for the longer trials.
FEW_ROWS = 5_000
# Beyond so many cells for each second of a core, K fits of a configuration leave time for too few configurations.
MANY_CELLS_A_CORE_SECOND = 8_000
FEW_CLASSES = 10
MANY_ROWS = 1_000_000
# A holdout of fewer rows than a fifth of these says too little; wide tables of few rows keep some folds.
LEAST_ROWS_TO_HOLD_OUT = 20_000
# On large tables trees that are boosted beat those that are not by more than an ensemble gains from both.
FORESTS = frozenset({"extra_trees", "random_forest"})
# On a CPU nets take a million rows of 50 columns in at 0.5 million cells a second. What they cannot go through four
# times within the longest trial, they are not worth beginning on.
NETS = frozenset({"mlp"})
MANY_CELLS_A_SECOND_FOR_NETS = 45_000


@dataclass(frozen=True)
class ClusterSize:
    """What the search may use, over all nodes. is_local: whether that is this machine alone, for the whole run."""

    n_cpus: int
    n_gpus: int
    is_local: bool = True


@dataclass(frozen=True)
class SearchPlan:
    """The settings of one search.

    families: names, in the order in which they are first tried.
    lag: None in budgeted runs, whose decisions are asynchronous.
    deadline: on `time.time()`'s scale, so that it means the same on every node; infinite without a budget.
    longest_trial_s: seconds after which a single trial hurries to its end.
    is_large: see SizePlan.
    max_failures: how often a trial's process may die, other than with its node, before the trial has failed.
    """

    families: tuple[str, ...]
    seed: int
    n_threads: int
    n_slots: int
    n_gpus: int
    max_trials: int | None
    lag: int | None
    deadline: float
    longest_trial_s: float
    is_local: bool
    is_large: bool = False
    max_failures: int = MAX_FAILURES

    def uses_pbt(self, family: str) -> bool:
        """PBT needs trials side by side, so a reproducible run, whose decisions wait for nobody, halves instead."""
        return self.lag is None and get_family(family).scheduler == "pbt"

    def scheduler_of(self, family: str) -> str:
        return "pbt" if self.uses_pbt(family) else "asha"

    def gpu_share(self, family: str) -> float:
        """The share of a GPU that a trial of the family asks for."""
        return GPU_SHARE if self.n_gpus and self.lag is None and get_family(family).uses_gpu else 0.0


@dataclass(frozen=True)
class SizePlan:
    """What a table's size asks for.

    n_folds: 1 is a holdout. left_out: families that are not worth their time here. reason: "" where all is as usual.
    is_large: whether portfolios begin with what large tables want. opening: the families' order of first trials.
    """

    n_folds: int = 5
    is_large: bool = False
    left_out: frozenset[str] = frozenset()
    reason: str = ""
    opening: tuple[str, ...] = OPENING


USUAL_SIZE = SizePlan()


def plan_for_size(table: Table, task: Task, cluster: ClusterSize, budget_s: float | None) -> SizePlan:
    """Choose folds and families by rows, columns, classes, cores, GPUs and seconds.

    budget_s: None in a reproducible run, which looks at the table alone, so that every machine does the same.
    """
    cells = table.n_rows * table.n_features * max(1.0, task.n_outputs / FEW_CLASSES)
    if budget_s is not None and cells > MANY_CELLS_A_CORE_SECOND * cluster.n_cpus * budget_s:
        n_folds = 1 if table.n_rows >= LEAST_ROWS_TO_HOLD_OUT else 3
        too_many = not cluster.n_gpus and table.n_rows * table.n_features > MANY_CELLS_A_SECOND_FOR_NETS * budget_s
        plan = SizePlan(n_folds, True, FORESTS | NETS if too_many else FORESTS, "the table is large for this budget")
    elif budget_s is None and table.n_rows > MANY_ROWS:
        plan = SizePlan(1, True, reason="rows are very many")
    elif table.n_rows <= FEW_ROWS:
        plan = SizePlan(8, reason="rows are few")
    else:
        plan = USUAL_SIZE
    if task.n_outputs >= MANY_CLASSES:
        plan = replace(plan, opening=OPENING_FOR_MANY_CLASSES)
    smallest = int(np.bincount(table.target).min()) if task.is_classification else table.n_rows
    return plan if plan.n_folds <= smallest else replace(plan, n_folds=smallest, reason="a class has no more rows")


def make_plan(
    families: Sequence[str],
    cluster: ClusterSize,
    seed: int,
    max_trials: int | None,
    search_s: float | None,
    now: float,
    size: SizePlan = USUAL_SIZE,
    max_failures: int = MAX_FAILURES,
) -> SearchPlan:
    """Plan a search of `search_s` seconds from `now` (`time.time()`), or without a clock where it is None."""
    reproducible = search_s is None
    n_threads = 1 if reproducible else _threads_per_trial(cluster.n_cpus)
    n_slots = max(1, cluster.n_cpus // n_threads)
    return SearchPlan(
        families=_in_order(families, size.opening),
        seed=seed,
        n_threads=n_threads,
        n_slots=min(n_slots, LAG) if reproducible else n_slots,
        n_gpus=cluster.n_gpus,
        max_trials=max_trials,
        lag=LAG if reproducible else None,
        deadline=math.inf if reproducible else now + search_s,
        longest_trial_s=math.inf if reproducible else LONGEST_TRIAL_SHARE * search_s,
        is_local=cluster.is_local,
        is_large=size.is_large,
        max_failures=max_failures,
    )


def _threads_per_trial(n_cpus: int) -> int:
    """One thread a trial wastes no core; past 16 cores, memory for so many trials at once would be wasted instead."""
    return max(1, min(4, n_cpus // 8))


def _in_order(families: Sequence[str], opening: Sequence[str]) -> tuple[str, ...]:
    place = {name: position for position, name in enumerate(opening)}
    return tuple(sorted(families, key=lambda name: (place.get(name, len(opening)), name)))
