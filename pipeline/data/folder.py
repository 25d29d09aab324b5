"""Opens Parquet files and folders as Arrow data sets."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from stacktune.data.delta import open_delta
from stacktune.data.files import Files, check_names
from stacktune.errors import DataError
from stacktune.storage.uris import first_line

_WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")
# INT96, in which Spark and Hive write dates, counts nanoseconds of a day: as nanoseconds since 1970 the years before
# 1678 and after 2261 would wrap around.
_INT96_UNIT = "us"
_FORMAT = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(coerce_int96_timestamp_unit=_INT96_UNIT))
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def open_file(files: Files, path: str | None = None) -> pq.ParquetFile:
    """Open one Parquet file.

    It is the first if none is named, to read its header or its rows.
    """
    return pq.ParquetFile(path or files.paths[0], filesystem=files.filesystem, coerce_int96_timestamp_unit=_INT96_UNIT)


def open_parquet(uri: str, files: Files) -> ds.Dataset:
    """Return a Parquet table's rows, not read yet.

    The table is a file, all files of a folder, or a Delta table.

    The files of a folder have the same columns, and hive folders (`year=2024`) add theirs; numbers of different width
    are widened to one type. Raises DataError when columns or types differ, or two share a name.
    """
    if files.delta_uri is not None:
        return open_delta(uri, files.delta_uri)
    if files.base is None:
        with open_file(files) as file:
            check_names(uri, file.schema_arrow.names)
        return ds.dataset(files.paths[0], format=_FORMAT, filesystem=files.filesystem)
    schemas = []
    for path in files.paths:
        with open_file(files, path) as file:
            schema = file.schema_arrow.remove_metadata()
        check_names(path, schema.names)
        schemas.append(schema)
    _check_same_columns(files, schemas)
    united = _unite(uri, schemas)
    added = _hive_fields(files, united.names)
    return ds.dataset(
        list(files.paths),
        schema=pa.schema([*united, *added]),
        format=_FORMAT,
        filesystem=files.filesystem,
        partitioning=ds.partitioning(added, flavor="hive"),
        partition_base_dir=files.base,
    )


def _check_same_columns(files: Files, schemas: list[pa.Schema]) -> None:
    first = set(schemas[0].names)
    for path, schema in zip(files.paths, schemas, strict=True):
        odd = sorted(first.symmetric_difference(schema.names))
        if odd:
            holder = path if odd[0] in schema.names else files.paths[0]
            raise DataError(
                f"the files of a folder must have the same columns, but of {files.paths[0]!r} and {path!r} "
                f"only {holder!r} has {odd[0]!r}."
            )


def _unite(uri: str, schemas: list[pa.Schema]) -> pa.Schema:
    if all(schema.equals(schemas[0]) for schema in schemas):
        return schemas[0]
    alike = {
        field.name for field in schemas[0] if all(schema.field(field.name).type == field.type for schema in schemas)
    }
    plain = [pa.schema([_plain(field, field.name in alike) for field in schema]) for schema in schemas]
    try:
        return pa.unify_schemas(plain, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"the files of {uri!r} hold different types: {first_line(error)}.") from None


def _plain(field: pa.Field, alike: bool) -> pa.Field:
    keep = alike or not pa.types.is_dictionary(field.type)
    return pa.field(field.name, field.type if keep else field.type.value_type)


def _hive_fields(files: Files, taken: list[str]) -> pa.Schema:
    """Return a field for each hive key.

    Such a key is no column of the files; whole numbers are int64.
    """
    values: dict[str, set[str]] = {}
    for path in files.paths:
        for part in path[len(files.base or "") :].split("/")[:-1]:
            key, equals, value = part.partition("=")
            if equals and unquote(key) not in taken:
                values.setdefault(unquote(key), set()).add(unquote(value))
    return pa.schema([(key, _hive_type(texts - {_HIVE_NULL})) for key, texts in values.items()])


def _hive_type(texts: set[str]) -> pa.DataType:
    return pa.int64() if all(_WHOLE_NUMBER.fullmatch(text) for text in texts) else pa.string()
