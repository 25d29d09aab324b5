"""Ends what takes longer than it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stacktune.metrics import is_defined
from stacktune.trials.result import COMPLETED, TrialResult

# As a share of the best score; what H2O's `stopping_tolerance` is by default.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class TrialLimits:
    """The limits that the user set.

    longest_trial_s: after so many seconds a trial ends with what it has; infinite where none is set.
    stop_after: the search ends after so many trials without a gain; None for never. tolerance: what is no gain yet, as
    a share of the best score.
    """

    longest_trial_s: float = math.inf
    stop_after: int | None = None
    tolerance: float = TOLERANCE

    def why_enough(self, results: Iterable[TrialResult | None]) -> str | None:
        """Return why no further trial is asked for.

        results: of the trials that the next one rests on, as they were asked for; None for those that have not ended,
        of which nothing is counted. A trial that was stopped at a rung or failed brought no gain. Before the first one
        is completed there is nothing to gain on.
        """
        if self.stop_after is None:
            return None
        best, n_without = -math.inf, 0
        for result in results:
            if result is None:
                continue
            score = result.score if result.status == COMPLETED else -math.inf
            is_gain = is_defined(score) and score > best + (0 if best == -math.inf else self.tolerance * abs(best))
            n_without = 0 if is_gain else n_without + 1
            best = score if is_gain else best
        if best == -math.inf or n_without < self.stop_after:
            return None
        trials = "the last trial" if n_without == 1 else f"{n_without:,} trials in a row"
        return f"{trials} brought no gain above {self.tolerance:g} of the best score (--stop-after {self.stop_after})"


NO_LIMITS = TrialLimits()


def limit_notes(longest_trial_s: float | None, is_reproducible: bool) -> list[str]:
    """Return a sentence on a limit in seconds."""
    if longest_trial_s is None or not is_reproducible:
        return []
    return [
        f"a trial ends after {longest_trial_s:g} s with what it has then, so another machine may give another "
        "leaderboard: --max-seconds-per-trial goes by the clock"
    ]
