"""Chooses which family is asked next.

Each family is asked once; then the one whose next trial promises most improvement a second.

The problem: families differ a hundredfold in what a trial takes, and nobody knows beforehand which suits the table. An
ensemble wants several of them, the best more often.

What does not work well: turns give most of the time to the slowest family. To follow the best score so far gives all of
it to whichever was lucky first, and an ensemble of one family gains little.

The solution: expected improvement on the best score over the mean cost of a trial, read off a family's best few trials
in place of a model of all; and no family below FLOOR_SHARE of the trials. In a reproducible run costs do not count,
since seconds are another machine's there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from statistics import NormalDist

import numpy as np

from stacktune.metrics import is_defined
from stacktune.search.plan.agenda import NO_AGENDA, Agenda
from stacktune.trials.result import COMPLETED, TrialResult

# No family that may still be asked falls below this share of the trials, so that a late bloomer is noticed and the
# ensemble has a choice: weak families stop early, so that their tenth of the trials is far less of the time.
FLOOR_SHARE = 0.1
# The promise of a family is read off its best few trials: bad draws of a wide space say nothing about the next best.
N_BEST = 3
NORMAL = NormalDist()


class Allocator:
    """Deals out trials between families.

    uses_cost: whether seconds count; they must not in a reproducible run.
    agenda: the order and the shares that the user asked for.
    """

    def __init__(self, families: Sequence[str], uses_cost: bool, agenda: Agenda = NO_AGENDA):
        self._agenda = agenda
        self._families = tuple(families)
        self._uses_cost = uses_cost
        self._n_asked: Counter[str] = Counter()
        self._scores: dict[str, list[float]] = defaultdict(list)
        self._costs: dict[str, list[float]] = defaultdict(list)

    def choose(self, open_families: Collection[str]) -> str:
        """Return the family to ask next, one of `open_families`."""
        candidates = [name for name in self._families if name in open_families]
        chosen = self._on_agenda(candidates) or (
            self._unasked(candidates) or self._neglected(candidates) or self._most_promising(candidates)
        )
        self.was_asked(chosen)
        return chosen

    def was_asked(self, family: str) -> None:
        """Count a trial of a family."""
        self._n_asked[family] += 1

    def tell(self, result: TrialResult) -> None:
        """Learn a trial's cost and, if completed, its score."""
        self._costs[result.family].append(max(result.fit_s, 1e-3))
        if result.status == COMPLETED and is_defined(result.score):
            self._scores[result.family].append(result.score)

    def cheapest_s(self, family: str) -> float:
        """Return the seconds of the family's cheapest completed trial.

        It is 0 where none is completed.
        """
        return min(self._costs[family], default=0.0) if self._scores[family] else 0.0

    def _on_agenda(self, candidates: Sequence[str]) -> str | None:
        """Return the family that the plan wants next."""
        opening = self._agenda.next_in_opening(self._n_asked, candidates)
        return opening or self._agenda.furthest_behind({name: self._spent(name) for name in candidates}, candidates)

    def _spent(self, family: str) -> float:
        """Return what a family has had of the budget.

        It is its trials, by the mean cost of those that have ended: others are under way.
        """
        costs = self._costs[family] or [cost for known in self._costs.values() for cost in known] or [1.0]
        return self._n_asked[family] * (float(np.mean(costs)) if self._uses_cost else 1.0)

    def _unasked(self, candidates: Sequence[str]) -> str | None:
        return next((name for name in candidates if not self._n_asked[name]), None)

    def _neglected(self, candidates: Sequence[str]) -> str | None:
        n_total = sum(self._n_asked.values())
        least = min(candidates, key=lambda name: self._n_asked[name])
        return least if self._n_asked[least] < FLOOR_SHARE * n_total else None

    def _most_promising(self, candidates: Sequence[str]) -> str:
        everything = [score for scores in self._scores.values() for score in scores]
        if not everything:
            return min(candidates, key=lambda name: self._n_asked[name])
        best, spread = max(everything), float(np.std(everything)) or abs(max(everything)) * 1e-3 or 1e-3
        return max(candidates, key=lambda name: self._promise(name, best, spread))

    def _promise(self, name: str, best: float, spread: float) -> float:
        """Return the expected improvement a second.

        It is the expected improvement on the best score (Jones et al. 1998, equation 15) over the mean cost of a trial.
        """
        scores = sorted(self._scores[name], reverse=True)[:N_BEST]
        if not scores:
            return 0.0  # its first trial is still under way, or has brought nothing
        sigma = max(float(np.std(scores)), 0.1 * spread)
        z = (float(np.mean(scores)) - best) / sigma
        improvement = sigma * (z * NORMAL.cdf(z) + NORMAL.pdf(z))
        return improvement / float(np.mean(self._costs[name])) if self._uses_cost else improvement
