"""The contract of a scheduler, as checks that any scheduler can be put to."""

from stacktune.testing.schedulers.checks import check_scheduler as check_scheduler
from stacktune.testing.schedulers.checks import scheduler_checks as scheduler_checks
from stacktune.testing.schedulers.subject import SchedulerSubject as SchedulerSubject
