"""The contract of sources, see pipeline/testing/sources, over every kind of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stacktune.families.base import FitSize
from stacktune.search.plan.plan import SourceOptions
from stacktune.search.source_kinds import KINDS
from stacktune.testing import Check, parametrize_with_checks, subject_of
from stacktune.testing.sources import SourceSubject, source_checks

CONTROLLER = "stacktune.search.nas.kind:ARCHITECTURE_SEARCH"
SUBJECTS = (
    SourceSubject("stacktune.search.sources:BAYESIAN", subject_of("linear")),
    SourceSubject(CONTROLLER, subject_of("nas")),
)
# So few children keep these that the portfolio loses some and spares are asked for, until there are none.
LIMITS = SourceOptions(FitSize(1000, 10, 2), 5, predict_budget_us=1.0)
WHERE_LIMITS_MATTER = ("the_portfolio", "it_asks_within", "it_is_spent", "whether_it_is_spent", "a_search_that_was_cut")


@pytest.fixture(autouse=True)
def _few_redraws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty draws of a controller, for each child beyond its limits, take a second of a busy core."""
    monkeypatch.setattr("stacktune.search.nas.children.MAX_REDRAWS", 2)


def checks_of_limits(subject: SourceSubject) -> Iterator[Check]:
    return (check for check in source_checks(subject) if check.name.startswith(WHERE_LIMITS_MATTER))


@parametrize_with_checks(SUBJECTS, source_checks)
def test_the_contract(check: Check) -> None:
    check()


@parametrize_with_checks([SourceSubject(CONTROLLER, subject_of("nas"), LIMITS)], checks_of_limits)
def test_the_contract_with_limits(check: Check) -> None:
    check()


def test_every_kind_is_put_to_the_contract() -> None:
    assert {id(subject.source_kind) for subject in SUBJECTS} == {id(kind) for kind in KINDS.values()}
