"""Whether a table can be learnt from in the memory that there is, told from its files' headers alone."""

from __future__ import annotations

from stacktune.errors import DataError
from stacktune.host import memory_here

# All processes of a run on a million rows of 50 columns, beyond the 1.1 GB that they take on a tiny table
# (tests/benchmarks/memory.py, two cores).
BYTES_A_CELL, BYTES_ANYHOW = 34, 1_100_000_000


def check_fits(uri: str, n_rows: int, n_columns: int, sample_rows: int | None) -> None:
    """Raise DataError, with the figures, unless so many rows (or the sample of them) can be learnt from here."""
    needed = bytes_for(min(n_rows, sample_rows or n_rows), n_columns)
    free = memory_here().n_free
    if needed > free:
        most = max(0, int((free - BYTES_ANYHOW) / BYTES_A_CELL / n_columns))
        remedy = f"--sample-rows {most} learns from as many as fit" if most else "free some memory"
        raise DataError(
            f"the table {uri!r} has {n_rows:,} rows of {n_columns:,} columns, which take about {needed / 1e9:,.1f} GB "
            f"to learn from, and {free / 1e9:,.1f} GB are free; {remedy}, or take a larger machine."
        )


def bytes_for(n_rows: int, n_columns: int) -> int:
    """Return about how many bytes a run takes over all its processes."""
    return BYTES_ANYHOW + BYTES_A_CELL * n_rows * n_columns
