"""A column is encoded alike whatever type, file or program carries it: trained on as one, predicted as another."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stacktune.data.read import read_frame
from stacktune.data.schema import infer_schema

N = 60
RANDOM = np.random.default_rng(0)
HOLES = RANDOM.random(N) < 0.1
FRAME = pd.DataFrame(
    {
        "float": np.where(HOLES, np.nan, RANDOM.normal(size=N).round(4)),
        "whole": RANDOM.integers(0, 9, N),
        "whole with nulls": pd.array(np.where(HOLES, None, RANDOM.integers(0, 9, N)), dtype="Int64"),
        "tiny": RANDOM.integers(1, 99, N) * 1e-49,
        "word": np.where(HOLES, None, RANDOM.choice(["a", "b", "É"], N)),
        "truth": RANDOM.random(N) < 0.5,
        "truth with nulls": pd.array(np.where(HOLES, None, RANDOM.random(N) < 0.5), dtype="boolean"),
        "moment": pd.date_range("2019-05-01", periods=N, freq="37h"),
        "moment with nulls": pd.Series(pd.date_range("2019-05-01", periods=N, freq="37h")).mask(HOLES),
        "euros": [f"{value:,.2f} €".translate(str.maketrans(",.", ".,")) for value in RANDOM.gamma(2, 999, N)],
        "marked": np.where(HOLES, "?", RANDOM.normal(size=N).round(3).astype(str)),
    }
)


def parquet(frame, folder):
    frame.to_parquet(folder / "t.parquet")
    return read_frame(str(folder / "t.parquet"))


def dictionaries(frame, folder):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for place, field in enumerate(table.schema):
        if pa.types.is_large_string(field.type) or pa.types.is_string(field.type):
            coded = table.column(place).dictionary_encode()
            table = table.set_column(place, field.name, coded)
    pq.write_table(table, folder / "t.parquet")
    return read_frame(str(folder / "t.parquet"))


def csv(frame, folder):
    frame.to_csv(folder / "t.csv", index=False)
    return read_frame(str(folder / "t.csv"))


def json_of(unit):
    def carry(frame, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pandas 4 is to write ISO where it is not told
            as_json = frame.to_json(orient="records", date_format="epoch", date_unit=unit, double_precision=15)
        return pd.DataFrame(json.loads(as_json))

    return carry


CARRIERS = {
    "frame": lambda frame, folder: frame,
    "nullable": lambda frame, folder: frame.convert_dtypes(),
    "arrow": lambda frame, folder: frame.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda frame, folder: frame.astype(object),
    "one by one": lambda frame, folder: pd.DataFrame(frame.to_dict("records")),
    "pandas csv": lambda frame, folder: pd.read_csv(io.StringIO(frame.to_csv(index=False)), keep_default_na=True),
    "iso json": lambda frame, folder: pd.DataFrame(
        json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    ),
    **{f"json in {unit}": json_of(unit) for unit in ("s", "ms", "us", "ns")},
    "parquet": parquet,
    "csv": csv,
}
# What only some can be trained on: JSON has no type of dates, and 1e-49 is 0 with its fifteen digits.
TRAINED_ON = ("frame", "nullable", "arrow", "objects", "one by one", "parquet", "csv")


def carried(name, folder):
    frame = CARRIERS[name](FRAME, folder)
    return frame.assign(tiny=FRAME["tiny"]) if "json" in name else frame


@pytest.mark.parametrize("again", CARRIERS)
@pytest.mark.parametrize("trained_on", TRAINED_ON)
def test_a_table_is_encoded_alike_in_every_carrier(trained_on, again, tmp_path):
    schema, _ = infer_schema(carried(trained_on, tmp_path), set())
    assert [column.kind for column in schema.columns] == [column.kind for column in SCHEMA.columns]
    frame = carried(again, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = schema.encode(frame).features
    np.testing.assert_allclose(features, EXPECTED, rtol=1e-6)


@pytest.mark.parametrize("again", CARRIERS)
def test_a_row_alone_is_encoded_as_in_company(again, tmp_path):
    frame = carried(again, tmp_path)
    for place in (0, 7, N - 1):
        alone = SCHEMA.encode(frame.iloc[[place]]).features
        np.testing.assert_allclose(alone, EXPECTED[[place]], rtol=1e-6)


def test_dictionaries_of_text_stay_categories(tmp_path):
    schema, _ = infer_schema(FRAME, set())
    np.testing.assert_allclose(schema.encode(dictionaries(FRAME, tmp_path)).features, EXPECTED, rtol=1e-6)


SCHEMA = infer_schema(FRAME, set())[0]
EXPECTED = SCHEMA.encode(FRAME).features
