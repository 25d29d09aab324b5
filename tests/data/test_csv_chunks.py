"""CSV that is written as Parquet a part at a time is the table that a run reads."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stacktune.data.csv_chunks import types_of, write_parquet
from stacktune.data.dataset import load_dataset
from stacktune.data.files import find_files
from stacktune.data.read import read_source
from stacktune.settings.read import load_settings

# Texts in which one value more changes what a column is.
POOLS = (
    *(["1", "22", "-3"], ["007", "1"], ["1.5", "2", "-.5", "1e3"], [" 1", "2 "], ["true", "false"], ["True", " false"]),
    *(
        ["2024-01-31", "2023-12-01"],
        ["2024-01-31 10:00:00", "2024-01-31"],
        ["2024-01-31T10:00:00Z"],
        ["10:30", "23:59:01"],
    ),
    *(
        [" 10:30", "11:00"],
        ["1,5", "2,25"],
        ["1.234,5", "1.234"],
        ["1,234", "2,000"],
        ["1.234", "2.000"],
        ["abc", "x y"],
    ),
    *(["NA", "null", ""], ["", " ", "NA "], ["9223372036854775808", "1"], ["2024-01-31 10:00:00.123456789"]),
)
COLUMNS = st.lists(st.sampled_from(POOLS), min_size=1, max_size=2).map(
    lambda pools: [text for pool in pools for text in pool]
)


@pytest.fixture
def small_blocks(monkeypatch):
    """Some rows a block, so that a short table has several."""
    monkeypatch.setattr("stacktune.data.csv._BLOCK_BYTES", 512)


def written(folder: Path, place: Path, keep=()) -> Path:
    path, files = folder / "written.parquet", find_files(str(place))
    types = types_of(str(place), files, keep)
    write_parquet(types, files, str(path))
    return path


def same_frames(read: pd.DataFrame, converted: pd.DataFrame) -> None:
    """Parquet has no whole seconds, and holds those of a date in thousandths."""
    for name in read.columns:
        if read[name].dtype.kind == "M":
            assert converted[name].dtype.kind == "M"
            converted = converted.assign(**{name: converted[name].astype(read[name].dtype)})
    pd.testing.assert_frame_equal(read, converted)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COLUMNS, min_size=1, max_size=3), st.sampled_from([",", ";", "\t"]), st.integers(0, 2**16))
@example([["1"] * 99 + ["x"]], ",", 1)
@example([["1,5"], ["1.234"]], ";", 1)
def test_types_and_values_are_those_of_the_whole_column(small_blocks, tmp_path_factory, pools, separator, seed):
    folder = tmp_path_factory.mktemp("csv")
    rng = np.random.default_rng(seed)
    n_rows = int(rng.integers(1, 120))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow([f"c{place}" for place in range(len(pools))] + ["last"])
    columns = [rng.choice(pool, n_rows) for pool in pools]
    writer.writerows([*row, "z"] for row in zip(*columns, strict=True))
    (folder / "t.csv").write_text(text.getvalue())
    source = read_source(str(folder / "t.csv"))
    same_frames(source.frame, read_source(str(written(folder, folder / "t.csv"))).frame)


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 300
    return pd.DataFrame(
        {
            "amount": rng.normal(size=n).round(3),
            "code": [f"{value:03}" for value in rng.integers(0, 50, n)],
            "late": np.where(np.arange(n) < n - 1, "7", "A7"),
            "when": pd.Timestamp("2024-02-29 12:00") + pd.to_timedelta(np.arange(n), unit="h"),
            "text": rng.choice(["a,b", 'say "x"', "two\nlines", ""], n),
            "y": rng.choice(["no", "yes"], n),
        }
    )


def test_a_run_learns_from_the_same_data_set(small_blocks, tmp_path):
    table().to_csv(tmp_path / "t.csv", index=False)
    path = written(tmp_path, tmp_path / "t.csv")
    of_csv, of_parquet = (
        load_dataset(load_settings({"data": str(one), "target": "y"}))[0] for one in (tmp_path / "t.csv", path)
    )
    assert of_parquet.digest == of_csv.digest
    assert of_parquet.schema == of_csv.schema


def test_folders_and_compressed_files_are_read_as_a_run_reads_them(small_blocks, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    frame = table()
    frame.iloc[:200].to_csv(folder / "0.csv.gz", index=False)
    frame.iloc[200:][list(reversed(frame.columns))].to_csv(folder / "1.csv", index=False)
    with gzip.open(folder / "0.csv.gz", "rt") as lines:
        assert lines.readline().startswith("amount")
    same_frames(read_source(str(folder)).frame, read_source(str(written(tmp_path, folder))).frame)


@pytest.mark.parametrize("keep", [(), ("Unnamed: 0",)])
def test_row_numbers_without_a_name_are_left_out_unless_kept(small_blocks, tmp_path, keep):
    folder = tmp_path / "parts"
    folder.mkdir()
    for place in range(2):  # each file numbers its rows from 0 on
        table().to_csv(folder / f"{place}.csv")
    source = read_source(str(folder), keep=keep)
    assert ("Unnamed: 0" in source.frame) == bool(keep)
    same_frames(source.frame, read_source(str(written(tmp_path, folder, keep)), keep=keep).frame)


def test_numbers_that_repeat_number_no_rows(small_blocks, tmp_path):
    table().set_index(np.repeat(np.arange(150), 2)).to_csv(tmp_path / "t.csv")
    assert "Unnamed: 0" in read_source(str(written(tmp_path, tmp_path / "t.csv"))).frame
