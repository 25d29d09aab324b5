"""The contract over all families, continued in a file of its own, which runs beside the other."""

from stacktune.testing import Check, house_subjects, odd_table_checks, parametrize_with_checks


@parametrize_with_checks(house_subjects(), odd_table_checks)
def test_the_contract_on_odd_tables(check: Check) -> None:
    check()
