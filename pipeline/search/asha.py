"""Asynchronous successive halving (Li et al. 2020).

Trials are compared at exact rungs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace

from stacktune.search.schedulers import GO_ON, STOP, Decision, Reached, SchedulerRequest

# One in this many goes on at each rung; 3 is the choice of Li et al. (2020) after e, the optimum in theory.
REDUCTION = 3


def survives(score: float, peers: list[float], reduction: float = REDUCTION) -> bool:
    """Return whether `score` is among the best 1/`reduction`.

    The best are taken of itself and its `peers`, higher better; at least one survives.

    NaN is worse than anything and never survives once there is a peer.
    """
    if math.isnan(score):
        return not peers
    n_better = sum(peer > score for peer in peers)
    return n_better < math.ceil((len(peers) + 1) / reduction)


@dataclass
class Rungs:
    """Scores of one family's trials at each rung."""

    _scores: dict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    def record(self, rung: int, index: int, score: float) -> None:
        """Keep the `index`-th trial's score at `rung`."""
        self._scores[rung][index] = score

    def peers(self, rung: int, index: int, lag: int | None) -> list[float]:
        """Return the scores that a trial is compared with.

        Without a lag they are all that are there. With one they are those of trials at least `lag` before it, which a
        reproducible run has finished before this trial began, so that the answer depends on nothing but the order of
        trials.
        """
        scores = self._scores[rung]
        newest = math.inf if lag is None else index - lag
        return [score for other, score in sorted(scores.items()) if other != index and other <= newest]


class Halving:
    """Stops a trial that falls behind its family.

    It does so where the trial is not among the best at a rung.
    """

    def __init__(self, request: SchedulerRequest):
        self._lag = request.lag
        self._rungs = Rungs()

    def record(self, reached: Reached) -> None:
        """Take in a rung decided in an earlier session."""
        self._rungs.record(reached.rung, reached.index, reached.score)

    def decide(self, reached: Reached) -> Decision:
        """Take in a rung; decide on its trial.

        The trial goes on or stops.
        """
        self.record(reached)
        peers = self._peers(reached)
        return GO_ON if survives(reached.score, peers) else replace(STOP, why=_why_stopped(reached.score, peers))

    def _peers(self, reached: Reached) -> list[float]:
        return self._rungs.peers(reached.rung, reached.index, self._lag)


def _why_stopped(score: float, peers: list[float]) -> str:
    if math.isnan(score):
        return "its score is undefined"
    n_better = sum(peer > score for peer in peers)
    are = "was" if n_better == 1 else "were"
    return f"{n_better} of the {len(peers)} before it {are} better there, and one in {REDUCTION} goes on"
