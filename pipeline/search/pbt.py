"""Trains populations (PBT; Jaderberg et al. 2017).

Members are compared interval by interval. Ray's own PBT compares the latest scores of members whatever their age, so
that a newcomer always copies an elder. Here a member is compared with what the others scored at the same interval, and
copies the best of them as it was then.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stacktune.search.asha import Halving
from stacktune.search.schedulers import GO_ON, Decision, Reached, SchedulerRequest
from stacktune.search.space import SearchSpace, nudge
from stacktune.seeds import derive_seed
from stacktune.trials.climb import N_PBT_INTERVALS
from stacktune.trials.trial import Resume

# The worst quarter copies the best (Jaderberg et al. 2017 use 20 %, Ray 25 %).
QUANTILE = 0.25
# Fewer members than this at an interval say nothing about quantiles.
MIN_MEMBERS = 3


@dataclass(frozen=True)
class Snapshot:
    """A member's score, configuration and state at an interval."""

    trial_id: str
    score: float
    config: Mapping[str, Any]
    state: str
    lineage: tuple[tuple[int, dict[str, Any]], ...]


@dataclass
class Population:
    """The members of one PBT family."""

    space: SearchSpace
    seed: int
    _snapshots: dict[int, dict[str, Snapshot]] = field(default_factory=lambda: defaultdict(dict))

    def record(self, interval: int, snapshot: Snapshot) -> Snapshot | None:
        """Keep `snapshot`; return a better one to continue from.

        None lets the member go on as it is.
        """
        peers = self._snapshots[interval]
        peers[snapshot.trial_id] = snapshot
        ranked = sorted(peers.values(), key=_rank)
        n_copying = math.floor(QUANTILE * len(ranked)) or (1 if len(ranked) >= MIN_MEMBERS else 0)
        is_behind = any(other.trial_id == snapshot.trial_id for other in ranked[:n_copying])
        return ranked[-1] if is_behind else None

    def explore(self, donor: Snapshot, trial_id: str, interval: int) -> dict[str, Any]:
        """Return the donor's configuration with its mutable parameters nudged."""
        return nudge(donor.config, self.space, derive_seed(self.seed, "explore", trial_id, interval))


def _rank(snapshot: Snapshot) -> tuple[float, str]:
    """Return a member's score and name, for ranking.

    Ties are ranked by name, as a search that goes on hears of them in another order.
    """
    return -math.inf if math.isnan(snapshot.score) else snapshot.score, snapshot.trial_id


class Exploiting:
    """Lets members copy each other, then halves them.

    They are members of a population; they copy until the first fold is grown, and are halved after it.
    """

    def __init__(self, request: SchedulerRequest):
        self._population = Population(request.space, request.seed)
        self._halving = Halving(request)

    def record(self, reached: Reached) -> None:
        """Take in a rung.

        A rung that left no state that is still there is nothing to copy.
        """
        self._halving.record(reached)
        if reached.rung < N_PBT_INTERVALS and reached.state is not None:
            self._population.record(reached.rung, _snapshot(reached))

    def decide(self, reached: Reached) -> Decision:
        """Take in a rung; decide on its trial.

        The trial goes on, copies another one or stops.
        """
        if reached.rung >= N_PBT_INTERVALS:
            return self._halving.decide(reached)
        self._halving.record(reached)
        donor = self._population.record(reached.rung, _snapshot(reached))
        if donor is None:
            return GO_ON
        config = self._population.explore(donor, reached.trial_id, reached.rung)
        return Decision(resume=Resume(donor.state, reached.rung, donor.lineage), config=config)


def _snapshot(reached: Reached) -> Snapshot:
    return Snapshot(reached.trial_id, reached.score, reached.config, str(reached.state), reached.lineage)
