"""Checks that hold any scheduler to its contract."""

from stacktune.testing.schedulers.checks import check_scheduler as check_scheduler
from stacktune.testing.schedulers.checks import scheduler_checks as scheduler_checks
from stacktune.testing.schedulers.subject import SchedulerSubject as SchedulerSubject
