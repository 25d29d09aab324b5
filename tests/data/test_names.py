"""Which columns of a table to predict are whose: labels that are no text, and columns that are left out."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from stacktune.data.column import Column
from stacktune.data.names import positions_of
from stacktune.data.read import read_frame
from stacktune.data.schema import Schema, infer_schema
from stacktune.errors import DataError, DataWarning

LABELS = [
    [0, 1, 2],
    [1.5, 2.0, 10.0],
    ["", "a", "z z"],
    [0, "a", 2.5],
    pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")]),
    pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("b", 2.5)], names=["shop", "size"]),
    pd.MultiIndex.from_product([["a"], pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])]),
    pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"]),
    pd.date_range("2024-01-01T10:00", periods=3, tz="Europe/Vienna"),
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: str(list(labels)[1]))
def test_what_pandas_gives_back_of_the_training_file_has_its_columns(labels, tmp_path):
    """Labels of numbers, of several levels or of dates are text in a Parquet file, and labels again in pandas."""
    values = np.random.default_rng(0).normal(size=(50, 3))
    pd.DataFrame(values, columns=labels).to_parquet(tmp_path / "table.parquet")
    trained = read_frame(str(tmp_path / "table.parquet"))
    schema, _ = infer_schema(trained, set())
    given = pd.read_parquet(tmp_path / "table.parquet")
    np.testing.assert_array_equal(schema.encode(given).features, schema.encode(trained).features)


def _gappy() -> tuple[pd.DataFrame, Schema]:
    """Return a table whose columns "gaps" and "place" miss values, and its schema."""
    frame = pd.DataFrame(
        {
            "whole": np.arange(50.0),
            "gaps": [None, *range(49)],
            "place": ["north", None, "south", "east", "west"] * 10,
            "day": pd.date_range("2024-01-01", periods=50),
        }
    )
    schema, _ = infer_schema(frame, set())
    return frame, schema.with_optional(schema.encode(frame))


def test_columns_that_missed_values_in_training_may_be_left_out_and_that_is_said():
    frame, schema = _gappy()
    assert [column.name for column in schema.columns if column.is_optional] == ["gaps", "place"]
    assert Schema.from_dict(schema.to_dict()) == schema
    with pytest.warns(DataWarning, match=r"leaves out gaps, place \(2 of 4 columns\): taken as missing in every row"):
        without = schema.encode(frame.drop(columns=["gaps", "place"]))
    np.testing.assert_array_equal(without.features, schema.encode(frame.assign(gaps=None, place=None)).features)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema.encode(frame)


def test_a_misspelt_column_is_never_taken_as_left_out():
    frame, schema = _gappy()
    for name in ("Gaps", "gaps ", "gap"):
        with pytest.raises(DataError, match=rf"no column 'gaps', .* Did you mean '{name}'\?"):
            schema.encode(frame.rename(columns={"gaps": name}))
    with pytest.raises(DataError, match=r"no column 'day'"):
        schema.encode(frame.drop(columns=["day", "gaps"]))


def test_a_table_with_none_of_the_columns_is_refused():
    frame, schema = _gappy()
    optional = Schema(tuple(column for column in schema.columns if column.is_optional))
    with pytest.raises(DataError, match=r"no column 'gaps', .* 1 more is missing: 'place'"):
        optional.encode(frame[["whole"]])


def test_what_a_table_has_is_not_called_valid():
    """The names are the table's, and the missing one is the valid one."""
    with pytest.raises(DataError, match=r"no column 'gaps', which the model was trained on\. It has: a, b\.$"):
        positions_of([Column("gaps", "numeric")], pd.DataFrame({"a": [1], "b": [1]}))
