"""Put a scheduler to its contract."""

from __future__ import annotations

from collections.abc import Iterator

from stacktune.testing.checks import run_checks
from stacktune.testing.clause import Check
from stacktune.testing.schedulers import choices, order
from stacktune.testing.schedulers.subject import SchedulerSubject

CLAUSES = (*choices.CLAUSES, *order.CLAUSES)


def scheduler_checks(subject: SchedulerSubject) -> Iterator[Check]:
    """Yield every named check.

    Each is called without arguments.
    """
    return (check for clause in CLAUSES for check in clause.checks(subject))


def check_scheduler(subject: SchedulerSubject) -> None:
    """Run every check of a scheduler.

    Raises:
        CheckError: a check fails; the message has the name of the first that does.
        ConfigError: there is no such scheduler.
    """
    subject.made()
    run_checks(subject, scheduler_checks(subject))
