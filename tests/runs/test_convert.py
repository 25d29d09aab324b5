"""`stacktune convert`: a whole file or none, and what was guessed is said."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from stacktune.errors import ConfigError, DataError
from stacktune.runs.convert import convert


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("zip,price,y\n007,1.5,a\n012,,b\n")
    return path


def test_it_says_what_was_guessed_and_what_to_type_next(table, tmp_path, capsys):
    said = []
    convert(str(table), str(tmp_path / "t.parquet"), False, (), said.append)
    assert re.fullmatch(rf"2 rows in {tmp_path / 't.parquet'}, [\d.]+ k?B of 29 B", said[0])
    assert said[1:] == [
        "columns: 2 texts, 1 number",
        f"next: stacktune describe {tmp_path / 't.parquet'}",
    ]
    notes = capsys.readouterr().err.splitlines()
    assert notes == [
        "Note: kept 1 column of digits as text, since some begin with a zero: zip",
        "Note: 1 value missing: empty, or spelled as NA, null and the like",
    ]
    assert pd.read_parquet(tmp_path / "t.parquet")["zip"].tolist() == ["007", "012"]


def test_whole_numbers_that_lose_digits_are_said(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("id,n\n18446744073709551617,1\n9007199254740993,2\n")
    convert(str(tmp_path / "t.csv"), str(tmp_path / "t.parquet"), False, (), lambda line: None)
    assert pd.read_parquet(tmp_path / "t.parquet")["id"].dtype == "float64"  # as a run reads it
    assert "Note: rounded 2 whole numbers of id to 16 digits" in capsys.readouterr().err


def test_a_file_is_replaced_only_where_that_is_asked_for(table, tmp_path):
    place = tmp_path / "t.parquet"
    place.write_text("mine")
    with pytest.raises(ConfigError, match=r"is there already: --overwrite replaces it\."):
        convert(str(table), str(place), False, (), print)
    assert place.read_text() == "mine"
    convert(str(table), str(place), True, (), lambda line: None)
    assert len(pd.read_parquet(place)) == 2


def test_a_table_that_cannot_be_read_leaves_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n" + "3,4\n" * 500_000 + "5\n")
    (tmp_path / "t.parquet").write_text("mine")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        convert(str(tmp_path / "t.csv"), str(tmp_path / "t.parquet"), True, (), print)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]
    assert (tmp_path / "t.parquet").read_text() == "mine"


@pytest.mark.parametrize(
    ("data", "output", "message"),
    [
        ("t.csv", "t.csv.gz", r"ends in \.parquet, but got"),
        ("t.csv", "nowhere/t.parquet", "there is no folder 'nowhere'"),
        ("t.csv", "folder.parquet", "is a folder: name the file to write in it"),
        ("folder.parquet", "folder.parquet/t.parquet", "is the table itself, or lies in it"),
        ("p.parquet", "t.parquet", r"is no CSV: .*Parquet is read by every command as it is\."),
        ("empty.csv", "t.parquet", "has no rows"),
        ("t.cvs", "t.parquet", r"Did you mean 't\.csv'\?"),
    ],
)
def test_mistakes(table, tmp_path, monkeypatch, data, output, message):
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "empty.csv").write_text("a,b\n")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "p.parquet")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, DataError), match=message):
        convert(data, output, False, (), print)
    assert not (tmp_path / "t.parquet").exists()
