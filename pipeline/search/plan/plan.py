"""Plans a run's folds, families, cores and seconds.

Each decision has its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stacktune.data.folds import MIN_JUDGED_OF_A_CLASS, rarer_class, share_to_hold_out
from stacktune.data.table import Table, Task
from stacktune.families.base import FitSize
from stacktune.families.registry import get_family, in_order, unsuited_families
from stacktune.families.suitability import SearchConditions
from stacktune.search.narrowing import USUAL_SPACES, Spaces
from stacktune.search.plan.agenda import NO_AGENDA, Agenda, Step, agenda_of
from stacktune.search.plan.limits import NO_LIMITS, TrialLimits
from stacktune.search.plan.memory import MemoryRequest, Node, plan_memory

# From so many on, boosting, which grows a tree a class, comes after families that fit all classes at once.
MIN_CLASSES_TO_BOOST_LATER = 25
# In a reproducible run, what is decided about a trial rests on trials at least this far before it.
LAG = 8
# No trial may take more of the search than this, so that a huge table still sees several families.
MAX_TRIAL_SHARE = 0.35
GPU_SHARE = 0.25
MAX_FAILURES = 3
# Up to so many rows, training on 7/8 of them instead of 4/5 pays for the longer trials.
MAX_ROWS_FOR_MORE_FOLDS = 5_000
# Beyond so many cells for each second of a core, K fits of a configuration leave time for too few configurations.
MAX_CELLS_FOR_FOLDS_A_CORE_SECOND = 8_000
MAX_CLASSES_OF_USUAL_COST = 10
MAX_ROWS_FOR_FOLDS = 1_000_000
# A holdout of fewer rows than a fifth of these says too little; wide tables of few rows keep some folds.
MIN_ROWS_TO_HOLD_OUT = 20_000
# Instead of a holdout that says too little, for the little time that there is.
N_FOLDS_OF_LARGE_TABLES = 3


@dataclass(frozen=True)
class ClusterSize:
    """The cores and memory that a search may use.

    It is what all nodes together offer.

    is_local: whether that is this machine alone, for the whole run.

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
    """Limits and sizes that sources may go by.

    They stand beside the plan.

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
    memory: that a trial asks for; None where none is counted. limits: those that the user set.
    spaces: what families are searched in. agenda: their order and shares, where the user gave them.
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
    limits: TrialLimits = NO_LIMITS
    spaces: Spaces = USUAL_SPACES
    agenda: Agenda = NO_AGENDA

    def uses_pbt(self, family: str) -> bool:
        """Return whether the run trains populations.

        These need trials side by side; a reproducible run, whose decisions wait for nobody, halves instead.
        """
        return self.lag is None and get_family(family).scheduler == "pbt"

    def scheduler_of(self, family: str) -> str:
        own = get_family(family).scheduler
        return "asha" if own == "pbt" and not self.uses_pbt(family) else own

    def gpu_share(self, family: str) -> float:
        """Return the GPU share that the family's trials use."""
        return GPU_SHARE if self.n_gpus and self.lag is None and get_family(family).uses_gpu else 0.0


@dataclass(frozen=True)
class SizePlan:
    """The plan that a table's size asks for.

    n_folds: 1 is a holdout. reason: why so many; "" where all is as usual.
    is_large: whether portfolios begin with what large tables want.
    left_out: families that do not pay here, each with its reason. silently_left_out: those of which that is no news.
    opening: the order of families' first trials, or () for the usual one.
    """

    n_folds: int = 5
    is_large: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    opening: tuple[str, ...] = ()
    silently_left_out: Mapping[str, str] = field(default_factory=dict)


USUAL_SIZE = SizePlan()


def plan_for_size(table: Table, task: Task, cluster: ClusterSize, budget_s: float | None) -> SizePlan:
    """Choose folds by the table, the machine and time.

    Rows, columns, classes, cores, GPUs and seconds count.

    budget_s: None in a reproducible run, which looks at the table alone, so that every machine does the same.
    """
    cells = table.n_rows * table.n_features * max(1.0, task.n_outputs / MAX_CLASSES_OF_USUAL_COST)
    if budget_s is not None and cells > MAX_CELLS_FOR_FOLDS_A_CORE_SECOND * cluster.n_cpus * budget_s:
        n_folds = 1 if table.n_rows >= MIN_ROWS_TO_HOLD_OUT else N_FOLDS_OF_LARGE_TABLES
        plan = SizePlan(n_folds, True, reason="the table is large for this budget")
    elif budget_s is None and table.n_rows > MAX_ROWS_FOR_FOLDS:
        plan = SizePlan(1, True, reason="rows are very many")
    elif table.n_rows <= MAX_ROWS_FOR_MORE_FOLDS:
        plan = SizePlan(8, reason="rows are few")
    else:
        plan = USUAL_SIZE
    plan = _with_families(plan, table, task, cluster, budget_s)
    if plan.n_folds == 1 and task.is_classification:
        plan = _with_enough_judged(plan, table, task)
    smallest = int(np.bincount(table.labels).min()) if task.is_classification else table.n_rows
    return plan if plan.n_folds <= smallest else replace(plan, n_folds=smallest, reason="a class has no more rows")


