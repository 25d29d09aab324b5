"""A table means the same whatever carries it: train as A, predict as B, for every pair of carriers."""

from __future__ import annotations

import datetime
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import infer_and_parse_data, parse_csv_input
from mlflow.utils.proto_json_utils import dump_input_data

from stacktune.data.read import read_for, read_frame
from stacktune.data.schema import Schema, infer_schema
from stacktune.tracking.contract import example_of

N_ROWS = 24
Carrier = Callable[..., pd.DataFrame]


def as_parquet(frame: pd.DataFrame, schema: Schema | None = None) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.parquet")
        frame.to_parquet(path, index=False)
        return read_frame(str(path)) if schema is None else read_for(schema, str(path))


def as_csv(frame: pd.DataFrame, schema: Schema | None = None) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        frame.to_csv(path, index=False)
        return read_frame(str(path)) if schema is None else read_for(schema, str(path))


def as_nullable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes()


def as_arrow(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes(dtype_backend="pyarrow")


def as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), None)


def as_pandas_reads_parquet(frame: pd.DataFrame) -> pd.DataFrame:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return pd.read_parquet(buffer)


def as_pandas_reads_csv(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def sent(body: str) -> pd.DataFrame:
    """Return what MLflow's server makes of the body of a request for a model whose signature asks no inputs."""
    return infer_and_parse_data(json.loads(body), None)


def as_json_records(frame: pd.DataFrame) -> pd.DataFrame:
    return sent(json.dumps({"dataframe_records": example_of(frame).to_dict("records")}))


def as_json_split(frame: pd.DataFrame) -> pd.DataFrame:
    return sent(dump_input_data(example_of(frame)))


def as_pandas_json(frame: pd.DataFrame) -> pd.DataFrame:
    """Dates are milliseconds since 1970."""
    plain = frame.assign(
        price=frame["price"].map(float, na_action="ignore"), time=frame["time"].map(str), lasts=frame["lasts"].map(str)
    )
    records = plain.to_json(orient="records", date_format="epoch", date_unit="ms", double_precision=15)
    return sent(f'{{"dataframe_records": {records}}}')


def as_server_csv(frame: pd.DataFrame) -> pd.DataFrame:
    return parse_csv_input(io.StringIO(frame.to_csv(index=False)), None)


TRAINED: dict[str, Carrier] = {
    "parquet": as_parquet,
    "csv": as_csv,
    "nullable": as_nullable,
    "arrow": as_arrow,
    "objects": as_objects,
}
FILES = (as_parquet, as_csv)
PREDICTED: dict[str, Carrier] = {
    **TRAINED,
    "pandas parquet": as_pandas_reads_parquet,
    "pandas csv": as_pandas_reads_csv,
    "JSON records": as_json_records,
    "JSON split": as_json_split,
    "JSON of pandas": as_pandas_json,
    "server CSV": as_server_csv,
}

WORDS = st.sampled_from(["red", "green", "dark blue", "x", "Ünï", 'a "b", c', " spaced "])
SINCE, UNTIL = datetime.datetime(2015, 1, 1), datetime.datetime(2030, 12, 31)
SECONDS = st.datetimes(SINCE, UNTIL).map(lambda moment: moment.replace(microsecond=0))
VALUES = {
    "whole": st.integers(-(10**6), 10**6),
    "large": st.integers(10**12, 10**12 + 1000),
    "share": st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6)),
    "tenfold": st.sampled_from([1.0, 2.0, 10.0]),
    "flag": st.booleans(),
    "answer": st.sampled_from(["yes", "no"]),
    "word": WORDS,
    "level": WORDS,
    "code": st.sampled_from(["007", "012", "A5", "100"]),
    "digits": st.sampled_from(["007", "012", "100"]),
    "grade": st.sampled_from(["1", "2", "10"]),
    "number": st.sampled_from(["1.50", "2", "-.3"]),
    "day": st.dates(SINCE.date(), UNTIL.date()),
    "moment": SECONDS,
    "zoned": SECONDS,
    "written": SECONDS.map(lambda moment: moment.date().isoformat()),
    "price": st.decimals(0, 1000, places=2),
    "lasts": st.integers(0, 90 * 86_400).map(lambda seconds: datetime.timedelta(seconds=seconds)),
    "truth": st.sampled_from(["true", "false"]),
    "time": st.times().map(lambda time: time.replace(microsecond=0)),
    "count": st.integers(0, 50),
    "agreed": st.booleans(),
}
TYPES = {
    "level": "category",
    "count": "Int64",
    "agreed": "boolean",
    "moment": "datetime64[us]",
    "zoned": "datetime64[us, Europe/Vienna]",
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table with a column of each kind, any of which but `whole` may have gaps, and some of its rows."""
    columns = {}
    for name, values in VALUES.items():
        with_gaps = name != "whole" and draw(st.booleans(), label=f"{name} has gaps")
        drawn = draw(
            st.lists(values | st.none() if with_gaps else values, min_size=N_ROWS, max_size=N_ROWS), label=name
        )
        columns[name] = pd.Series(drawn, dtype=object).astype(TYPES.get(name, object))
    frame = pd.DataFrame(columns)
    for name in ("whole", "large", "share", "tenfold", "flag"):
        frame[name] = frame[name].infer_objects()
    rows = draw(st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=N_ROWS, unique=True), label="rows")
    return frame, frame.iloc[rows]


def encoded(schema: Schema, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    table = schema.encode(frame)
    return dict(zip(table.names, table.features.T, strict=True))


@pytest.mark.parametrize("trained", TRAINED)
@settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(tables=frames())
def test_a_table_is_encoded_alike_whatever_carries_it(trained, tables):
    frame, few = tables
    carried = TRAINED[trained](frame)
    schema, _ = infer_schema(carried, set())
    assume(schema.columns)
    expected = encoded(schema, carried.iloc[few.index])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, carrier in PREDICTED.items():
            rows = few.reset_index(drop=True)
            found = encoded(schema, carrier(rows, schema) if carrier in FILES else carrier(rows))
            for feature, values in expected.items():
                what = f"{feature}, trained as {trained}, given as {name}"
                np.testing.assert_array_equal(found[feature], values, what)


def codes_of(trained: list, given_: object) -> list[float]:
    """Return the first feature of `given_` in the schema of a column that held `trained`."""
    schema, _ = infer_schema(pd.DataFrame({"c": trained}), set())
    return schema.encode(pd.DataFrame({"c": given_})).features[:, 0].tolist()


def test_codes_that_were_read_as_numbers_are_the_codes_that_they_stand_for():
    """Whoever guesses a CSV file's types makes 7 of 007: all rows were unseen, and AUC fell from .870 to .558."""
    trained = ["007", "012", "A5", "1e2"] * 10
    expected = codes_of(trained, ["007", "012", "1e2"])
    assert codes_of(trained, [7, 12, 100]) == codes_of(trained, [7.0, 12.0, 100.0]) == expected
    assert codes_of(trained, pd.Series([7, 12, 100], dtype=object)) == expected
    with_gap = codes_of(trained, [7, None])
    assert with_gap[0] == expected[0]
    assert np.isnan(with_gap[1])


def test_numbers_that_several_codes_stand_for_and_texts_of_other_codes_are_none_of_them():
    trained = ["007", "07", "8", "A5"] * 10
    (unseen,) = codes_of(trained, ["never seen"])
    np.testing.assert_equal(codes_of(trained, [7]), [unseen])
    np.testing.assert_equal(codes_of(trained, ["7", "008"]), [unseen, unseen])
    assert codes_of([*trained, "7"], [7]) == codes_of([*trained, "7"], ["7"])


def test_words_that_were_read_as_truth_values_are_the_words():
    trained = ["true", "false", "unknown"] * 10
    assert codes_of(trained, [True, False]) == codes_of(trained, ["true", "false"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("06:24:15", 23055.0),
        ("1 days 02:00:00.5", 93600.5),
        ("1 day, 2:00:00", 93600.0),
        ("-1 day, 23:00:00", -3600.0),
        ("-1 days +23:00:00", -3600.0),
        ("3 days", 259200.0),
    ],
)
def test_times_and_durations_that_were_written_as_text_are_seconds(text, seconds):
    """JSON and CSV have no type of them, so that all became missing."""
    durations = pd.to_timedelta(np.arange(40), unit="s")
    assert codes_of(durations, [text, "soon", None])[0] == seconds
    assert np.isnan(codes_of(durations, [text, "soon", None])[1:]).all()
    assert codes_of([*map(str, durations), text], [text]) == [seconds]


def test_durations_and_zoned_moments_of_arrow_are_what_they_are():
    """Durations were categories, and moments with a zone ended in a traceback."""
    frame = pd.DataFrame(
        {
            "lasts": pd.to_timedelta(np.arange(40), unit="min"),
            "at": pd.date_range("2024-01-01", periods=40, tz="Europe/Vienna").as_unit("us"),
        }
    )
    schema, _ = infer_schema(as_arrow(frame), set())
    assert [column.kind for column in schema.columns] == ["numeric", "datetime"]
    np.testing.assert_array_equal(schema.encode(as_arrow(frame)).features, schema.encode(frame).features)
