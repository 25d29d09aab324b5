"""How a run's cores and seconds are dealt out, each decision with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stacktune.data.folds import FEW_OF_A_CLASS, rarer_class, share_to_hold_out
from stacktune.data.table import Table, Task
from stacktune.families.base import FitSize
from stacktune.families.registry import get_family
from stacktune.search.plan.memory import MemoryRequest, Node, plan_memory

# Cheap and strong first, so that a short run has seen every kind of model; unknown families follow by name.
OPENING = ("lightgbm", "linear", "catboost", "xgboost", "extra_trees", "mlp", "random_forest", "nas")
# Boosting grows a tree a class, these fit all classes at once.
MANY_CLASSES = 25
OPENING_FOR_MANY_CLASSES = ("linear", "extra_trees", "mlp", "random_forest", "lightgbm", "xgboost", "catboost", "nas")
# In a reproducible run, what is decided about a trial rests on trials at least this far before it.
LAG = 8
# No trial may take more of the search than this, so that a huge table still sees several families.
MAX_TRIAL_SHARE = 0.35
GPU_SHARE = 0.25
MAX_FAILURES = 3
# Up to so many rows, training on 7/8 of them instead of 4/5 pays for the longer trials.
FEW_ROWS = 5_000
# Beyond so many cells for each second of a core, K fits of a configuration leave time for too few configurations.
MANY_CELLS_A_CORE_SECOND = 8_000
FEW_CLASSES = 10
MANY_ROWS = 1_000_000
# A holdout of fewer rows than a fifth of these says too little; wide tables of few rows keep some folds.
MIN_ROWS_TO_HOLD_OUT = 20_000
# Instead of a holdout that says too little, for the little time that there is.
N_FOLDS_OF_LARGE_TABLES = 3
# On large tables trees that are boosted beat those that are not by more than an ensemble gains from both.
FORESTS = frozenset({"extra_trees", "random_forest"})
# On a CPU nets take a million rows of 50 columns in at 0.5 million cells a second. What they cannot go through four
# times within the longest trial, they are not worth beginning on.
NETS = frozenset({"mlp"})
MANY_CELLS_A_SECOND_FOR_NETS = 45_000
ARCHITECTURE_SEARCHES = frozenset({"nas"})
# An architecture search wants dozens of nets: core-seconds, of which GPUs make more, and cells for each of them.
SECONDS_TO_SEARCH_ARCHITECTURES, GPU_SPEED = 3600.0, 4.0
ROWS_TO_SEARCH_ARCHITECTURES = 2_000
MAX_CELLS_TO_SEARCH_ARCHITECTURES = 400


@dataclass(frozen=True)
class ClusterSize:
    """What the search may use, over all nodes. is_local: whether that is this machine alone, for the whole run.

    nodes: those with cores; none where nothing is known of their memory. limits: what is to be said behind the number
    of cores where these, or the memory, are less than the machine's. store_note: what is to be said of Ray's memory.
    """

    n_cpus: int
    n_gpus: int
    is_local: bool = True
    nodes: tuple[Node, ...] = ()
    limits: str = ""
    store_note: str | None = None


@dataclass(frozen=True)
class SourceOptions:
    """What sources of suggestions may go by beside the plan.

    fit_size: of one fold's fit; None where nothing is known of the table. n_folds: the models of a trial.
    predict_budget_us: what a prediction may take. controller: the topology that was asked for, see search/nas.
    """

    fit_size: FitSize | None = None
    n_folds: int = 1
    predict_budget_us: float | None = None
    controller: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class SearchPlan:
    """The settings of one search.

    families: names, in the order in which they are first tried.
    lag: None in budgeted runs, whose decisions are asynchronous.
    deadline: on `time.monotonic()`'s scale of the driver's machine; infinite without a budget.
    longest_trial_s: seconds after which a single trial hurries to its end.
    is_large: see SizePlan.
    max_failures: how often a trial's process may die, other than with its node, before the trial has failed.
    options: what sources of suggestions go by.
    memory: that a trial asks for; None where none is counted.
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
    options: SourceOptions = SourceOptions()
    memory: MemoryRequest | None = None

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
    silently_left_out: families that only some tables and budgets are for, which is no news where they are not.
    """

    n_folds: int = 5
    is_large: bool = False
    left_out: frozenset[str] = frozenset()
    reason: str = ""
    opening: tuple[str, ...] = OPENING
    silently_left_out: frozenset[str] = frozenset()


USUAL_SIZE = SizePlan()


def plan_for_size(table: Table, task: Task, cluster: ClusterSize, budget_s: float | None) -> SizePlan:
    """Choose folds and families by rows, columns, classes, cores, GPUs and seconds.

    budget_s: None in a reproducible run, which looks at the table alone, so that every machine does the same.
    """
    cells = table.n_rows * table.n_features * max(1.0, task.n_outputs / FEW_CLASSES)
    if budget_s is not None and cells > MANY_CELLS_A_CORE_SECOND * cluster.n_cpus * budget_s:
        n_folds = 1 if table.n_rows >= MIN_ROWS_TO_HOLD_OUT else N_FOLDS_OF_LARGE_TABLES
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
    if budget_s is None or not _pays_to_search_architectures(table, plan, cluster, budget_s):
        plan = replace(plan, silently_left_out=ARCHITECTURE_SEARCHES)
    if plan.n_folds == 1 and task.is_classification:
        plan = _with_enough_judged(plan, table, task)
    smallest = int(np.bincount(table.target).min()) if task.is_classification else table.n_rows
    return plan if plan.n_folds <= smallest else replace(plan, n_folds=smallest, reason="a class has no more rows")


def _with_enough_judged(plan: SizePlan, table: Table, task: Task) -> SizePlan:
    """Return the plan, with folds where a holdout would have few rows of a class: in folds, all of them are judged."""
    code, n_of_class = rarer_class(table.target)
    if share_to_hold_out(table.target, task) * n_of_class >= FEW_OF_A_CLASS:
        return plan
    reason = f"{plan.reason} and class {task.classes[code]} has {n_of_class:,} rows only"
    return replace(plan, n_folds=N_FOLDS_OF_LARGE_TABLES, reason=reason)


def _pays_to_search_architectures(table: Table, plan: SizePlan, cluster: ClusterSize, budget_s: float) -> bool:
    """Return whether rows are enough to tell nets apart, and seconds to train dozens of them."""
    enough_s = SECONDS_TO_SEARCH_ARCHITECTURES / (GPU_SPEED if cluster.n_gpus else 1)
    cells_a_core_s = table.n_rows * table.n_features / (cluster.n_cpus * budget_s)
    return (
        plan.n_folds > 1
        and table.n_rows >= ROWS_TO_SEARCH_ARCHITECTURES
        and cluster.n_cpus * budget_s >= enough_s
        and cells_a_core_s <= MAX_CELLS_TO_SEARCH_ARCHITECTURES
    )


def make_plan(
    families: Sequence[str],
    cluster: ClusterSize,
    seed: int,
    max_trials: int | None,
    search_s: float | None,
    now: float,
    size: SizePlan = USUAL_SIZE,
    max_failures: int = MAX_FAILURES,
    options: SourceOptions = SourceOptions(),
) -> SearchPlan:
    """Plan a search of `search_s` seconds from `now` (`time.monotonic()`), or without a clock where it is None.

    options: without the size of a fit no memory is asked for.
    """
    reproducible, fit_size = search_s is None, options.fit_size
    n_threads = 1 if reproducible else _threads_per_trial(cluster.n_cpus)
    n_slots = max(1, cluster.n_cpus // n_threads)
    memory = (
        plan_memory(families, fit_size, size.is_large, cluster.nodes, n_threads, reproducible) if fit_size else None
    )
    if memory and memory.max_concurrent(cluster.nodes, n_threads) < n_slots:
        n_slots = memory.max_concurrent(cluster.nodes, n_threads)
        n_threads = n_threads if reproducible else _threads_of_few(n_slots, cluster)
    return SearchPlan(
        families=_in_order(families, size.opening),
        seed=seed,
        n_threads=n_threads,
        n_slots=min(n_slots, LAG) if reproducible else n_slots,
        n_gpus=cluster.n_gpus,
        max_trials=max_trials,
        lag=LAG if reproducible else None,
        deadline=math.inf if reproducible else now + search_s,
        longest_trial_s=math.inf if reproducible else MAX_TRIAL_SHARE * search_s,
        is_local=cluster.is_local,
        is_large=size.is_large,
        max_failures=max_failures,
        options=options,
        memory=memory,
    )


def _threads_per_trial(n_cpus: int) -> int:
    """One thread a trial wastes no core; past 16 cores, memory for so many trials at once would be wasted instead."""
    return max(1, min(4, n_cpus // 8))


def _threads_of_few(n_slots: int, cluster: ClusterSize) -> int:
    """Give the cores of trials for which there is no memory to those for which there is."""
    return max(1, min(cluster.n_cpus // n_slots, *(node.n_cpus for node in cluster.nodes)))


def _in_order(families: Sequence[str], opening: Sequence[str]) -> tuple[str, ...]:
    place = {name: position for position, name in enumerate(opening)}
    return tuple(sorted(families, key=lambda name: (place.get(name, len(opening)), name)))
