"""Put a subject to its contract.

Its checks are run one at a time, all at once, or as tests of pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from stacktune.testing import losses, odd_tables, processes, stored, usual_tables
from stacktune.testing.clause import Check, Named
from stacktune.testing.subject import Subject

USUAL_TABLE_CLAUSES = (*usual_tables.CLAUSES, *losses.CLAUSES, *stored.CLAUSES, *processes.CLAUSES)


class CheckError(AssertionError):
    """A subject does not keep a clause.

    The message begins with the names of both.
    """


class _Naming:
    """Names the check in what it raises."""

    def __init__(self, subject: Named, check: Check):
        self._name = f"{subject.name} fails the check {check.name}"

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # A Ctrl-C is nobody's fault.
        if isinstance(error, Exception):
            raise CheckError(f"{self._name}: {error or type(error).__name__}") from error


def usual_table_checks(subject: Subject) -> Iterator[Check]:
    """Yield the checks on usual tables, quick ones first.

    They are of growing, predicting and remembering.
    """
    return (check for clause in USUAL_TABLE_CLAUSES for check in clause.checks(subject))


def odd_table_checks(subject: Subject) -> Iterator[Check]:
    """Yield the checks on odd tables.

    These have gaps, unseen levels, few rows or weights.
    """
    return (check for clause in odd_tables.CLAUSES for check in clause.checks(subject))


def family_checks(subject: Subject) -> Iterator[Check]:
    """Yield every named check.

    Each is called without arguments.
    """
    yield from usual_table_checks(subject)
    yield from odd_table_checks(subject)


def check_family(subject: Subject) -> None:
    """Run every check of a family.

    Raises CheckError with the name of the first that fails.
    """
    run_checks(subject, family_checks(subject))


def run_checks(subject: Named, checks: Iterable[Check]) -> None:
    """Run the checks of one subject.

    Raises CheckError with the name of the first that fails.
    """
    for check in list(checks):  # a list first: what is no family at all fails no check
        with _Naming(subject, check):
            check()


def parametrize_with_checks(subjects: Iterable[Any], checks: Callable[[Any], Iterable[Check]] = family_checks) -> Any:
    """Make a decorated test one for each check.

    The test takes `check` and calls it; there is one for each check of each subject. Nothing else here needs pytest.

    checks: which ones, e.g. `source_checks`.
    """
    import pytest

    made = [pytest.param(check, id=f"{subject.name}-{check.name}") for subject in subjects for check in checks(subject)]
    return pytest.mark.parametrize("check", made)
