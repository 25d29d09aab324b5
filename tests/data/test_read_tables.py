import datetime
import gzip
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stacktune.data import csv
from stacktune.data.read import read_frame, read_source
from stacktune.data.schema import infer_schema
from stacktune.errors import DataError
from stacktune.storage.uris import without_secrets


@pytest.fixture
def keep(tmp_path):
    """Write a table below a fresh folder and return the path of the file."""

    def write(name, table):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path)
        return str(path)

    return write


def test_a_parquet_file_is_read_with_the_columns_asked_for_in_their_order(keep):
    path = keep("t.parquet", {"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]})
    assert list(read_frame(path).columns) == ["a", "b", "c"]
    assert list(read_frame(path, ["c", "a"]).columns) == ["c", "a"]
    assert read_source(path).notes == ()


def test_a_uri_names_the_same_file_as_a_path(keep, tmp_path):
    keep("sub folder/t.parquet", {"a": [1, 2]})
    uri = (tmp_path / "sub folder" / "t.parquet").as_uri()
    assert uri.startswith("file://")
    pd.testing.assert_frame_equal(read_frame(uri), read_frame(str(tmp_path / "sub folder")))


def test_a_pandas_index_counts_as_a_column_only_if_it_has_a_name(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 9])
    frame.to_parquet(tmp_path / "unnamed.parquet")
    frame.rename_axis("id").to_parquet(tmp_path / "named.parquet")
    assert list(read_frame(str(tmp_path / "unnamed.parquet")).columns) == ["a"]
    assert set(read_frame(str(tmp_path / "named.parquet")).columns) == {"a", "id"}


def test_hive_folders_add_their_columns(keep, tmp_path):
    for year in (2019, 2020):
        keep(f"hive/year={year}/side=a%20b/p.parquet", {"v": [float(year)], "k": pa.array(["x"]).dictionary_encode()})
    keep(
        "hive/year=__HIVE_DEFAULT_PARTITION__/side=c/p.parquet",
        {"v": [0.0], "k": pa.array([None, "x"][1:]).dictionary_encode()},
    )
    (tmp_path / "hive" / "_SUCCESS").write_text("")
    keep("hive/_temporary/p.parquet", {"other": [1]})
    keep("hive/year=2019/.p.parquet", {"other": [1]})
    (tmp_path / "hive" / "notes.md").write_text("not a table")
    frame = read_frame(str(tmp_path / "hive"))
    assert list(frame.columns) == ["v", "k", "year", "side"]
    assert frame["year"].fillna(-1).tolist() == [2019, 2020, -1]
    assert frame["side"].tolist() == ["a b", "a b", "c"]
    assert isinstance(frame["k"].dtype, pd.CategoricalDtype)
    assert list(read_frame(str(tmp_path / "hive"), ["side", "v"]).columns) == ["side", "v"]


def test_a_column_of_the_files_wins_over_a_folder_of_its_name(keep, tmp_path):
    keep("both/year=1/p.parquet", {"v": [1], "year": [7]})
    assert read_frame(str(tmp_path / "both"))["year"].tolist() == [7]


def test_files_of_a_folder_are_widened_to_one_type_and_matched_by_name(keep, tmp_path):
    keep("mix/1.parquet", {"v": pa.array([1, 2], pa.int8()), "k": ["a", "b"], "n": pa.nulls(2)})
    keep("mix/2.parquet", {"k": pa.array(["c"]).dictionary_encode(), "n": [True], "v": [1.5]})
    frame = read_frame(str(tmp_path / "mix"))
    assert frame["v"].tolist() == [1, 2, 1.5]
    assert frame["k"].tolist() == ["a", "b", "c"]
    assert frame["n"].isna().tolist() == [True, True, False]


def test_types_that_pandas_would_hold_as_python_objects_become_numbers_and_dates(keep):
    path = keep(
        "kinds.parquet",
        {
            "decimal": [Decimal("1.10"), None],
            "time": [datetime.time(1, 2, 3), None],
            "duration": [datetime.timedelta(minutes=2), None],
            "date": [datetime.date(9999, 12, 31), None],
        },
    )
    frame = read_frame(path)
    assert [kind.kind for kind in frame.dtypes] == ["f", "f", "f", "M"]
    np.testing.assert_allclose(frame.iloc[0, :3].astype(float), [1.1, 3723, 120])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,x\n2,\n", [[1, "x"], [2, None]]),
        ("a;b\n1;x,y\n2;NA\n", [[1, "x,y"], [2, None]]),
        ('a\tb\n1\t"x\ny"\n2\t\n', [[1, "x\ny"], [2, None]]),
        ("\ufeffa,b\r\n1,é\r\n2,\r\n", [[1, "é"], [2, None]]),
    ],
)
def test_csv_is_read_and_said_to_be_slower(tmp_path, text, rows):
    (tmp_path / "t.csv").write_bytes(text.encode())
    source = read_source(str(tmp_path / "t.csv"))
    assert source.frame.astype(object).where(source.frame.notna(), None).to_numpy().tolist() == rows
    assert "CSV is slower to read than Parquet" in source.notes[0]


