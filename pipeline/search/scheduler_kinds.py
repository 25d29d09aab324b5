"""The schedulers, by a family's `scheduler`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stacktune.search.asha import Halving
from stacktune.search.pbt import Exploiting
from stacktune.search.schedulers import Scheduler, SchedulerRequest

SCHEDULERS: Mapping[str, Callable[[SchedulerRequest], Scheduler]] = {"asha": Halving, "pbt": Exploiting}
