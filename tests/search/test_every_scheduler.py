"""The contract of schedulers, see pipeline/testing/schedulers, over every one of them."""

from __future__ import annotations

from stacktune.search.scheduler_kinds import SCHEDULERS
from stacktune.testing import Check, parametrize_with_checks, subject_of
from stacktune.testing.named import named
from stacktune.testing.schedulers import SchedulerSubject, scheduler_checks

SUBJECTS = (
    SchedulerSubject("stacktune.search.asha:Halving", subject_of("linear")),
    # A population needs trials side by side, so reproducible runs halve its family instead: see SearchPlan.uses_pbt.
    SchedulerSubject("stacktune.search.pbt:Exploiting", subject_of("mlp"), takes_lag=False),
)


@parametrize_with_checks(SUBJECTS, scheduler_checks)
def test_the_contract(check: Check) -> None:
    check()


def test_every_scheduler_is_put_to_the_contract() -> None:
    assert {named(subject.kind) for subject in SUBJECTS} == set(SCHEDULERS.values())
