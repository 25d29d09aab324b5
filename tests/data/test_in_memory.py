"""A table in memory is read as the same table in a file is, and stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stacktune.data.dataset import load_dataset
from stacktune.data.in_memory import Tables, as_rows, source_in_memory
from stacktune.errors import ConfigError, DataError
from stacktune.settings.groups import Settings
from stacktune.settings.problem import IN_MEMORY

N = 90
RANDOM = np.random.default_rng(0)
HOLES = RANDOM.random(N) < 0.1
FRAME = pd.DataFrame(
    {
        "float": np.where(HOLES, np.nan, RANDOM.normal(size=N)),
        "whole": RANDOM.integers(0, 9, N),
        "nullable": pd.array(np.where(HOLES, None, RANDOM.integers(0, 9, N)), dtype="Int64"),
        "word": np.where(HOLES, None, RANDOM.choice(["a", "b", "É"], N)),
        "level": pd.Categorical(RANDOM.choice(["x", "y"], N)),
        "truth": RANDOM.random(N) < 0.5,
        "moment": pd.date_range("2019-05-01", periods=N, freq="37h"),
        "zoned": pd.date_range("2019-05-01", periods=N, freq="37h", tz="Europe/Paris"),
        "list": [[1, 2]] * N,
        "y": RANDOM.choice(["no", "yes"], N, p=[0.6, 0.4]),
    }
)
ASKED = Settings(IN_MEMORY, "y")


class Streams:
    """What another library's table is to us."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def load(table, test=None, **settings):
    asked = replace(ASKED, test_data=None if test is None else IN_MEMORY, **settings)
    return load_dataset(asked, Tables(as_rows(table), None if test is None else as_rows(test)))


CARRIERS = {
    "a frame": lambda: FRAME,
    "a frame of Arrow's types": lambda: FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "an Arrow table": lambda: pa.Table.from_pandas(FRAME, preserve_index=False),
    "a library that exports Arrow": lambda: Streams(pa.Table.from_pandas(FRAME, preserve_index=False)),
    "rows that were chosen": lambda: pd.concat([FRAME, FRAME]).iloc[:N],
}


@pytest.fixture(scope="module")
def from_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("desk") / "table.parquet"
    FRAME.to_parquet(path)
    return load_dataset(replace(ASKED, data=str(path)))[0]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_it_has_the_digest_notes_and_columns_of_the_same_table_in_a_file(carrier, from_file):
    dataset, test = load(CARRIERS[carrier]())
    assert (dataset.digest, dataset.schema, dataset.task) == (from_file.digest, from_file.schema, from_file.task)
    assert dataset.notes == from_file.notes
    assert any("left out 1 column of lists" in note for note in dataset.notes)
    assert (dataset.name, dataset.source, test) == ("y", IN_MEMORY, None)


def test_columns_of_a_frame_are_not_copied_though_others_are_left_out():
    source = source_in_memory(FRAME.set_axis(range(1, N + 1)), IN_MEMORY)
    assert "list" not in source.frame
    assert all(np.shares_memory(source.frame[name].to_numpy(), FRAME[name].to_numpy()) for name in ("float", "whole"))


def test_a_frame_is_not_changed_by_what_is_done_with_it():
    frame = FRAME.drop(columns="list").set_axis([f"row {n}" for n in range(N)])
    for name in ("float", "whole", "truth"):
        frame[name].to_numpy().flags.writeable = False
    before = frame.copy(deep=True)
    load(frame, frame.head(30), sample_rows=60)
    pd.testing.assert_frame_equal(frame, before)


def test_a_sample_and_a_split_are_those_of_the_file(tmp_path):
    frame = pd.concat([FRAME.drop(columns="list")] * 3, ignore_index=True).assign(float=RANDOM.normal(size=3 * N))
    frame.to_parquet(tmp_path / "table.parquet")
    asked = {"sample_rows": 200, "test_size": 0.3}
    read, its_test = load_dataset(replace(ASKED, data=str(tmp_path / "table.parquet"), **asked))
    dataset, test = load(frame, **asked)
    assert dataset.digest == read.digest
    np.testing.assert_array_equal(test.features, its_test.features)


