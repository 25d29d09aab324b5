"""A table that does not fit is refused before it is read."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pandas as pd
import pytest

from stacktune.cgroups import MemoryGroup
from stacktune.data import memory
from stacktune.data.dataset import load_dataset
from stacktune.data.memory import BYTES_A_CELL, BYTES_ANYHOW, Memory, bytes_for, check_fits, memory_here
from stacktune.errors import DataError
from stacktune.settings.groups import Settings

Machine = namedtuple("Machine", "total available")


def free(monkeypatch, n_bytes: int) -> None:
    monkeypatch.setattr(memory, "memory_here", lambda: Memory(n_bytes, n_bytes, n_bytes))


def test_what_fits_is_let_through_and_what_does_not_is_refused_with_the_figures(monkeypatch):
    free(monkeypatch, BYTES_ANYHOW + 1_000 * 10 * BYTES_A_CELL)
    check_fits("t.parquet", 1_000, 10, None)
    check_fits("t.parquet", 10**9, 10, 1_000)
    with pytest.raises(DataError, match=r"1,001 rows of 10 columns, .* 1\.1 GB .*; --sample-rows 1000 learns from as"):
        check_fits("t.parquet", 1_001, 10, None)
    with pytest.raises(DataError, match=r"340 TB to learn from"):
        check_fits("t.parquet", 10**12, 10, None)


def test_less_memory_may_be_planned_with_than_is_free(monkeypatch):
    free(monkeypatch, 10**12)
    with pytest.raises(DataError, match=r"and 1\.2 GB are given by --max-memory; --sample-rows \d+ learns"):
        check_fits("t.parquet", 10**9, 10, None, 1.2e9)
    machine = Memory(8_000_000_000, 6_000_000_000, 16_000_000_000)
    assert machine.at_most(7e9) == machine.at_most(None) == machine
    assert machine.at_most(2e9).note == "2 GB of memory (of 16 GB: --max-memory)"


def test_where_nothing_fits_no_sample_is_offered(monkeypatch):
    free(monkeypatch, 10**6)
    with pytest.raises(DataError, match=r"; free some memory, or take a larger machine"):
        check_fits("t.parquet", 1_000, 10, 5)


def test_a_table_that_does_not_fit_is_not_read(monkeypatch, tmp_path):
    frame = pd.DataFrame({"x": np.arange(5_000.0), "y": np.arange(5_000) % 2})
    frame.to_parquet(tmp_path / "t.parquet")
    free(monkeypatch, bytes_for(100, 2))
    with pytest.raises(DataError, match=r"5,000 rows of 2 columns"):
        load_dataset(Settings(str(tmp_path / "t.parquet"), "y"))
    dataset, _ = load_dataset(Settings(str(tmp_path / "t.parquet"), "y", sample_rows=100))
    assert dataset.table.n_rows == 100


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([], Memory(1000, 600, 1000)),
        ([MemoryGroup(2**63, 900)], Memory(1000, 600, 1000)),
        ([MemoryGroup(800, 100)], Memory(800, 600, 1000)),
        ([MemoryGroup(800, 300)], Memory(800, 500, 1000)),
        ([MemoryGroup(800, 300), MemoryGroup(900, 850)], Memory(800, 50, 1000)),
        ([MemoryGroup(800, 900)], Memory(800, 0, 1000)),
    ],
)
def test_the_memory_is_the_least_of_the_machines_and_every_levels(monkeypatch, groups, found):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: Machine(1000, 600))
    monkeypatch.setattr(memory, "memory_groups", lambda: groups)
    assert memory_here() == found


def test_memory_is_spoken_of_where_it_is_limited():
    assert Memory(10**9, 5, 10**9).note == ""
    assert Memory(2 * 10**9, 5, 64 * 10**9).note == "2 GB of memory (of 64 GB: a limit of the control group)"
