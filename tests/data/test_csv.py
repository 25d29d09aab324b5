"""CSV files as people and programs write them, and as a model that knows their columns reads them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

from stacktune.data.csv_dialect import find_separator
from stacktune.data.dataset import load_dataset
from stacktune.data.read import read_for, read_frame, read_source
from stacktune.data.schema import infer_schema
from stacktune.errors import DataError, DataWarning
from stacktune.settings.groups import Settings


@pytest.fixture
def read(tmp_path):
    """Read texts as CSV: one as a file, several as a folder."""

    def read(*texts, encoding="utf-8"):
        for place, text in enumerate(texts):
            (tmp_path / f"{place}.csv").write_bytes(text.encode(encoding))
        return read_source(str(tmp_path / "0.csv" if len(texts) == 1 else tmp_path))

    return read


def _features(frame: pd.DataFrame, path: Path) -> np.ndarray:
    """The features of the table at `path`, in the terms of a model that was trained on `frame`."""
    schema, _ = infer_schema(frame, set())
    return schema.encode(read_for(schema, str(path))).features


# What a file says.


def test_digits_with_a_zero_before_them_are_codes_and_said_to_be(read):
    source = read("zip,ratio,n\n007,0.5,1\n012,0,10\n100,,100\n")
    assert source.frame["zip"].tolist() == ["007", "012", "100"]
    assert all(is_numeric_dtype(source.frame[name]) for name in ("ratio", "n"))
    assert "kept 1 column of digits as text, since some begin with a zero: zip" in source.notes


@pytest.mark.parametrize("number", ["0", "0.7", "-0.7", "0e0", "00:30", "-01", "0x1F"])
def test_a_zero_that_a_number_needs_makes_no_code(read, number):
    assert not any("begin with a zero" in note for note in read(f"a,b\n{number},1\n{number},2\n").notes)


def test_whole_numbers_beyond_64_bits_lose_no_digits_unsaid(read):
    source = read("id,n,big\n18446744073709551617,1,1e30\n18446744073709551616,2,2\n9007199254740993,3,3\n")
    assert source.frame["id"].dtype == "float64"
    assert source.frame["id"].nunique() == 2
    said = [note for note in source.notes if "rounded" in note]
    assert len(said) == 1
    assert said[0].startswith("rounded 2 whole numbers of id to 16 digits")
    assert "18446744073709551617 is 1.844674407370955e+19 now" in said[0]


@pytest.mark.parametrize("text", ["9223372036854775807", "18446744073709551616", "1.2345678901234567890123", "1e25"])
def test_what_is_kept_whole_or_is_no_whole_number_is_not_said_to_be_rounded(read, text):
    assert not any("rounded" in note for note in read(f"a,b\n{text},1\n1,2\n").notes)


def test_parted_thousands_and_endless_digits_are_said_to_be_rounded(read):
    assert any("of a to" in note for note in read("a;b\n18.446.744.073.709.551.617;1,5\n1;2,5\n").notes)
    assert any("of a to" in note and "…" in note for note in read(f"a,b\n{'7' * 400},1\n1,2\n").notes)


def test_files_of_a_folder_get_one_type_from_all_of_their_texts(read):
    assert read("zip,y\n007,1\n", "zip,y\nA5,2\n").frame["zip"].tolist() == ["007", "A5"]
    assert read("zip,y\n7,1\n", "y,zip\n2,012\n").frame["zip"].tolist() == ["7", "012"]
    assert read("a,b\n1,\n", "a,b\n2.5,true\n").frame["a"].tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", " 2 ", ""], [1, 2, None]),
        (["1", " ", "3"], [1, None, 3]),
        (["1e3", "NA", "+.5"], [1000, None, 0.5]),
        (["True", "false", ""], [True, False, None]),
        (["12:30", "00:00:01.5", ""], [45_000, 1.5, None]),
        (["2024-01-05", "9999-12-31", ""], ["2024-01-05", "9999-12-31", None]),
        (["2024-01-05 10:00", "2024-01-05", ""], ["2024-01-05 10:00", "2024-01-05", None]),
        (["2024-01-05T10:00:00.5", "9999-12-31T00:00:00", ""], ["2024-01-05 10:00:00.5", "9999-12-31", None]),
        (["2024-01-05T10:00:00+02:00", "2024-01-05T10:00:00Z", ""], ["2024-01-05 08:00Z", "2024-01-05 10:00Z", None]),
        (["1 234", "12%", "$3.50"], ["1 234", "12%", "$3.50"]),
        (["?", "3", "4"], ["?", "3", "4"]),
        ([" a", "b ", ""], [" a", "b ", None]),
    ],
)
def test_types_are_told_from_all_texts_of_a_column(read, texts, values):
    series = read("a,b\n" + "".join(f"{text},1\n" for text in texts)).frame["a"]
    if is_datetime64_any_dtype(series.dtype):
        values = [None if value is None else pd.Timestamp(value) for value in values]
    assert series.astype(object).where(series.notna(), None).tolist() == values


def test_a_nameless_first_column_that_numbers_the_rows_is_left_out(tmp_path, read):
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": ["x", "y", "z"]})
    for rows in (frame, frame.iloc[::-1], frame.set_index(pd.Index([7, 3, 11]))):
        source = read(rows.to_csv())
        assert list(source.frame) == ["a", "b"]
        assert "left out the first column, which has no name and numbers the rows" in source.notes
    assert list(read(frame.set_index(pd.Index([1, 1, 2])).to_csv()).frame) == ["Unnamed: 0", "a", "b"]


def test_other_columns_without_a_name_are_called_as_pandas_calls_them(tmp_path, read):
    text = ',a, ,b,""\np,1,x,2,\nq,3,y,4,\n'
    source = read(text)
    assert "called 3 columns without a name as pandas does: Unnamed: 0, Unnamed: 2, Unnamed: 4" in source.notes
    by_pandas = pd.read_csv(tmp_path / "0.csv").rename(columns={" ": "Unnamed: 2"})
    assert list(source.frame) == list(by_pandas)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("name;price, in EUR\nx;1,5\ny;2,5\n", ";"),
        ("price, EUR;n\n1,5;1\n2,5;2\n", ";"),
        ('"a,b";c\n1;2\n', ";"),
        ('"a;b","c;d",e\n1,2,3\n', ","),
        ("a|b\n1,2|3\n", "|"),
        ("a\tb, c\n1\t2\n", "\t"),
        ("a;b,c,d\n1,2,3\n4,5,6\n", ","),
    ],
)
def test_the_separator_is_told_from_more_than_the_header(text, separator):
    assert find_separator(text, is_whole=True) == separator


@given(
    st.sampled_from("\t|;,"),
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=8),
    st.booleans(),
)
def test_the_separator_of_numbers_is_found_whatever_the_decimal_mark(separator, rows, has_commas):
    mark = "," if has_commas and separator != "," else "."
    lines = [separator.join(repr(value).replace(".", mark) for value in row) for row in rows]
    assert find_separator("\n".join([separator.join("abc"), *lines, ""]), is_whole=True) == separator


def test_a_column_of_sentences_is_one_column(read):
    assert read("text\nfirst, second; third\none, two\nnone\n").frame["text"].tolist()[0] == "first, second; third"


def test_european_csv_is_numbers_and_said_to_be(read):
    source = read("preis;menge;größe;tag\n1,5;3;1.234,50;05.01.2024\n2,25;;-7;06.01.2024\n")
    assert source.frame["preis"].tolist() == [1.5, 2.25]
    assert source.frame["größe"].tolist() == [1234.5, -7]
    assert source.frame["tag"].tolist()[0] == "05.01.2024"
    assert any(note.startswith("read the commas in 2 columns as decimal marks") for note in source.notes)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a;b\n1,234;1\n999;2\n", [1.234, 999]),  # by custom, where semicolons separate
        ("a\tb\n1,234\t1\n999\t2\n", ["1,234", "999"]),  # a thousand, perhaps: left to whoever reads text as numbers
        ("a\tb\n1,234\t1,5\n999\t2\n", [1.234, 999]),
        ("a;b\n1,234;1.5\n999;2\n", ["1,234", "999"]),  # points are the decimal marks of this file
        ("a;b\n1.234;1,5\n999;2\n", [1234, 999]),
        ("a;b\n1.234;1\n999;2\n", [1.234, 999]),
        ("a;b\n1,2,3;1\n4;2\n", ["1,2,3", "4"]),
        ("a;b\n,;1\n4;2\n", [",", "4"]),
        ("a;b\n0,5;1\n;2\n", [0.5, None]),
    ],
)
def test_a_comma_is_a_decimal_mark_where_the_file_says_so(read, text, values):
    series = read(text).frame["a"]
    assert series.astype(object).where(series.notna(), None).tolist() == values


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_text_in_unicode_is_read_or_refused_in_a_line(read, encoding):
    text = "é;b\nü;1,5\n"
    if encoding == "utf-16-le":  # without the mark that says so
        with pytest.raises(DataError, match=r"not UTF-8 text: a quarter of it are zero bytes\. Save it as UTF-8"):
            read(text, encoding=encoding)
    else:
        frame = read(text, encoding=encoding).frame
        assert (list(frame), frame.iloc[0].tolist()) == (["é", "b"], ["ü", 1.5])


def test_excels_line_that_names_the_separator_is_no_header(read):
    assert read("sep=;\r\na;b\r\n1;2\r\n").frame.to_dict("list") == {"a": [1], "b": [2]}


def test_a_header_of_thousands_of_columns_is_read_whole(read):
    names = [f"a rather long name of a column {place}" for place in range(5_000)]
    assert list(read(",".join(names) + "\n" + ",".join("1" * 5_000) + "\n").frame) == names


def test_a_text_longer_than_a_page_hides_no_separator(read):
    assert read(f'a;b\n1;"{"x, y; " * 60_000}"\n2;z\n').frame["a"].tolist() == [1, 2]


# What a model knows of it.


def test_a_model_reads_codes_as_text_though_a_file_holds_digits_only(tmp_path):
    train = pd.DataFrame({"zip": ["007", "012", "A5", "007"], "x": [1.0, 2.0, 3.0, 4.0]})
    (tmp_path / "new.csv").write_text("zip,x,comment\n007,1,a\n012,2,b\n")
    np.testing.assert_array_equal(_features(train, tmp_path / "new.csv")[:, 1], [0, 1])


def test_rounded_numbers_of_a_table_to_predict_are_said(tmp_path):
    schema, _ = infer_schema(pd.DataFrame({"id": [1.5, 2.5, 3.5], "x": [1.0, 2.0, 3.0]}), set())
    (tmp_path / "new.csv").write_text("id,x\n18446744073709551617,1\n")
    with pytest.warns(DataWarning, match="rounded a whole number of id"):
        read_for(schema, str(tmp_path / "new.csv"))


def test_a_file_to_predict_may_call_a_code_na(tmp_path):
    train = pd.DataFrame({"country": ["DE", "NA", "DE"], "x": [1.0, 2.0, 3.0], "k": ["a", "b", None]})
    (tmp_path / "new.csv").write_text("country,x,k\nNA,NA,NA\nnan,1,a\n")
    np.testing.assert_array_equal(_features(train, tmp_path / "new.csv"), [[np.nan, 1, np.nan], [1, np.nan, 0]])


@pytest.mark.parametrize(
    ("column", "spelled"),
    [
        (pd.Categorical([1, 2, 1]), ["1.0", "2.0", ""]),  # as pandas writes whole numbers beside missing ones
        (pd.Categorical([1.5, 2.25, 1.5]), ["1.50", "2.25", ""]),
        ([True, False, True], ["1.0", "false", ""]),
        ([True, False, True], ["yes", "F", ""]),
    ],
)
def test_a_code_may_be_spelled_in_another_way(tmp_path, column, spelled):
    train = pd.DataFrame({"k": column, "x": [1.0, 2.0, 3.0]})
    (tmp_path / "new.csv").write_text("k,x\n" + "".join(f"{text},1\n" for text in spelled))
    known = _features(train, tmp_path / "new.csv")[:, 1]
    schema, _ = infer_schema(train, set())
    np.testing.assert_array_equal(known, np.append(schema.encode(train).features[:2, 1], np.nan))


def test_what_is_a_number_to_a_model_is_one_with_zeros_before_it(tmp_path):
    (tmp_path / "new.csv").write_text("n,x\n007,1\n012,2\n")
    train = pd.DataFrame({"n": [7.0, 12.0], "x": [1.0, 2.0]})
    np.testing.assert_array_equal(_features(train, tmp_path / "new.csv")[:, 0], [7, 12])


def test_a_model_needs_no_row_numbers_and_may_know_a_nameless_column(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    frame.to_csv(tmp_path / "new.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _features(frame, tmp_path / "new.csv").shape == (2, 2)
        knows = frame.assign(**{"Unnamed: 0": [5.0, 6.0]})
        np.testing.assert_array_equal(_features(knows, tmp_path / "new.csv")[:, 1], [0, 1])


def test_a_missing_column_is_still_named_with_its_like(tmp_path):
    (tmp_path / "new.csv").write_text("zipp,x\n007,1\n")
    with pytest.raises(DataError, match=r"no column 'zip', .*Did you mean 'zipp'\?"):
        _features(pd.DataFrame({"zip": ["007", "A5"], "x": [1.0, 2.0]}), tmp_path / "new.csv")


def test_decimal_commas_of_a_table_to_predict_are_said(tmp_path):
    (tmp_path / "new.csv").write_text("a;k\n1,5;x\n")
    train = pd.DataFrame({"a": [1.0, 2.0], "k": ["x", "1,5"]})
    with pytest.warns(DataWarning, match=r"new\.csv: read the commas in 1 column as decimal marks.*: a"):
        assert _features(train, tmp_path / "new.csv")[0, 0] == 1.5


CODES = st.one_of(
    st.from_regex(r"[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[0-9]\.[0-9]{1,2}", fullmatch=True),
    st.sampled_from(["NA", "nan", "null", "true", "False", "1e5", "2024-01-05", "12:30", "x", " y", "A5", "1,5", "+1"]),
)


@settings(deadline=None, max_examples=50)
@given(codes=st.lists(CODES, min_size=2, max_size=20), picked=st.lists(st.integers(0, 19), min_size=1, max_size=5))
def test_any_rows_of_a_table_encode_alike_from_csv(tmp_path_factory, codes, picked):
    """Whatever a column of text holds, and whichever of its rows a file of their own holds."""
    train = pd.DataFrame({"k": pd.array([*codes, "other"], dtype=object), "x": np.arange(len(codes) + 1.0)})
    schema, _ = infer_schema(train, set())
    rows = train.iloc[[place % len(train) for place in picked]]
    path = tmp_path_factory.mktemp("csv") / "new.csv"
    rows.to_csv(path, index=False)
    np.testing.assert_array_equal(schema.encode(read_for(schema, str(path))).features, schema.encode(rows).features)


def test_a_table_without_a_model_is_read_alike_twice(tmp_path):
    (tmp_path / "t.csv").write_text("b;a\n1,5;x\n2;y\n")
    pd.testing.assert_frame_equal(
        read_frame(str(tmp_path / "t.csv"), ["a", "b"]), read_frame(str(tmp_path))[["a", "b"]]
    )


def _german(value: float | None) -> str:
    text = "" if value is None else f"{value:,}"
    return text.translate(str.maketrans(",.", ".,"))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 99_999), st.sampled_from([0.5, 1.234, 12.25, None])), min_size=3, max_size=9),
    st.lists(st.integers(0, 8), min_size=1, max_size=3),
)
def test_any_rows_of_european_csv_are_the_numbers_that_they_were_in_training(tmp_path_factory, rows, picked):
    """A point may part thousands, or be a decimal mark: rows without a comma do not say which."""
    folder = tmp_path_factory.mktemp("european")
    rows = [*rows, (1_234, 0.25), (7, 2.5)]
    lines = [f"{_german(whole)};{_german(part)};{place % 2}" for place, (whole, part) in enumerate(rows)]
    (folder / "train.csv").write_text("\n".join(["whole;part;y", *lines, ""]))
    (folder / "new.csv").write_text("\n".join(["whole;part;y", *(lines[place % len(lines)] for place in picked), ""]))
    dataset, _ = load_dataset(Settings(str(folder / "train.csv"), "y", n_folds=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        again = dataset.schema.encode(read_for(dataset.schema, str(folder / "new.csv")))
    np.testing.assert_array_equal(again.features, dataset.table.features[[place % len(lines) for place in picked]])
    assert dataset.table.features[-2:, 0].tolist() == [1_234, 7]


def test_a_table_with_points_is_read_so_after_training_on_commas(tmp_path):
    """Of what was written anew with decimal points, values of three decimals became a thousand times larger."""
    train = pd.DataFrame({"x": np.arange(40) / 7, "y": np.arange(40.0)}).round(3)
    train.to_csv(tmp_path / "eu.csv", sep=";", decimal=",", index=False)
    dataset, _ = load_dataset(Settings(str(tmp_path / "eu.csv"), "y"))
    pd.DataFrame({"x": [1.234, 0.5, 12.75, 3.125]}).to_csv(tmp_path / "us.csv", index=False)
    points = dataset.schema.encode(read_for(dataset.schema, str(tmp_path / "us.csv")))
    expected = dataset.schema.encode(pd.DataFrame({"x": [1.234, 0.5, 12.75, 3.125]}))
    np.testing.assert_array_equal(points.features, expected.features)


def test_a_test_target_keeps_the_decimal_comma_of_training(tmp_path):
    (tmp_path / "train.csv").write_text("x;y\n" + "".join(f"{place},5;1.{place:03},5\n" for place in range(40)))
    (tmp_path / "test.csv").write_text("x;y\n1,5;1.234\n2,5;1.235\n")
    _, test = load_dataset(Settings(str(tmp_path / "train.csv"), "y", test_data=str(tmp_path / "test.csv")))
    assert test.target.tolist() == [1234, 1235]


def test_the_files_of_a_folder_may_each_number_their_rows(tmp_path):
    for name in "ab":
        pd.DataFrame({"x": np.arange(30) / 2, "y": np.arange(30.0)}).to_csv(tmp_path / f"{name}.csv")
    assert load_dataset(Settings(str(tmp_path), "y"))[0].schema.column_names == ["x"]
    kept = load_dataset(Settings(str(tmp_path), "y", keep=("Unnamed: 0",)))[0]
    assert kept.schema.column_names == ["Unnamed: 0", "x"]
