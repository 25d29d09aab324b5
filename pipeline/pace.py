"""How long a run may search: its clock, and what ending well takes here and now, by what was seen of the machine.

Costs are told in usual seconds: those of the machine on which they were measured, two cores with nothing else to do.
What a usual second is here follows from the processor seconds that starting took, and from the share of a core that
this run's own trials get beside whatever else is at work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from stacktune.trials.result import TrialResult

# Processor seconds for loading all libraries.
USUAL_START_CPU_S = 1.8
# A process that is older than the command, or has more libraries loaded, says nothing of its machine.
MIN_SPEED, MAX_SPEED = 0.5, 6.0
# Usual seconds: trials that end a little late, and what they left read; then the leader put together, saved and
# registered, and Ray let go of beside that.
GATHERING_S, ENDING_S = 0.9, 1.6
# A leader predicts a row in 0.1 ms or so; that it does on the test rows, others as time allows.
TESTING_S_PER_ROW = 1e-4
# Budgets that can spare it leave time to log the models of the top trials.
KEEPING_TOP_TRIALS_S, EVERY_MODEL_FROM_S = 1.6, 120.0
# However late trials ended, ensembles get this: without them, all that was learnt would count for less.
MIN_STACKING_S = 1.0
# However short the budget, the search gets at least the rest.
MAX_RESERVED_SHARE = 0.4
# On an idle machine trials get this share of a core, as this process takes the rest; with less they have company, that
# will be there at the end as well.
USUAL_CORE_SHARE, MIN_CORE_SHARE = 0.8, 0.1
# Trials of so many seconds, waiting included, tell what share they get.
ENOUGH_TRIAL_S = 1.0


@dataclass(frozen=True)
class Clock:
    """The run's clock, from the start of the command; without a budget there is always time."""

    started_at: float
    budget_s: float | None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    def left_s(self) -> float:
        return math.inf if self.budget_s is None else self.budget_s - self.elapsed_s


@dataclass
class Pace:
    """What a usual second takes here.

    start_cpu_s: the processor seconds that the command had taken when all libraries were loaded.
    core_share: of a core, what a process that is always busy gets.
    """

    start_cpu_s: float = field(default_factory=time.process_time)
    core_share: float = 1.0

    @property
    def usual_s(self) -> float:
        """How many seconds what usually takes one takes now."""
        return min(max(self.start_cpu_s / USUAL_START_CPU_S, MIN_SPEED), MAX_SPEED) / self.core_share

    def see(self, results: Iterable[TrialResult]) -> None:
        """Learn from trials what share of a core a process gets."""
        self.core_share = core_share(results)


def core_share(results: Iterable[TrialResult]) -> float:
    """Return what share of a core trials got beside others; 1 where they say too little."""
    cpu_s = fit_s = 0.0
    for result in results:
        cpu_s, fit_s = cpu_s + result.cpu_s, fit_s + result.fit_s
    if fit_s < ENOUGH_TRIAL_S:
        return 1.0
    return min(1.0, max(MIN_CORE_SHARE, cpu_s / (USUAL_CORE_SHARE * fit_s)))


def reserved_s(pace: Pace, budget_s: float, stacking_s: float, n_test_rows: int = 0) -> float:
    """Return the seconds of a budget that are kept for its end.

    stacking_s: usual seconds for the ensembles.
    """
    wanted_s = GATHERING_S + ENDING_S + stacking_s + TESTING_S_PER_ROW * n_test_rows
    if budget_s >= EVERY_MODEL_FROM_S:
        wanted_s += KEEPING_TOP_TRIALS_S
    return min(wanted_s * pace.usual_s, MAX_RESERVED_SHARE * budget_s)
