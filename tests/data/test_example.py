"""The rows that travel with a model: of the table's types, of its range, and no rows of the table."""

from __future__ import annotations

import datetime
import decimal
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from mlflow.models.utils import convert_input_example_to_serving_input

from stacktune.data.dataset import load_dataset
from stacktune.settings.groups import Settings
from stacktune.tracking.contract import example_of

N = 400


def patients() -> pd.DataFrame:
    """Rows that nobody may see, with a column of each kind."""
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2001-03-04 05:06:07") + pd.to_timedelta(rng.integers(0, 90_000, N), unit="h")
    frame = pd.DataFrame(
        {
            "income": rng.lognormal(10.1234, 1, N),
            "visits": rng.integers(0, 1000, N),
            "name": [f"patient {index % 150}" for index in range(N)],
            "city": rng.choice(["Graz", "Linz", "Wien"], N),
            "code": rng.choice([7, 12], N).astype(str),
            "smokes": rng.random(N) > 0.5,
            "born": day,
            "seen": day.tz_localize("Europe/Vienna", nonexistent="shift_forward", ambiguous=True),
            "written": day.strftime("%d.%m.%Y"),
            "iso": day.strftime("%Y-%m-%d"),
            "date": day.date,
            "spelled": [f"{value:.2f}".replace(".", ",") for value in rng.normal(100, 30, N)],
            "exact": [decimal.Decimal(f"{value:.2f}") for value in rng.normal(100, 30, N)],
            "fee": pd.Series(rng.integers(0, 5, N), dtype="Int64").mask(rng.random(N) < 0.2),
            "level": pd.Categorical(rng.choice(["low", "high"], N)),
        }
    )
    return frame.assign(ill=np.where(frame["income"] > frame["income"].median(), "yes", "no"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    return fit(patients(), "ill", tmp_path_factory.mktemp("patients"))


def test_no_value_of_a_row_is_in_the_example_but_levels_that_many_share(fitted):
    """Five raw rows of the training table travelled with every model."""
    table, example = patients(), fitted.dataset.example
    assert list(example) == fitted.dataset.schema.column_names
    assert len(example) == 5
    shared = {"city", "code", "smokes", "level", "fee", "visits"}
    for name in set(example) - shared:
        of_table = set(map(str, table[name]))
        of_example = set(map(str, example[name]))
        days_alone = {"written", "iso", "date"}  # a day among ten years is there by chance
        assert name in days_alone or not of_table & of_example, name
    assert set(example["city"]) <= {"Graz", "Linz", "Wien"}
    assert set(example.get("name", ["text"])) == {"text"}
    whole = table[list(example)].astype(str).apply(tuple, axis=1)
    assert not set(whole) & set(example.astype(str).apply(tuple, axis=1))
    assert table["income"].quantile(0.95) >= example["income"].max() - table["income"].std()
    assert example["income"].max() < table["income"].max()


def test_the_example_is_of_the_tables_types_and_range(fitted):
    example = fitted.dataset.example
    assert [example[name].dtype.kind for name in ("income", "visits", "smokes", "born")] == ["f", "i", "b", "M"]
    assert example["seen"].dt.tz == fitted.dataset.sample["seen"].dt.tz
    assert all(datetime.datetime.strptime(text, "%d.%m.%Y") for text in example["written"])
    assert set(example["code"]) == {"7", "12"}
    encoded = fitted.dataset.schema.encode(example)
    table = fitted.problem.table
    for place in range(table.n_numeric):
        known = table.features[:, place]
        assert np.nanmin(known) <= encoded.features[:, place].min(), table.names[place]
        assert encoded.features[:, place].max() <= np.nanmax(known), table.names[place]


def test_the_example_is_predicted_without_a_warning_as_it_is_and_as_json(fitted):
    example = fitted.dataset.example
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = fitted.leader.predict(example)
    sent = json.loads(convert_input_example_to_serving_input(example_of(example)))["dataframe_split"]
    pd.testing.assert_frame_equal(fitted.leader.predict(pd.DataFrame(sent["data"], columns=sent["columns"])), predicted)


def test_real_rows_are_there_for_those_who_ask_for_them(tmp_path):
    patients().to_parquet(tmp_path / "table.parquet")
    dataset, _ = load_dataset(Settings(str(tmp_path / "table.parquet"), "ill", input_example="real"))
    pd.testing.assert_frame_equal(dataset.example, dataset.sample)
    assert dataset.example["income"].tolist() == patients()["income"].head(5).tolist()


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(N),
        np.full(N, 1e300),
        np.where(np.arange(N) % 2, 1e-300, -1e300),
        np.arange(N) + 10**17,
        pd.date_range("9000-01-01", periods=N, unit="s"),
        pd.to_timedelta(np.arange(N), unit="h"),
        pd.period_range("2020-01", periods=N, freq="M"),
        np.where(np.arange(N) % 2, "", " "),
        [None, *("a" * (1 + place % 2) for place in range(N - 1))],
        np.arange(N) * 86_400 + 1_600_000_000,
        [20_240_101 + day % 28 for day in range(N)],
    ],
    ids=["zero", "vast", "wide", "large", "far", "durations", "periods", "blank", "missing", "epoch", "compact"],
)
def test_odd_columns_have_an_example_that_is_predicted(values, tmp_path):
    """Whatever the table, an example that the model refuses would end the run at its rehearsal."""
    frame = pd.DataFrame({"odd": values, "x": np.random.default_rng(0).normal(size=N)})
    frame["y"] = np.where(frame["x"] > 0, "up", "down")
    fitted = fit(frame, "y", tmp_path, ("linear",))
    example = fitted.dataset.example
    assert np.isfinite(fitted.leader.predict(example)[["up", "down"]].to_numpy()).all()
    assert json.loads(convert_input_example_to_serving_input(example_of(example)), parse_constant=pytest.fail)
