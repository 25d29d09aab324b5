"""What a table's columns hold, as models see them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stacktune.data.dataset import load_dataset
from stacktune.data.in_memory import Tables
from stacktune.data.profile import FEATURE, LEFT_OUT, N_BINS, TARGET, profile_of, with_raw
from stacktune.data.scale import scale_of
from stacktune.settings.read import load_settings

N_ROWS = 400


def mixed_table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    amount = rng.normal(50, 10, N_ROWS)
    amount[:40] = np.nan
    amount[40] = 1e9
    return pd.DataFrame(
        {
            "amount": amount,
            "city": rng.choice(["Oslo", "Rome", "Lima"], N_ROWS, p=[0.7, 0.2, 0.1]),
            "sold": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 100, N_ROWS), unit="D"),
            "price": [f"{value:.2f} €".replace(".", ",") for value in rng.uniform(1, 9, N_ROWS)],
            "member": rng.random(N_ROWS) < 0.5,
            "number": np.arange(N_ROWS),
            "code": [f"{value:x}-a" for value in rng.permutation(N_ROWS)],
            "constant": 1,
            "empty": None,
            "site": rng.integers(0, 20, N_ROWS),
            "y": np.where(rng.random(N_ROWS) < 0.1, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def profiled():
    frame = mixed_table()
    config = load_settings({"data": "in-memory", "target": "y", "group": "site"})
    dataset, _ = load_dataset(config, Tables(frame))
    profile = profile_of(dataset.table, dataset.schema, dataset.task, dataset.target_name)
    return frame, with_raw(profile, frame, {"site"})


def test_each_column_has_its_role_and_kind(profiled):
    frame, profile = profiled
    assert profile.n_rows == N_ROWS
    assert [one.name for one in profile.columns] == ["y", *frame.columns[:-1]]
    assert {one.name: one.kind for one in profile.features} == {
        "amount": "numeric",
        "city": "categorical",
        "sold": "datetime",
        "price": "numeric",
        "member": "boolean",
    }
    left_out = {one.name: one.why for one in profile.columns if one.role == LEFT_OUT}
    assert left_out == {
        "number": "taken for row numbers",
        "code": "taken for an identifier",
        "constant": "one value only",
        "empty": "no value in any row",
        "site": "as you ask",
    }
    assert [one.why for one in profile.features if one.name == "price"] == ["read from text as numbers"]


def test_facts_are_those_of_the_raw_columns(profiled):
    frame, profile = profiled
    by_name = {one.name: one for one in profile.columns}
    amount = by_name["amount"]
    assert (amount.n_missing, amount.n_distinct) == (40, frame["amount"].nunique())
    assert (amount.low, amount.high) == (frame["amount"].min(), 1e9)
    assert amount.quartiles == pytest.approx(frame["amount"].quantile([0.25, 0.5, 0.75]), rel=1e-6)
    assert by_name["city"].top == tuple(frame["city"].value_counts().items())
    assert by_name["sold"].n_distinct == frame["sold"].nunique()
    assert by_name["sold"].high == frame["sold"].max().timestamp()
    assert by_name["empty"].n_missing == N_ROWS
    assert by_name["site"].n_distinct == 20
    assert by_name["y"].role == TARGET
    assert dict(by_name["y"].top) == frame["y"].value_counts().to_dict()


def test_one_huge_number_does_not_hide_the_others(profiled):
    """A histogram from 20 to 1e9 would have one bar."""
    amount = next(one for one in profiled[1].columns if one.name == "amount")
    assert len(amount.counts) == N_BINS == len(amount.edges) - 1
    assert sum(amount.counts) == N_ROWS - 40
    assert np.count_nonzero(amount.counts) > N_BINS / 2


def test_a_target_of_numbers_has_a_distribution():
    frame = mixed_table().assign(y=np.linspace(-3, 5, N_ROWS))
    dataset, _ = load_dataset(load_settings({"data": "in-memory", "target": "y"}), Tables(frame))
    target = profile_of(dataset.table, dataset.schema, dataset.task, "y").columns[0]
    assert (target.role, target.low, target.high, target.n_distinct) == (TARGET, -3, 5, N_ROWS)
    assert set(target.counts) <= set(range(23, 29)), "spread evenly"


def test_an_unlabelled_table_has_features_alone():
    frame = mixed_table().drop(columns="y")
    dataset, _ = load_dataset(load_settings({"data": "in-memory", "target": "member"}), Tables(frame))
    profile = profile_of(dataset.table, dataset.schema)
    assert {one.role for one in profile.columns} == {FEATURE}


@pytest.mark.parametrize("values", [[1e-300, 1e-9, 1.0, -5.0], [1e9, 1e9 + 1, 1e9 + 2], [1e40, 2e40, -1e40], [0.5, 2]])
def test_a_scale_is_undone(values):
    values = np.array(values)
    scale, _ = scale_of(values)
    assert scale.undo(scale.apply(values)) == pytest.approx(values, rel=1e-9)
