"""Learns a run's pace, and plans its search.

Its clock says what is left of the budget; what was seen of the machine says what ending well takes here and now.

The problem: a budget is for the whole command, and its last seconds (ensembles, the leader, MLflow, Ray's end) come
after the search, which has to stop in time for them. How long they take depends on the machine and on its neighbours.

What did not work: seconds measured on one machine. On a slower one, and beside other work, runs of 15 to 20 s reached
their deadline without a single completed trial, and ended after 17 to 45 s.

The solution: costs are told in usual seconds, those of the machine on which they were measured, two cores with nothing
else to do. What a usual second takes here follows from the processor seconds that starting took, and from the share of
a core that this run gets beside whatever else is at work: its start first, then its trials. What has been done once in
this run, the rehearsal of its end, is planned by what it took.

What is guaranteed: no more than MAX_RESERVED_SHARE of the budget is kept from the search, and ensembles have
MIN_STACKING_S. What is not: that the budget is kept, as no plan knows what a neighbour begins next
(tests/benchmarks/hosts.py measures it).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

# Processor seconds for loading all libraries; a process that has loaded more, or less, says nothing of its machine.
USUAL_START_CPU_S = 1.8
MIN_SLOWNESS, MAX_SLOWNESS = 0.5, 6.0
# Usual seconds: to import MLflow and open the run in its store, which is done beside a search that is long enough;
OPENING_S = 1.8
# for trials that end a little late, and to read what they left;
GATHERING_S = 0.9
# to put the leader together, to save and register it, and to let go of Ray beside that;
ENDING_S = 1.6
# and what a rehearsal of that takes, which otherwise comes on top: it loads libraries, and writes files.
REHEARSAL_S = 0.8
# A leader predicts a row in 0.1 ms or so; that it does on the test rows, others as time allows.
TESTING_S_PER_ROW = 1e-4
# What is said of the run at last takes so long to write, and the process to end;
FINISHING_S = 1.7
# budgets that can spare it leave time to log the models of the top trials.
KEEPING_TOP_TRIALS_S, EVERY_MODEL_FROM_S = 1.6, 120.0
# the report takes a second or so; budgets that can spare it leave time for it, others write it where time is left.
REPORTING_S, REPORT_FROM_S = 1.2, 30.0
# Importance and the like of the leader, in a share of budgets that are no shorter; more than that pays little.
EXPLAINING_SHARE, EXPLAINING_FROM_S, MAX_EXPLAINING_S = 0.03, 30.0, 15.0
# However late trials ended, ensembles get this: without them, all that was learnt would count for less.
MIN_STACKING_S = 1.0
# However short the budget, the search gets at least the rest.
MAX_RESERVED_SHARE = 0.5
# Whoever has less of a core than this has company, which will be there at the end as well: on an idle machine the rest
# goes to Ray's own processes, and to waiting for the disk.
USUAL_CORE_SHARE, MIN_CORE_SHARE = 0.8, 0.1
# Trials of so many seconds, waiting included, tell what share they get.
MIN_TIMED_TRIAL_S = 1.0


@dataclass(frozen=True)
class Clock:
    """The run's clock, from the start of the command.

    Without a budget there is always time.
    """

    started_at: float
    budget_s: float | None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    def remaining_s(self) -> float:
        return math.inf if self.budget_s is None else self.budget_s - self.elapsed_s


@dataclass
class Pace:
    """The cost of a usual second, as seen here.

    slowness: how many processor seconds are needed for what usually takes one.
    core_share: of a core, what a process that is always busy gets.
    waits_s: how long a rehearsal of the end waited for other things than a core: None before there was one.
    """

    slowness: float = 1.0
    core_share: float = 1.0
    waits_s: float | None = None

    @classmethod
    def of_start(cls, start_s: float, start_cpu_s: float) -> Pace:
        """Return what the start of the command tells.

        start_s, start_cpu_s: the seconds that it took, and its processor seconds.
        """
        return cls(_slowness(start_cpu_s / USUAL_START_CPU_S), core_share(start_cpu_s, start_s))

    @property
    def usual_s(self) -> float:
        """Return how long a usual second takes now."""
        return self.slowness / self.core_share

    def see(self, trials: Iterable[tuple[float, float]], trials_share: float = 1.0) -> None:
        """Learn from trials, once they are enough to tell.

        trials: the processor seconds and the seconds of each.

        trials_share: of a core, what this process leaves to each trial.
        """
        cpu_s = fit_s = 0.0
        for one_cpu_s, one_fit_s in trials:
            cpu_s, fit_s = cpu_s + one_cpu_s, fit_s + one_fit_s
        if fit_s >= MIN_TIMED_TRIAL_S:
            self.core_share = core_share(cpu_s, fit_s * trials_share)

    def see_rehearsal(self, took_s: float, cpu_s: float) -> None:
        """Learn from a rehearsal of the end.

        It is the same kind of work.
        """
        self.slowness = _slowness(cpu_s / REHEARSAL_S)
        self.waits_s = max(0.0, took_s - cpu_s / self.core_share)

    def ending_s(self) -> float:
        """Return the seconds from the leader's choice on."""
        if self.waits_s is None:
            return (ENDING_S + REHEARSAL_S) * self.usual_s
        return ENDING_S * self.usual_s + self.waits_s


def _slowness(ratio: float) -> float:
    return min(max(ratio, MIN_SLOWNESS), MAX_SLOWNESS)


def core_share(cpu_s: float, wall_s: float) -> float:
    """Return the share of a core that work got.

    cpu_s, wall_s: the processor seconds and the seconds that it took.
    """
    return min(1.0, max(MIN_CORE_SHARE, cpu_s / max(USUAL_CORE_SHARE * wall_s, 1e-9)))


def reserved_s(
    pace: Pace,
    budget_s: float,
    stacking_s: float,
    n_test_rows: int = 0,
    is_open: bool = True,
    reports: bool = True,
) -> float:
    """Return the seconds kept for a budget's end.

    stacking_s: usual seconds for the ensembles. is_open: whether MLflow has the run already. reports: whether the run
        explains its leader and writes a report.
    """
    wanted_s = GATHERING_S + stacking_s + TESTING_S_PER_ROW * n_test_rows
    if not is_open:
        wanted_s += OPENING_S
    wanted_s += keeping_top_trials_s(budget_s)
    kept_s = wanted_s * pace.usual_s + pace.ending_s()
    if reports:
        kept_s += telling_s(pace, budget_s)
    return min(kept_s, MAX_RESERVED_SHARE * budget_s)


def keeping_top_trials_s(budget_s: float) -> float:
    """Return the usual seconds for top trials' models."""
    return KEEPING_TOP_TRIALS_S if budget_s >= EVERY_MODEL_FROM_S else 0.0


def telling_s(pace: Pace, budget_s: float) -> float:
    """Return the seconds kept to explain and to report.

    What comes before them leaves them alone: ensembles, and the test rows of models that do not lead.
    """
    return explaining_s(budget_s) + (REPORTING_S * pace.usual_s if budget_s >= REPORT_FROM_S else 0.0)


def explaining_s(budget_s: float) -> float:
    """Return the seconds kept to explain the leader.

    They are what it has, not what it takes: it makes do with them on any machine.
    """
    return min(EXPLAINING_SHARE * budget_s, MAX_EXPLAINING_S) if budget_s >= EXPLAINING_FROM_S else 0.0
