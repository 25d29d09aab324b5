"""A table that does not fit is refused before it is read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stacktune.config import RunConfig
from stacktune.data import memory
from stacktune.data.dataset import load_dataset
from stacktune.data.memory import BYTES_A_CELL, BYTES_ANYHOW, bytes_for, check_fits
from stacktune.errors import DataError
from stacktune.host import Memory


def free(monkeypatch, n_bytes: int) -> None:
    monkeypatch.setattr(memory, "memory_here", lambda: Memory(n_bytes, n_bytes, n_bytes))


def test_what_fits_is_let_through_and_what_does_not_is_refused_with_the_figures(monkeypatch):
    free(monkeypatch, BYTES_ANYHOW + 1_000 * 10 * BYTES_A_CELL)
    check_fits("t.parquet", 1_000, 10, None)
    check_fits("t.parquet", 10**9, 10, 1_000)
    with pytest.raises(DataError, match=r"1,001 rows of 10 columns, .* 1\.1 GB .*; --sample-rows 1000 learns from as"):
        check_fits("t.parquet", 1_001, 10, None)
    with pytest.raises(DataError, match=r"340,001\.1 GB to learn from"):
        check_fits("t.parquet", 10**12, 10, None)


def test_where_nothing_fits_no_sample_is_offered(monkeypatch):
    free(monkeypatch, 10**6)
    with pytest.raises(DataError, match=r"; free some memory, or take a larger machine"):
        check_fits("t.parquet", 1_000, 10, 5)


def test_a_table_that_does_not_fit_is_not_read(monkeypatch, tmp_path):
    frame = pd.DataFrame({"x": np.arange(5_000.0), "y": np.arange(5_000) % 2})
    frame.to_parquet(tmp_path / "t.parquet")
    free(monkeypatch, bytes_for(100, 2))
    with pytest.raises(DataError, match=r"5,000 rows of 2 columns"):
        load_dataset(RunConfig(str(tmp_path / "t.parquet"), "y"))
    dataset, _ = load_dataset(RunConfig(str(tmp_path / "t.parquet"), "y", sample_rows=100))
    assert dataset.table.n_rows == 100
