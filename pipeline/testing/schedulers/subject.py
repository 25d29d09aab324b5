"""Names a scheduler to check, and its parts."""

from __future__ import annotations

from dataclasses import dataclass

from stacktune.search.schedulers import Scheduler, SchedulerRequest
from stacktune.testing.named import named
from stacktune.testing.subject import Subject


@dataclass(frozen=True)
class SchedulerSubject:
    """A scheduler on the space of one family.

    kind: "module:NAME" of what makes it from a SchedulerRequest, as a row of SCHEDULERS does.
    family: whose trials it decides on. takes_lag: whether reproducible runs use it.
    """

    kind: str
    family: Subject
    takes_lag: bool = True

    @property
    def name(self) -> str:
        return f"{self.kind.partition(':')[2].lower()}-{self.family.name}"

    def made(self, lag: int | None = None, seed: int = 3) -> Scheduler:
        """Return a new scheduler, as a search makes it."""
        scheduler: Scheduler = named(self.kind)(SchedulerRequest(self.family.space, seed, lag))
        return scheduler
