"""Folders that hold superseded files beside live ones: Delta, Iceberg and Hudi tables."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from stacktune.data.read import read_frame, read_source, size_of
from stacktune.data.sample import Sample
from stacktune.errors import DataError

FRAME = pd.DataFrame({"x": range(100), "y": ["a", "b"] * 50})


def write_delta_by_hand(folder):
    """A table that was overwritten: of its two files the log removes the first."""
    (folder / "_delta_log").mkdir(parents=True)
    types = {"x": "long", "y": "string"}
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in types.items()]
    actions = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {
            "metaData": {
                "id": "5f8d1c1e-0000-0000-0000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": 0,
            }
        },
    ]
    for version, name in enumerate(("old.parquet", "new.parquet")):
        FRAME.assign(x=FRAME["x"] + 1_000 * version).to_parquet(folder / name, index=False)
        size = (folder / name).stat().st_size
        added = {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True}
        actions.append({"add": added})
        if version:
            actions.append({"remove": {"path": "old.parquet", "deletionTimestamp": 0, "dataChange": True}})
        lines = "\n".join(map(json.dumps, actions))
        (folder / "_delta_log" / f"{version:020}.json").write_text(lines)
        actions = []


def test_a_delta_table_is_its_live_rows(tmp_path):
    """Both files were read: 200 rows for 100."""
    write_delta_by_hand(tmp_path / "t")
    frame = read_frame(str(tmp_path / "t"))
    assert (len(frame), frame["x"].min()) == (100, 1_000)
    assert size_of((tmp_path / "t").as_uri()) == (100, 2)
    assert len(read_source(str(tmp_path / "t"), sample=Sample(20, "y", 0)).frame) == 20


def test_without_its_library_a_delta_table_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    write_delta_by_hand(tmp_path / "t")
    for read in (read_frame, size_of):
        with pytest.raises(DataError, match=r"t' is a Delta table, .* pip install deltalake, or write the rows"):
            read(str(tmp_path / "t"))


def test_a_delta_table_with_a_damaged_log_is_refused_in_a_line(tmp_path):
    write_delta_by_hand(tmp_path / "t")
    (tmp_path / "t" / "_delta_log" / f"{1:020}.json").write_text("{")
    with pytest.raises(DataError, match=r"^the Delta table '.*t' cannot be read: [^\n]*Parquet file first\.$"):
        read_frame(str(tmp_path / "t"))


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("metadata/v2.metadata.json", r"is a table of Iceberg, .*Write its rows to a Parquet file first: to_arrow\(\)"),
        ("metadata/00001-7f.metadata.json", r"is a table of Iceberg"),
        (".hoodie/hoodie.properties", r"is a table of Hudi, .*Write its rows to a Parquet file first: df\.write"),
    ],
)
def test_iceberg_and_hudi_are_refused_with_a_remedy(tmp_path, log, message):
    FRAME.to_parquet(tmp_path / "data.parquet")
    (tmp_path / log).parent.mkdir()
    (tmp_path / log).write_text("{}")
    with pytest.raises(DataError, match=message):
        read_frame(str(tmp_path))


def test_a_folder_above_such_a_table_is_refused(tmp_path):
    write_delta_by_hand(tmp_path / "sales" / "orders")
    with pytest.raises(DataError, match=r"sales' holds the Delta table 'orders', .*Name the table's own folder"):
        read_frame(str(tmp_path / "sales"))


def test_a_folder_of_plain_parquet_with_a_folder_called_metadata_is_read(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "notes.json").write_text("{}")
    FRAME.to_parquet(tmp_path / "data.parquet")
    assert len(read_frame(str(tmp_path))) == len(FRAME)
