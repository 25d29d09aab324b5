"""Loads a leader for MLflow.

`mlflow.pyfunc.load_model` imports this module from the model's own code.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stacktune.ensemble.digests import digests_of
from stacktune.ensemble.leader import Leader
from stacktune.errors import DataError, DataWarning
from stacktune.package import is_this_code
from stacktune.storage.digests import digest_of

if TYPE_CHECKING:
    import pandas as pd


# In the metadata of MLmodel: the digest of the code that the model brings.
CODE = "stacktune.code"


class Served:
    """A leader in the shape that MLflow expects.

    labels: whether it answers with decided classes alone, as `mlflow.models.evaluate` wants them.
    """

    def __init__(self, leader: Leader, labels: bool = False):
        self.leader = leader
        self.labels = labels

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame | pd.Series:
        """Return `Leader.predict` of what MLflow hands over.

        It is a frame, a dictionary of columns or a list of rows as dictionaries.

        params: {"labels": True} asks for `Leader.labels` instead.
        """
        frame = as_frame(model_input)
        if self.labels or (params or {}).get("labels"):
            return self.leader.labels(frame)
        return self.leader.predict(frame)


def as_frame(model_input: Any) -> pd.DataFrame:
    """Return the table in an MLflow input.

    A caller of MLflow, or the JSON of a request to its server, holds it.
    """
    import pandas as pd

    if isinstance(model_input, pd.DataFrame):
        return model_input
    if isinstance(model_input, Mapping):
        columns = _plain(model_input)
        is_row = all(isinstance(value, str) or not hasattr(value, "__len__") for value in columns.values())
        return pd.DataFrame([columns] if is_row else columns)
    if isinstance(model_input, list) and all(isinstance(row, Mapping) for row in model_input):
        return pd.DataFrame([_plain(row) for row in model_input])
    raise DataError(
        f"the model needs columns with names, but got {type(model_input).__name__}. Give a DataFrame, or to a server "
        "dataframe_split, dataframe_records, CSV with a header, or inputs with a list for each column."
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without MLflow's arrays of no dimension.

    Its server makes such arrays of single values.
    """
    return {name: _unwrapped(value) for name, value in values.items()}


def _unwrapped(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    if shape == ():
        return value.item()
    return [_unwrapped(each) for each in value] if shape and value.dtype == object else value


def _check_code(model: Path) -> None:
    """Check an MLflow model's code against its digest.

    The digest is in its MLmodel; models without one or without code pass.
    """
    about, code = model / "MLmodel", model / "code"
    if not about.is_file() or not code.is_dir():
        return
    metadata = (yaml.safe_load(about.read_text(encoding="utf-8")) or {}).get("metadata") or {}
    if CODE in metadata and metadata[CODE] != digest_of(digests_of(code)):
        raise DataError(
            f"the code in {str(code)!r} is not as it was written. Take the model from where it came from once more."
        )


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Served:
    """Load what `Leader.save` wrote.

    model_config: {"labels": True} for decided classes alone.

    Raises DataError where the model brings code that is not as it was written. That code is what runs here: this tells
    damage alone.
    """
    _check_code(Path(path).parent.parent)
    unused = _unused_code(Path(path))
    try:
        leader = Leader.load(Path(path))
    except DataError as error:
        if unused is None:
            raise
        raise DataError(f"{error} {unused}") from error
    if unused:
        warnings.warn(unused, DataWarning, stacklevel=2)
    return Served(leader, bool((model_config or {}).get("labels")))


def _unused_code(leader_folder: Path) -> str | None:
    """Say that a model's own code is not used.

    That is so where Python had imported other code before; else None is returned.
    """
    brought = leader_folder.parents[1] / "code" / "stacktune"
    if not brought.is_dir() or is_this_code(brought):
        return None
    here = str(Path(__file__).parents[1])
    return (
        f"This process had imported the stacktune in {here!r} before, so the model is not read by the code that it "
        "brings: load it in a process of its own to be sure of its predictions."
    )