def _with_families(plan: SizePlan, table: Table, task: Task, cluster: ClusterSize, budget_s: float | None) -> SizePlan:
    """Return the plan with suited families, in their order."""
    conditions = SearchConditions(
        n_rows=table.n_rows,
        n_columns=table.n_features,
        n_outputs=task.n_outputs,
        n_cpus=cluster.n_cpus,
        n_gpus=cluster.n_gpus,
        budget_s=budget_s,
        is_large=plan.is_large,
        is_held_out=plan.n_folds == 1,
    )
    unsuited = unsuited_families(conditions)
    return replace(
        plan,
        left_out={name: answer.reason for name, answer in unsuited.items() if answer.is_shown},
        silently_left_out={name: answer.reason for name, answer in unsuited.items() if not answer.is_shown},
        opening=in_order(task.n_outputs >= MIN_CLASSES_TO_BOOST_LATER),
    )


def left_out_notes(left_out: Mapping[str, str]) -> list[str]:
    """Return a sentence for each reason to exclude families."""
    return [
        f"without {' and '.join(sorted(name for name in left_out if left_out[name] == reason))}, as {reason}; "
        "--families overrides this"
        for reason in dict.fromkeys(left_out.values())
    ]


def _with_enough_judged(plan: SizePlan, table: Table, task: Task) -> SizePlan:
    """Return the plan, with folds if holdouts are small.

    In folds, all rows of a rare class are judged.
    """
    code, n_of_class = rarer_class(table.labels)
    if share_to_hold_out(table.labels, task) * n_of_class >= MIN_JUDGED_OF_A_CLASS:
        return plan
    reason = f"{plan.reason} and class {task.classes[code]} has {n_of_class:,} rows only"
    return replace(plan, n_folds=N_FOLDS_OF_LARGE_TABLES, reason=reason)


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
    limits: TrialLimits = NO_LIMITS,
    spaces: Spaces = USUAL_SPACES,
    steps: Sequence[Step] = (),
) -> SearchPlan:
    """Plan a search of `search_s` seconds from `now`.

    `now` is on the scale of `time.monotonic()`. None plans without a clock.

    options: without the size of a fit no memory is asked for.
    """
    reproducible, fit_size = search_s is None, options.fit_size
    n_threads = 1 if reproducible else _threads_per_trial(cluster.n_cpus)
    n_slots = max(1, cluster.n_cpus // n_threads)
    memory = (
        plan_memory(families, fit_size, size.is_large, cluster.nodes, n_threads, reproducible, spaces)
        if fit_size
        else None
    )
    if memory and memory.max_concurrent(cluster.nodes, n_threads) < n_slots:
        n_slots = memory.max_concurrent(cluster.nodes, n_threads)
        n_threads = n_threads if reproducible else _threads_of_few(n_slots, cluster)
    return SearchPlan(
        families=_in_order(families, size.opening or in_order()),
        seed=seed,
        n_threads=n_threads,
        n_slots=min(n_slots, LAG) if reproducible else n_slots,
        n_gpus=cluster.n_gpus,
        max_trials=max_trials,
        lag=LAG if reproducible else None,
        deadline=math.inf if search_s is None else now + search_s,
        longest_trial_s=min(limits.longest_trial_s, math.inf if search_s is None else MAX_TRIAL_SHARE * search_s),
        is_local=cluster.is_local,
        is_large=size.is_large,
        max_failures=max_failures,
        options=options,
        memory=memory,
        limits=limits,
        spaces=spaces,
        agenda=agenda_of(steps, spaces, size.is_large),
    )


def _threads_per_trial(n_cpus: int) -> int:
    """Return the number of threads of each trial.

    One thread wastes no core; past 16 cores, memory for so many trials at once would be wasted instead.
    """
    return max(1, min(4, n_cpus // 8))


def _threads_of_few(n_slots: int, cluster: ClusterSize) -> int:
    """Return the threads of trials limited by memory.

    These get the cores of trials for which there is no memory.
    """
    return max(1, min(cluster.n_cpus // n_slots, *(node.n_cpus for node in cluster.nodes)))


def _in_order(families: Sequence[str], opening: Sequence[str]) -> tuple[str, ...]:
    place = {name: position for position, name in enumerate(opening)}
    return tuple(sorted(families, key=lambda name: (place.get(name, len(opening)), name)))
