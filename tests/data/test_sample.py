"""Samples of tables that are too large."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.data.dataset import load_dataset
from stacktune.data.read import read_source
from stacktune.data.sample import Sample, draw_sample
from stacktune.errors import DataError
from stacktune.metrics import get_metric
from stacktune.settings.groups import Settings


@given(st.integers(1, 400), st.integers(1, 500), st.integers(1, 6), st.integers(0, 3))
def test_each_class_keeps_its_share_or_ten_rows(n_rows, n_sampled, n_classes, seed):
    codes = np.random.default_rng(seed).integers(0, n_classes, n_rows)
    target = pa.chunked_array([pa.array([f"c{code}" for code in codes])])
    rows = draw_sample(target, Sample(n_sampled, "y", seed)).rows
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
    rows = draw_sample(pa.chunked_array([target]), Sample(500, "y", 0)).rows
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


@settings(deadline=None)
@given(st.lists(st.integers(1, 2_000), min_size=1, max_size=6), st.integers(1, 500))
def test_weights_give_each_class_the_share_that_it_has_in_the_table(sizes, n_sampled):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    drawn = draw_sample(pa.chunked_array([pa.array([f"c{code}" for code in codes])]), Sample(n_sampled, "y", 0))
    weight = np.ones(len(drawn.rows)) if drawn.weight is None else drawn.weight
    shares = np.bincount(codes[drawn.rows], weight, minlength=len(sizes)) / weight.sum()
    # Without weights a class has its share but for the one row that it may have more or fewer.
    np.testing.assert_allclose(shares, np.array(sizes) / sum(sizes), atol=1e-12 if drawn.weight is not None else 0.1)
    assert weight.mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("target", "task", "n_rows"),
    [
        (pa.array([min(row, 400) for row in range(5_000)]), "auto", 500),  # amounts: the rare are no classes
        (pa.array([min(row, 400) for row in range(5_000)]), "regression", 500),
        (pa.array([min(row, 400) for row in range(5_000)]), "multiclass", 860),
        (pa.array([min(row, 9) for row in range(5_000)]), "auto", 508),
        (pa.array([decimal.Decimal(row) for row in range(5_000)]), "auto", 500),
    ],
)
def test_amounts_are_sampled_without_regard_to_their_values(target, task, n_rows):
    drawn = draw_sample(pa.chunked_array([target]), Sample(500, "y", 0, task))
    assert len(drawn.rows) == pytest.approx(n_rows, abs=5)
    assert (drawn.weight is None) == (n_rows == 500)


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """60 positives in 200,000 rows."""
    folder = tmp_path_factory.mktemp("rare")
    random = np.random.default_rng(0)
    y = np.where(np.arange(200_000) % 3_334 == 7, "fraud", "legit")
    x = random.normal(size=200_000) + 2.0 * (y == "fraud")
    frame = pd.DataFrame({"x": x, "w": random.integers(1, 4, 200_000), "y": y})
    frame.to_parquet(folder / "t.parquet")
    return str(folder / "t.parquet"), frame


def _positive_share(table, task):
    weight = np.ones(table.n_rows) if table.weight is None else table.weight.astype(float)
    return weight[table.target == task.classes.index("fraud")].sum() / weight.sum()


def test_a_sample_keeps_the_base_rate(rare):
    """A base rate of .00003 became .001: ten rows of a rare class are kept, and weighed as if they were all."""
    path, frame = rare
    dataset, test = load_dataset(Settings(path, "y", sample_rows=2_000, n_folds=2))
    assert test is None
    assert 2_005 <= dataset.table.n_rows <= 2_012
    assert dataset.table.names == ("x", "w")
    rate = (frame["y"] == "fraud").mean()
    assert _positive_share(dataset.table, dataset.task) == pytest.approx(rate, rel=1e-5)
    assert any("more rows of rare values of y than their share, which weights make good" in n for n in dataset.notes)
    metric = get_metric("log_loss", "binary")
    constant = np.tile([[rate, 1 - rate]], (dataset.table.n_rows, 1))
    whole = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    positive_first = constant if dataset.task.classes[0] == "fraud" else constant[:, ::-1]
    score = metric.shown(metric.score(dataset.table.target, positive_first, dataset.table.weight))
    assert score == pytest.approx(whole, rel=1e-4)


def test_weights_of_a_sample_multiply_with_those_of_a_column_and_reach_the_test_rows(rare):
    path, frame = rare
    dataset, test = load_dataset(Settings(path, "y", sample_rows=2_000, weight="w", test_size=0.3, n_folds=2))
    rate = frame["w"][frame["y"] == "fraud"].sum() / frame["w"].sum()
    both = [_positive_share(table, dataset.task) for table in (dataset.table, test)]
    assert np.average(both, weights=[0.7, 0.3]) == pytest.approx(rate, rel=0.3)  # of ten rows with weights 1 to 3
    assert dataset.table.weight.mean() == pytest.approx(1)
    assert dataset.schema.column_names == ["x"]


def test_a_sample_without_rare_classes_has_no_weights(rare):
    path, _ = rare
    dataset, _ = load_dataset(Settings(path, "x", sample_rows=2_000))
    assert dataset.table.weight is None
    assert not any("rare values" in note for note in dataset.notes)


def test_a_column_that_is_called_like_the_weights_is_refused_before_it_is_overwritten(rare, tmp_path):
    _, frame = rare
    frame.head(20_000).assign(__sample_weight__=1.0).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"has a column '__sample_weight__', a name that .* needs\. Rename it"):
        load_dataset(Settings(str(tmp_path / "t.parquet"), "y", sample_rows=200))
