"""Checks that hold any observer to its contract."""

from stacktune.testing.observers.checks import check_observer as check_observer
from stacktune.testing.observers.checks import observer_checks as observer_checks
from stacktune.testing.observers.subject import ObserverSubject as ObserverSubject
