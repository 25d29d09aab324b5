"""Put an observer to its contract."""

from __future__ import annotations

from collections.abc import Iterator

from stacktune.errors import ConfigError
from stacktune.observers import Observer
from stacktune.testing.checks import run_checks
from stacktune.testing.clause import Check
from stacktune.testing.observers.clauses import CLAUSES
from stacktune.testing.observers.subject import ObserverSubject


def observer_checks(subject: ObserverSubject) -> Iterator[Check]:
    """Yield every named check.

    Each is called without arguments.
    """
    return (check for clause in CLAUSES for check in clause.checks(subject))


def check_observer(subject: ObserverSubject) -> None:
    """Run every check of an observer.

    Raises:
        CheckError: a check fails; the message has the name of the first that does.
        ConfigError: it is no Observer, so that a method that it does not write would be missing.
    """
    made = subject.make()
    if not isinstance(made, Observer):
        raise ConfigError(
            f"an observer is a subclass of stacktune.observers.Observer, but {type(made).__name__} is not"
        )
    run_checks(subject, observer_checks(subject))
