"""The controller's topology, and children's limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which actors of the controller need not import: it takes a second of each
    from stacktune.families.base import FitSize
    from stacktune.search.plan.plan import SearchPlan, SourceOptions

# Beyond so many multiplications a row, a net of one fold is slower than any ensemble wants of a member.
MAX_MULTIPLICATIONS = 1_500_000
# No core multiplies more float32 numbers in a microsecond: nets that even then are over what a prediction may take.
MAX_MULTIPLICATIONS_A_US = 50_000


@dataclass(frozen=True)
class ControllerTopology:
    """The spread of the controller over processes.

    It follows Zoph and Le (2017, section 3.2).

    n_shards: that own its parameters. n_replicas: that draw children and compute gradients. n_children: of a replica's
        batch. The paper has 20, 100 and 8, for 800 GPUs.
    """

    n_shards: int = 1
    n_replicas: int = 1
    n_children: int = 4

    @property
    def is_one_process(self) -> bool:
        return self.n_shards == self.n_replicas == 1

    @property
    def most_stale(self) -> int:
        """Return how old a gradient's parameters may be.

        It is in updates of a shard: twice as many as the other replicas make while one is at its batch, if all are as
        fast.
        """
        return 2 * (self.n_replicas - 1)


@dataclass(frozen=True)
class ChildLimits:
    """The limits on what a child may cost.

    fit_size: the table's. most_multiplications: those that one fold's model takes for a row.
    """

    fit_size: FitSize
    most_multiplications: float


def topology_of(plan: SearchPlan) -> ControllerTopology:
    """Return the topology asked for, or a suitable one.

    A suitable one has one replica for as many trials at once as two of its batches have, and the paper's five replicas
    to a shard.
    """
    if plan.options.controller:
        return ControllerTopology(*plan.options.controller)
    n_replicas = 1 if plan.lag is not None else max(1, plan.n_slots // 8)
    return ControllerTopology(max(1, n_replicas // 5), n_replicas)


def limits_of(options: SourceOptions) -> ChildLimits | None:
    """Return what a child may cost.

    What no budget for predictions can pay is not even trained. None is returned where nothing is known of the table.
    """
    if options.fit_size is None:
        return None
    most = float(MAX_MULTIPLICATIONS)
    if options.predict_budget_us is not None:
        most = min(most, options.predict_budget_us * MAX_MULTIPLICATIONS_A_US / options.n_folds)
    return ChildLimits(options.fit_size, most)
