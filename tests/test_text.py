"""Figures are short, and never say more or less than they are."""

from __future__ import annotations

import pytest

from stacktune.text import amount, brief, clock, number, size


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0:00"), (7.9, "0:07"), (60, "1:00"), (750, "12:30"), (3599.9, "59:59"), (3723, "1:02:03")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "·"),
        (float("nan"), "·"),
        (0.0, "0.0000"),
        (0.93124, "0.9312"),
        (-0.25, "-0.2500"),
        (512.987, "512.99"),
        (46012.3, "46,012"),
        (3e-7, "3.00e-07"),
        (4.2e12, "4.20e+12"),
    ],
)
def test_number(value, shown):
    assert number(value) == shown


def test_an_error_has_the_decimals_of_its_score():
    assert number(1203.4, like=46012.0) == "1,203"
    assert number(0.00123, like=0.93) == "0.0012"


@pytest.mark.parametrize(("value", "shown"), [(0.31, "0.3"), (9.96, "10"), (1234.4, "1,234"), (float("nan"), "·")])
def test_brief(value, shown):
    assert brief(value) == shown


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (4_321, "4.32 kB"),
        (104_000, "104 kB"),
        (2e9, "2 GB"),
        (64 * 2**20, "67.1 MB"),
        (3.4e14, "340 TB"),
    ],
)
def test_a_small_size_is_not_nought(n_bytes, shown):
    """A model of four kilobytes took "0.0 MB"."""
    assert size(n_bytes) == shown


def test_an_amount_has_three_digits():
    assert [amount(n, "rows") for n in (7, 999, 1_234, 1_500_000)] == ["7 rows", "999 rows", "1.23k rows", "1.5M rows"]
