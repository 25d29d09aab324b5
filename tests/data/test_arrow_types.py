"""Every Arrow type that a Parquet file can hold: read as plain values, or left out by name."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stacktune.data.arrow_types import is_plain, to_frame
from stacktune.data.column import Column
from stacktune.data.dataset import load_dataset
from stacktune.data.read import read_frame, read_source
from stacktune.data.schema import infer_schema
from stacktune.errors import DataError
from stacktune.settings.groups import Settings

DAY = datetime.date(2020, 1, 1)
NOON = datetime.datetime(2020, 1, 1, 12)
UUIDS = [uuid.UUID(int=2**127 + place) for place in (1, 2)]


def _extension(kind: pa.BaseExtensionType, values: list) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


class _OfALibrary(pa.ExtensionType):
    """A type that some library registers, and a reader of the file may not know."""

    def __init__(self):
        super().__init__(pa.decimal128(9, 2), "tests.money")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> _OfALibrary:
        return cls()


INDICES = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())
NUMERIC = {
    **{
        str(kind): (pa.array([1, 2, None], kind), [1, 2])
        for kind in (*INDICES, pa.float16(), pa.float32(), pa.float64())
    },
    **{
        str(kind): (pa.array([Decimal("1.10"), Decimal("-2.50"), None], kind), [1.1, -2.5])
        for kind in (pa.decimal32(5, 2), pa.decimal64(9, 2), pa.decimal128(20, 2), pa.decimal256(50, 2))
    },
    **{f"duration {unit}": (pa.array([10**9, 0, None], pa.duration(unit)), None) for unit in ("s", "ms", "us", "ns")},
    **{
        str(kind): (pa.array([datetime.time(1), datetime.time(0, 0, 2), None], kind), [3600, 2])
        for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))
    },
    "dictionary of numbers": (pa.array([1.5, 2.5, None]).dictionary_encode(), [1.5, 2.5]),
    "an extension that nobody knows": (_extension(_OfALibrary(), [Decimal("1.10"), Decimal(2), None]), [1.1, 2]),
}
MOMENTS = {
    **{
        f"timestamp {unit} {zone}": (
            pa.array([0, 10**6, None], pa.timestamp(unit, zone)),
            [0, 10**6 / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]],
        )
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Berlin", "+05:30", "Mars/Olympus")
    },
    "date32": (pa.array([1, 2, None], pa.date32()), [86_400, 2 * 86_400]),
    "date64": (pa.array([86_400_000, 0, None], pa.date64()), [86_400, 0]),
    "dictionary of dates": (pa.array([DAY, DAY + datetime.timedelta(1), None]).dictionary_encode(), None),
}
CODED = {
    **{
        str(kind): (pa.array(["a", "é", None], kind), ["a", "é"])
        for kind in (pa.string(), pa.large_string(), pa.string_view())
    },
    **{
        str(kind): (pa.array([b"a", b"b", None], kind), ["a", "b"])
        for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1))
    },
    **{
        f"dictionary by {kind}": (
            pa.DictionaryArray.from_arrays(pa.array([1, 0, None], kind), pa.array(["b", "a"])),
            ["a", "b"],
        )
        for kind in INDICES
    },
    "dictionary of bytes": (pa.array([b"a", b"b", None]).dictionary_encode(), ["a", "b"]),
    "bool": (pa.array([True, False, None]), ["False", "True"]),
    "bool8": (_extension(pa.bool8(), [1, 0, None]), ["False", "True"]),
    "uuid": (_extension(pa.uuid(), [*(one.bytes for one in UUIDS), None]), [str(one) for one in UUIDS]),
    "json": (_extension(pa.json_(), ["1", '{"a": 2}', None]), ["1", '{"a": 2}']),
    "opaque": (_extension(pa.opaque(pa.string(), "point", "elsewhere"), ["a", "b", None]), ["a", "b"]),
}
LEFT_OUT = {
    **{
        str(kind): pa.array([[1], [2], None], kind)
        for kind in (pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_view(pa.int8()), pa.list_(pa.int8(), 1))
    },
    "struct": pa.array([{"a": 1}, {"a": 2}, None]),
    "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int8())),
    "tensor": _extension(pa.fixed_shape_tensor(pa.int32(), [2]), [[1, 2], [3, 4], None]),
}


@pytest.fixture
def written(tmp_path):
    """Write a column beside another, and return the path."""

    def write(values: pa.Array, name: str = "t.parquet") -> str:
        pq.write_table(pa.table({"x": values, "y": [1, 2, 3]}), tmp_path / name)
        return str(tmp_path / name)

    return write


def _column(frame: pd.DataFrame) -> Column:
    """What a model would know of the first column."""
    return infer_schema(frame[["x"]], set())[0].columns[0]


@pytest.mark.parametrize("name", NUMERIC)
def test_a_number_of_any_type_is_a_number(written, name):
    values, numbers = NUMERIC[name]
    frame = read_frame(written(values))
    series = frame["x"]
    assert series.dtype.kind in "if"
    assert _column(frame).kind == "numeric"
    assert np.isnan(series[2])
    if numbers is not None:
        np.testing.assert_allclose(series[:2].astype(float), numbers, rtol=1e-12)


@pytest.mark.parametrize("name", MOMENTS)
def test_a_date_of_any_type_is_its_moment(written, name):
    values, seconds = MOMENTS[name]
    frame = read_frame(written(values))
    assert _column(frame).kind == "datetime"
    if seconds is not None:
        moments = pd.to_datetime(frame["x"], utc=True).astype("datetime64[ns, UTC]").astype(np.int64)[:2] / 1e9
        np.testing.assert_allclose(moments, seconds)


@pytest.mark.parametrize("name", CODED)
def test_text_and_truth_of_any_type_are_their_texts(written, name):
    values, texts = CODED[name]
    frame = read_frame(written(values))
    assert _column(frame).categories == tuple(texts)
    assert frame["x"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_lists_and_records_are_left_out_by_name_and_cost_no_other_column(written, name):
    source = read_source(written(LEFT_OUT[name]))
    assert list(source.frame) == ["y"]
    assert source.notes == ("left out 1 column of lists, records or the like: x",)


def test_a_column_called_like_a_field_of_a_record_is_read_without_the_record(tmp_path):
    pq.write_table(pa.table({"a": [{"b": 1}], "a.b": [2.5]}), tmp_path / "t.parquet")
    assert read_frame(str(tmp_path / "t.parquet")).to_dict("list") == {"a.b": [2.5]}


def test_a_table_of_lists_alone_is_refused(tmp_path):
    pq.write_table(pa.table({"x": LEFT_OUT["struct"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet' has no column of plain values, but lists"):
        read_frame(str(tmp_path / "t.parquet"))


def test_a_target_of_lists_is_refused_by_name(written):
    with pytest.raises(DataError, match=r"the target column 'x' holds lists, records or the like"):
        load_dataset(Settings(written(LEFT_OUT["struct"]), "x"))


def test_a_column_without_any_value_is_read(written):
    assert read_frame(written(pa.nulls(3)))["x"].isna().all()


@pytest.mark.parametrize(
    "values",
    [
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", None])),
        pa.DictionaryArray.from_arrays(pa.array([0, 0, 1], pa.int8()), pa.array(["a", None])),
        pa.DictionaryArray.from_arrays(pa.array([0, 0, None], pa.uint64()), pa.array(["a"], pa.string_view())),
    ],
)
def test_what_no_parquet_file_holds_yet_is_plain_all_the_same(values):
    series = to_frame(pa.table({"x": values}))["x"]
    assert (series[:2].tolist(), series.isna().tolist()) == (["a", "a"], [False, False, True])


@pytest.mark.parametrize(
    "values",
    [
        pa.array([pa.MonthDayNano([1, 2, 3])]),
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1]), pa.array(["a"])]),
    ],
)
def test_what_is_no_single_value_is_not_plain(values):
    assert not is_plain(values.type)


@pytest.mark.parametrize("index", INDICES)
def test_files_whose_dictionaries_differ_are_one_column(written, tmp_path, index):
    for place, texts in enumerate((["a", "b"], ["c", "a"])):
        values = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], index), pa.array(texts))
        written(values, f"{place}.parquet")
    series = read_frame(str(tmp_path))["x"]
    assert series.astype(object).where(series.notna(), None).tolist() == ["a", "b", None, "c", "a", None]


def _dates(kind: pa.DataType) -> pa.Table:
    days = [datetime.datetime(1, 1, 1), NOON, datetime.datetime(9999, 12, 31, 23, 59, 59), None]
    return pa.table({"day": pa.array(days, kind), "x": [1.0, 2.0, 3.0, 4.0]})


@pytest.mark.parametrize("as_folder", [False, True])
def test_dates_of_int96_are_those_of_microseconds(tmp_path, as_folder):
    """9999-12-31 was 1816-03-30: nanoseconds since 1970 wrap around."""
    paths = {}
    for name, options in {"int96": {"use_deprecated_int96_timestamps": True}, "us": {}}.items():
        for part in range(2):
            path = tmp_path / name / f"{part}.parquet"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(_dates(pa.timestamp("us")), path, **options)
        paths[name] = str(path.parent if as_folder else path)
    assert "int96" in str(pq.ParquetFile(tmp_path / "int96" / "0.parquet").schema)
    int96, plain = (read_frame(path) for path in paths.values())
    pd.testing.assert_frame_equal(int96, plain)
    assert int96["day"][2] == pd.Timestamp("9999-12-31 23:59:59")
    schema, _ = infer_schema(plain, set())
    np.testing.assert_array_equal(schema.encode(int96).features, schema.encode(plain).features)


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us", "UTC")])
def test_far_dates_survive_in_any_unit(tmp_path, kind):
    pq.write_table(_dates(kind), tmp_path / "t.parquet")
    days = read_frame(str(tmp_path / "t.parquet"))["day"].dropna()
    assert days.dt.year.tolist() == [1, 2020, 9999]


def test_an_unreadable_type_or_damaged_column_is_a_line(tmp_path, monkeypatch):
    pq.write_table(pa.table({"x": ["a", "b"] * 500}), tmp_path / "t.parquet", compression="none")
    for kind in (pa.ArrowNotImplementedError, pa.ArrowKeyError, pa.ArrowTypeError, pa.ArrowIndexError, ValueError):

        def refuse(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("no such thing")

        monkeypatch.setattr(pq.ParquetFile, "read", refuse)
        with pytest.raises(DataError, match=r"t\.parquet' is not a readable Parquet file: .*no such thing"):
            read_frame(str(tmp_path / "t.parquet"))
