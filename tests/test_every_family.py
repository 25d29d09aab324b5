"""The contract of a family, see pipeline/testing, over every family that the registry finds and every task of it."""

from stacktune.testing import Check, house_subjects, parametrize_with_checks, usual_table_checks


@parametrize_with_checks(house_subjects(), usual_table_checks)
def test_the_contract(check: Check) -> None:
    check()
