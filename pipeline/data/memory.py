"""Tells whether a table fits the machine's memory.

It does so from the headers of the table's files alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from stacktune.cgroups import memory_groups
from stacktune.errors import DataError
from stacktune.text import size

# All processes of a run on a million rows of 50 columns, beyond the 1.1 GB that they take on a tiny table
# (tests/benchmarks/memory.py, two cores).
BYTES_A_CELL, BYTES_ANYHOW = 34, 1_100_000_000


@dataclass(frozen=True)
class Memory:
    """This process's memory limit and free memory, in bytes.

    The limit is what it and its children may have at most; the free memory is what they may take beyond what is taken
    now. limited_by: what makes the limit less than the machine's.
    """

    n_bytes: int
    n_free: int
    n_of_machine: int
    limited_by: str = "a limit of the control group"

    def at_most(self, max_bytes: float | None) -> Memory:
        """Return the memory, at most `max_bytes`.

        None asks for all.
        """
        if max_bytes is None or max_bytes >= self.n_free:
            return self
        return Memory(int(max_bytes), int(max_bytes), self.n_of_machine, "--max-memory")

    @property
    def note(self) -> str:
        """Say that the limit is below the machine's memory."""
        if self.n_bytes >= self.n_of_machine:
            return ""
        return f"{size(self.n_bytes)} of memory (of {size(self.n_of_machine)}: {self.limited_by})"


def check_fits(uri: str, n_rows: int, n_columns: int, sample_rows: int | None, max_bytes: float | None = None) -> None:
    """Raise DataError, with figures, for too many rows.

    The table, or the sample of it, has more than can be learnt from here. max_bytes: of memory that the run may plan
    with, if that was limited.
    """
    needed = bytes_for(min(n_rows, sample_rows or n_rows), n_columns)
    free = memory_here().at_most(max_bytes).n_free
    if needed > free:
        most = max(0, int((free - BYTES_ANYHOW) / BYTES_A_CELL / n_columns))
        which, more = ("given by --max-memory", "give more") if max_bytes == free else ("free", "free some memory")
        remedy = f"--sample-rows {most} learns from as many as fit" if most else more
        raise DataError(
            f"the table {uri!r} has {n_rows:,} rows of {n_columns:,} columns, which take about {size(needed)} "
            f"to learn from, and {size(free)} are {which}; {remedy}, or take a larger machine."
        )


def bytes_for(n_rows: int, n_columns: int) -> int:
    """Return about how many bytes a run takes.

    It is over all its processes.
    """
    return BYTES_ANYHOW + BYTES_A_CELL * n_rows * n_columns


def memory_here() -> Memory:
    """Return this machine's memory within control groups.

    They are those that this process is in.
    """
    machine, groups = psutil.virtual_memory(), memory_groups()
    n_bytes = min(machine.total, *(group.limit for group in groups)) if groups else machine.total
    n_free = min([machine.available, *(group.limit - group.used for group in groups)])
    return Memory(n_bytes, max(0, n_free), machine.total)
