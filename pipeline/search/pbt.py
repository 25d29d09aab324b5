"""Population-based training (Jaderberg et al. 2017), its members compared interval by interval.

Ray's own PBT compares the latest scores of members whatever their age, so that a newcomer always copies an elder. Here
a member is compared with what the others scored at the same interval, and copies the best of them as it was then.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stacktune.search.space import SearchSpace, nudge
from stacktune.seeds import derive_seed

# The worst quarter copies the best (Jaderberg et al. 2017 use 20 %, Ray 25 %).
QUANTILE = 0.25
# Fewer members than this at an interval say nothing about quantiles.
MIN_MEMBERS = 3


@dataclass(frozen=True)
class Snapshot:
    """A member as it was at an interval: its score, configuration, kept state and the configurations before."""

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
        """Keep `snapshot`; return the one that its member should go on from, or None to go on as it is."""
        peers = self._snapshots[interval]
        peers[snapshot.trial_id] = snapshot
        ranked = sorted(peers.values(), key=lambda other: -math.inf if math.isnan(other.score) else other.score)
        n_copying = math.floor(QUANTILE * len(ranked)) or (1 if len(ranked) >= MIN_MEMBERS else 0)
        is_behind = any(other.trial_id == snapshot.trial_id for other in ranked[:n_copying])
        return ranked[-1] if is_behind else None

    def explore(self, donor: Snapshot, trial_id: str, interval: int) -> dict[str, Any]:
        """Return the donor's configuration with its mutable parameters nudged."""
        return nudge(donor.config, self.space, derive_seed(self.seed, "explore", trial_id, interval))