@pytest.fixture
def small_blocks(monkeypatch):
    """Let CSV be read in blocks of 16 kB, so that a small file has many."""
    monkeypatch.setattr(csv, "_BLOCK_BYTES", 1 << 14)


@pytest.mark.usefixtures("small_blocks")
def test_csv_types_hold_for_the_whole_file_and_not_for_its_beginning(tmp_path):
    (tmp_path / "late.csv").write_text("a,b\n" + "1,x\n" * 40_000 + "two,y\n")
    frame = read_frame(str(tmp_path / "late.csv"))
    assert frame["a"].iloc[[0, -1]].tolist() == ["1", "two"]


@pytest.mark.usefixtures("small_blocks")
def test_csv_text_may_hold_line_breaks_anywhere(tmp_path):
    (tmp_path / "long.csv").write_text("a,text\n" + '1,"x\n\ny,"\n' * 20_000)
    frame = read_frame(str(tmp_path / "long.csv"))
    assert len(frame) == 20_000
    assert set(frame["text"]) == {"x\n\ny,"}


def test_a_folder_of_csv_files_is_one_table(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv.gz").write_bytes(gzip.compress(b"b,a\ny,2.5\n"))
    frame = read_frame(str(tmp_path), ["a", "b"])
    assert frame.to_numpy().tolist() == [[1.0, "x"], [2.5, "y"]]


def test_a_path_that_is_not_there_is_refused_with_its_nearest_neighbour(keep, tmp_path):
    keep("train.parquet", {"a": [1]})
    with pytest.raises(DataError, match=r"no file or folder '.*tran\.parquet'\. Did you mean 'train\.parquet'\?"):
        read_frame(str(tmp_path / "tran.parquet"))
    with pytest.raises(DataError, match=r"no file or folder '.*'\. Check the path\."):
        read_frame(str(tmp_path / "nowhere" / "train.parquet"))


@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1 and then nothing PAR1", b"a,b\n1,2\n" * 50])
def test_what_is_not_parquet_is_refused(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"not a readable Parquet file: .*Give Parquet, or a file that ends in \.csv"):
        read_frame(str(tmp_path / "t.parquet"))


def test_a_parquet_file_cut_short_is_refused(keep, tmp_path):
    path = keep("t.parquet", {"a": list(range(1000))})
    whole = (tmp_path / "t.parquet").read_bytes()
    # The footer stands, the data before it are damaged.
    (tmp_path / "t.parquet").write_bytes(b"\x00" * 200 + whole[200:])
    with pytest.raises(DataError, match=r"t\.parquet' (is not a readable Parquet file|cannot be read)"):
        read_frame(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", r"cannot be read as CSV: Empty CSV file"),
        ("t.csv", b"a,b\n", r"t\.csv' has no rows"),
        ("t.csv", b"a,b\n1,2,3\n", r"Expected 2 columns, got 3"),
        ("t.csv", b"a,a\n1,2\n", r"must be unique, but .* has 2 columns 'a'"),
        ("t.csv", "a,b\né,1\n".encode("latin-1"), r"not UTF-8 text: see column 'a'"),
    ],
)
def test_bad_csv_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_frame(str(tmp_path / name))


