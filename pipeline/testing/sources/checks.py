"""Put a source to its contract."""

from __future__ import annotations

from collections.abc import Iterator

from stacktune.search.events import Event
from stacktune.testing.checks import run_checks
from stacktune.testing.clause import Check
from stacktune.testing.sources import answers, replays, told
from stacktune.testing.sources.subject import SourceSubject

CLAUSES = (*answers.CLAUSES, *told.CLAUSES, *replays.CLAUSES)


def source_checks(subject: SourceSubject) -> Iterator[Check]:
    """Yield every named check, quick ones first.

    Each is called without arguments.
    """
    return (check for clause in CLAUSES for check in clause.checks(subject))


def check_source(subject: SourceSubject) -> None:
    """Run every check of a source.

    Raises:
        CheckError: a check fails; the message has the name of the first that does.
        ConfigError: it is no source.
    """
    subject.made(_unheard, seed=0)
    run_checks(subject, source_checks(subject))


def _unheard(event: Event) -> None:
    """Hear an event, in vain."""
