"""Writes predictions, as Parquet or CSV.

They are CSV where the name says so.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stacktune.errors import ConfigError, DataError
from stacktune.places import check_place
from stacktune.storage.atomic import replacing

ENDINGS = (".parquet", ".csv")


def check_writable(path: str) -> Path:
    """Return `path`, or raise if it is unwritable.

    It is called before any work is done for a file that could not be written.

    Raises ConfigError for another ending than ENDINGS, or where nothing can be written; DataError where a folder is in
    the way or missing.
    """
    file = _named(path)
    check_place(file, "the file")
    return file


def _named(path: str) -> Path:
    if "://" in path:
        raise ConfigError(f"predictions are written to this machine, and {path!r} is elsewhere: name a file here.")
    file = Path(path)
    if file.suffix.lower() not in ENDINGS:
        raise ConfigError(f"predictions are written to a file that ends in {' or '.join(ENDINGS)}, but got {path!r}.")
    if file.is_dir():
        raise DataError(f"{path!r} is a folder: name the file to write in it, e.g. {path}/predictions.parquet.")
    if not file.parent.is_dir():
        raise DataError(f"there is no folder {str(file.parent)!r} to write {file.name!r} in: make it first.")
    return file


def write_frame(frame: pd.DataFrame, path: str) -> None:
    """Write `frame` without its index.

    The file appears whole or not at all. Raises as `check_writable` does, but OSError where nothing can be written.
    """
    file = _named(path)
    with replacing(file) as aside:
        if file.suffix.lower() == ".csv":
            frame.to_csv(aside, index=False)
        else:
            frame.to_parquet(aside, index=False, engine="pyarrow", compression="zstd")