def test_an_empty_table_is_refused(keep, tmp_path):
    with pytest.raises(DataError, match=r"has no rows"):
        read_frame(keep("zero.parquet", {"a": pa.array([], pa.int32())}))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"holds no \.parquet and no \.csv file"):
        read_frame(str(tmp_path / "nothing"))


def test_two_columns_of_one_name_are_refused(keep, tmp_path):
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(DataError, match=r"must be unique, but .* has 2 columns 'a'\. Rename all but one"):
        read_frame(keep("twice/t.parquet", twice))
    with pytest.raises(DataError, match=r"must be unique, but .* has 2 columns 'a'"):
        read_frame(str(tmp_path / "twice"))


def test_a_column_that_is_not_there_is_refused_with_the_nearest_name(keep, tmp_path):
    path = keep("one/t.parquet", {"price": [1], "size": [2]})
    for uri in (path, str(tmp_path / "one")):
        with pytest.raises(DataError, match=r"has no column 'prise'\. Did you mean 'price'\?"):
            read_frame(uri, ["prise"])


def test_files_of_a_folder_that_do_not_match_are_refused(keep, tmp_path):
    keep("types/1.parquet", {"v": [1]})
    keep("types/2.parquet", {"v": ["x"]})
    with pytest.raises(DataError, match=r"hold different types: .*int64 vs string"):
        read_frame(str(tmp_path / "types"))
    keep("names/1.parquet", {"v": [1], "a": [1]})
    keep("names/2.parquet", {"v": [1]})
    with pytest.raises(DataError, match=r"must have the same columns.* only '.*1\.parquet' has 'a'"):
        read_frame(str(tmp_path / "names"))


def test_a_store_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match=r"'ftpx://host/t\.parquet' cannot be reached: .*s3://, gs:// or file://"):
        read_frame("ftpx://host/t.parquet")


def test_secrets_in_a_uri_are_not_repeated():
    assert without_secrets("s3://key:secret@bucket/t.parquet?region=x") == "s3://bucket/t.parquet"
    assert without_secrets("folder/what?.parquet") == "folder/what?.parquet"


def _frame_of(columns):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 2)))
    frame.columns = columns
    return frame


@pytest.mark.parametrize(
    "columns",
    [
        [0, 1],
        ["a", 3],
        [0.5, 2.0],
        [b"a", "b"],
        [("a", "x"), ("b", "y")],
        pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]),
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["level", None]),
        pd.to_datetime(["2020-01-01", "2021-06-01"]),
    ],
)
@pytest.mark.parametrize("index", [None, [5, 3, 1, 2, 9, 7], list("fedcba")])
@pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type")
def test_what_pandas_reads_back_of_the_training_table_is_the_training_table(tmp_path, columns, index):
    """Names that are no text, and an index with a name, which is a column to us and none to pandas."""
    frame = _frame_of(columns)
    if index is not None:
        frame.index = pd.Index(index, name="id")
    frame.to_parquet(tmp_path / "t.parquet")
    read = read_frame(str(tmp_path / "t.parquet"))
    schema, _ = infer_schema(read, set())
    assert len(schema.columns) == 2 + (index is not None)
    again = pd.read_parquet(tmp_path / "t.parquet")
    np.testing.assert_array_equal(schema.encode(again).features, schema.encode(read).features)


def test_levels_of_an_index_that_are_no_columns_of_the_model_are_left_alone(tmp_path):
    frame = _frame_of(["a", "b"]).set_index(pd.MultiIndex.from_product([[1, 2], [1, 2, 3]], names=["a", "other"]))
    schema, _ = infer_schema(frame.reset_index(drop=True), set())
    np.testing.assert_array_equal(schema.encode(frame).features, frame.to_numpy(dtype=np.float32))


@pytest.mark.parametrize("columns", [[0, 1], ["a", 3], [0.5, 2.0]])
def test_what_pandas_reads_back_of_a_csv_file_is_the_training_table(tmp_path, columns):
    _frame_of(columns).to_csv(tmp_path / "t.csv", index=False)
    read = read_frame(str(tmp_path / "t.csv"))
    schema, _ = infer_schema(read, set())
    np.testing.assert_array_equal(schema.encode(pd.read_csv(tmp_path / "t.csv")).features, schema.encode(read).features)