def test_a_sample_by_a_target_of_several_types_is_drawn():
    mixed = FRAME.assign(y=pd.Series([1 if value == "yes" else value for value in FRAME["y"]], dtype=object))
    assert load(mixed, sample_rows=60)[0].table.n_rows == 60


def test_an_index_is_no_feature_and_said_unless_it_is_the_number_of_the_row():
    named = FRAME.set_index("word")
    dataset, _ = load(named)
    assert "word" not in dataset.schema.column_names
    assert "the index (word) is not learnt from: reset_index() makes columns of it" in dataset.notes
    moments, _ = load(FRAME.set_axis(pd.date_range("2020", periods=N)))
    assert "the index is not learnt from: reset_index() makes columns of it" in moments.notes
    shuffled, _ = load(FRAME.sample(frac=1.0, random_state=0))
    assert not any("index" in note for note in shuffled.notes)


def test_labels_that_are_no_texts_become_texts_and_this_is_said():
    numbered = FRAME.rename(columns={"float": 0, "whole": ("a", 1)})
    dataset, test = load(numbered, numbered)
    assert {"0", "('a', '1')"} <= set(dataset.schema.column_names)
    assert "called 2 columns, whose labels are no texts, by their labels' text: 0, ('a', '1')" in dataset.notes
    assert test.n_rows == N


def test_two_labels_with_one_text_are_refused():
    with pytest.raises(DataError, match="column names must be unique, but 'in-memory' has 2 columns '0'"):
        load(FRAME.rename(columns={"float": 0, "whole": "0"}))


def test_a_target_that_is_not_there_or_a_list_is_refused_as_in_a_file():
    with pytest.raises(DataError, match=r"has no target column 'yy'\. Did you mean 'y'"):
        load(FRAME, target="yy")
    with pytest.raises(DataError, match="the target column 'list' holds lists"):
        load(FRAME, target="list")
    with pytest.raises(DataError, match="the table 'in-memory' has no rows"):
        load(FRAME.head(0))
    with pytest.raises(DataError, match="the test table 'in-memory' has no target column 'y'"):
        load(FRAME, FRAME.drop(columns="y"))


def test_a_table_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("stacktune.data.memory.BYTES_ANYHOW", 10**18)
    with pytest.raises(DataError, match=f"the table 'in-memory' has {N} rows of 10 columns"):
        load(FRAME)


@pytest.mark.parametrize("table", [np.zeros((2, 2)), {"y": [1]}, [1]])
def test_what_is_no_table_is_refused_with_what_is_one(table):
    with pytest.raises(ConfigError, match=rf"a pandas DataFrame or what exports Arrow .* not {type(table).__name__}"):
        as_rows(table)


def test_what_exports_arrow_but_no_columns_is_refused():
    with pytest.raises(DataError, match="the Series cannot be read as an Arrow table"):
        as_rows(FRAME["y"])


def test_periods_are_the_times_at_which_they_begin():
    """Columns of them were dropped, as if no row had a value."""
    days = pd.period_range("2020-01-01", periods=N, freq="D")
    as_periods, _ = load(FRAME.assign(day=days))
    as_times, _ = load(FRAME.assign(day=days.to_timestamp()))
    assert as_periods.schema.feature_names == as_times.schema.feature_names
    np.testing.assert_array_equal(as_periods.table.features, as_times.table.features)
    fresh = FRAME.assign(day=days)
    np.testing.assert_array_equal(as_times.schema.encode(fresh).features, as_times.table.features)


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("x", pa.int64())])])
def test_lists_and_records_of_arrow_in_a_frame_are_left_out(kind):
    values = [[1]] * N if pa.types.is_list(kind) else [{"x": 1}] * N
    dataset, _ = load(FRAME.assign(nested=pd.Series(values, dtype=pd.ArrowDtype(kind))))
    assert any("left out 2 columns of lists" in note and "nested" in note for note in dataset.notes)


def test_a_column_with_a_value_that_no_type_holds_is_refused_by_name():
    with pytest.raises(DataError, match="the column 'odd' cannot be read"):
        load(FRAME.assign(odd=pd.Series([10**400, *[1.5] * (N - 1)], dtype=object)))
