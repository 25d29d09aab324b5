"""A file of predictions is whole or not there, and reads back as it was."""

from __future__ import annotations

import pandas as pd
import pytest

from stacktune.data.read import read_frame
from stacktune.data.write import check_writable, write_frame
from stacktune.errors import ConfigError, DataError

FRAME = pd.DataFrame({"no": [0.25, 0.5], "yes, perhaps": [0.75, 0.5]}, index=[7, 3])


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "OUT.CSV"])
def test_what_is_written_reads_back_without_its_index(tmp_path, name):
    write_frame(FRAME, str(tmp_path / name))
    pd.testing.assert_frame_equal(read_frame(str(tmp_path / name)), FRAME.reset_index(drop=True))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "out.parquet"
    write_frame(FRAME, str(path))
    write_frame(FRAME.head(1), str(path))
    assert len(read_frame(str(path))) == 1


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.parquet or \.csv, but got .*out\.xlsx"):
        write_frame(FRAME, str(tmp_path / "out.xlsx"))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no folder '.*nowhere' to write 'out\.csv' in"):
        write_frame(FRAME, str(tmp_path / "nowhere" / "out.csv"))


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(DataError, match="is a folder: name the file"):
        write_frame(FRAME, str(tmp_path / "out.csv"))


def test_nothing_is_left_when_writing_fails(tmp_path):
    frame = pd.DataFrame({"mixed": [1, "text", object()]})
    with pytest.raises(Exception, match="mixed"):
        write_frame(frame, str(tmp_path / "out.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_a_place_elsewhere_is_refused_as_such():
    """It was said that there is no folder 's3:/bucket', to be made first."""
    with pytest.raises(ConfigError, match=r"'s3://bucket/p\.parquet' is elsewhere: name a file here"):
        check_writable("s3://bucket/p.parquet")
