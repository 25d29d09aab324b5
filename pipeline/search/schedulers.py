"""Defines the protocol of schedulers.

They decide, at a rung, whether a trial goes on. The protocol is free of Ray and of clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stacktune.search.space import SearchSpace
from stacktune.trials.trial import Resume


@dataclass(frozen=True)
class Reached:
    """A trial at a rung.

    index: its place among the trials of the run. rung: the first is 1. score: higher is better, NaN where undefined.
    config: what it grows under now. state: the folder of what it kept there, None where nothing is kept.
    lineage: the configurations that its state has had, each with its first unit.
    """

    trial_id: str
    index: int
    rung: int
    score: float
    config: Mapping[str, Any]
    state: str | None = None
    lineage: tuple[tuple[int, dict[str, Any]], ...] = ()


@dataclass(frozen=True)
class Decision:
    """The fate of a trial at a rung.

    is_stopped: whether it ends there. resume, config: the state of another trial that it goes on from, and what it
    grows under from then on; None where it goes on as it is. why: in words, which change nothing.
    """

    is_stopped: bool = False
    resume: Resume | None = None
    config: Mapping[str, Any] | None = None
    why: str | None = field(default=None, compare=False)


GO_ON, STOP = Decision(), Decision(is_stopped=True)


@dataclass(frozen=True)
class SchedulerRequest:
    """The space and seed to make schedulers from.

    space, seed: of one family.
    lag: in a reproducible run a trial is compared with those at least so many places before it, which ended before it
    began; None in others.
    """

    space: SearchSpace
    seed: int
    lag: int | None = None


class Scheduler(Protocol):
    """Hears of one family's rungs, and decides.

    What every one keeps is checked by `stacktune.testing.schedulers`.
    """

    def record(self, reached: Reached) -> None:
        """Take in a rung decided in an earlier session.

        Trials come in their order.
        """

    def decide(self, reached: Reached) -> Decision:
        """Take in a rung; decide on its trial.

        It is taken in once, however often it is told.
        """
