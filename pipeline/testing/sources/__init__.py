"""Checks that hold any source to its contract."""

from stacktune.testing.sources.checks import check_source as check_source
from stacktune.testing.sources.checks import source_checks as source_checks
from stacktune.testing.sources.subject import SourceSubject as SourceSubject
