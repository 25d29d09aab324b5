"""Samples of tables that are too large."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.read import read_source
from pipeline.data.sample import Sample, sampled_rows


@given(st.integers(1, 400), st.integers(1, 500), st.integers(1, 6), st.integers(0, 3))
def test_each_class_keeps_its_share_or_ten_rows(n_rows, n_sampled, n_classes, seed):
    codes = np.random.default_rng(seed).integers(0, n_classes, n_rows)
    target = pa.chunked_array([pa.array([f"c{code}" for code in codes])])
    rows = sampled_rows(target, Sample(n_sampled, "y", seed))
    assert (np.diff(rows) > 0).all()
    share = min(1.0, n_sampled / n_rows)
    for size, kept in zip(np.bincount(codes, minlength=6), np.bincount(codes[rows], minlength=6), strict=True):
        assert kept >= min(size, 10)
        assert abs(kept - share * size) <= 1 or kept <= 10


@pytest.mark.parametrize(
    "target",
    [
        pa.array(np.random.default_rng(0).normal(size=5_000)),
        pa.array(np.arange(5_000)),
        pa.array(["a", None] * 2_500),
        pa.array(["a", "b"] * 2_500).dictionary_encode(),
        pa.array([[1]] * 5_000),
    ],
)
def test_any_target_can_be_sampled(target):
    rows = sampled_rows(pa.chunked_array([target]), Sample(500, "y", 0))
    assert 500 <= len(rows) <= 510
    assert rows.min() < 100
    assert rows.max() > 4_900


@pytest.mark.parametrize("place", ["one.parquet", "folder", "one.csv"])
def test_a_sample_of_a_file_a_folder_and_csv_has_whole_rows(tmp_path, place):
    frame = pd.DataFrame({"x": np.arange(1_000), "k": [f"k{x % 7}" for x in range(1_000)], "y": np.arange(1_000) % 4})
    if place == "folder":
        (tmp_path / place / "year=1").mkdir(parents=True)
        frame.head(600).to_parquet(tmp_path / place / "year=1" / "a.parquet")
        frame.tail(400).to_parquet(tmp_path / place / "year=1" / "b.parquet")
    elif place.endswith("csv"):
        frame.to_csv(tmp_path / place, index=False)
    else:
        frame.to_parquet(tmp_path / place)
    source = read_source(str(tmp_path / place), sample=Sample(100, "y", 0))
    assert len(source.frame) == 100
    assert "learns from a sample of 100 rows, as --sample-rows asks" in source.notes
    whole = frame.set_index("x").loc[source.frame["x"]]
    assert source.frame["k"].tolist() == whole["k"].tolist()
    assert source.frame["y"].value_counts().tolist() == [25] * 4
