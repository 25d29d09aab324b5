"""Makes a leader's signature and example, for MLflow.

They say what it predicts and what may be asked of it, and give rows to try it on.
"""

from __future__ import annotations

import datetime
import math
import numbers
from typing import TYPE_CHECKING, Any

from stacktune.data.values import text_of

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import DataType

# In `params` of a request, and in `model_config` when a model is loaded: only the decided class, or the value.
LABELS = "labels"


def signature_of(output_example: pd.DataFrame) -> ModelSignature:
    """Return a signature that leaves the inputs open.

    It is of the outputs and of the parameter `labels`.

    MLflow holds inputs against a signature before the leader sees them, and so refuses what the leader predicts. No
    column can have a type that costs no valid row: doubles refuse whole numbers, longs a missing value, strings
    categories and whole numbers, booleans noughts and ones, dates ISO texts and time zones; tests/tracking/
    test_signature.py has the whole table, and fails once MLflow takes more. With columns of "any" type all CSV is
    refused; with either, columns whose names are numbers or tuples. The leader checks names and converts values by
    itself, and the description of a version lists its columns (mlflow/models/utils.py, `_enforce_schema`;
    mlflow/pyfunc/scoring_server, `parse_csv_input`).
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        outputs=Schema([ColSpec(_type_of(values), str(name)) for name, values in output_example.items()]),
        params=ParamSchema([ParamSpec(LABELS, DataType.boolean, False)]),
    )


def _type_of(values: pd.Series) -> DataType:
    from mlflow.types import DataType

    types = {"f": DataType.double, "i": DataType.long, "b": DataType.boolean}
    return types.get(values.dtype.kind, DataType.string)


def example_of(sample: pd.DataFrame) -> pd.DataFrame:
    """Return the sample in values that JSON has.

    It has None for what is missing, so that it can be sent to a server as it is.
    """
    import pandas as pd

    plain = {name: pd.Series([_plain(value) for value in values], dtype=object) for name, values in sample.items()}
    return pd.DataFrame(plain, columns=sample.columns)


def _plain(value: Any) -> str | bool | int | float | None:
    """Return the value as JSON has it.

    A leader reads it alike: dates in ISO format, durations in seconds.
    """
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA or isinstance(value, str):
        return value if isinstance(value, str) else None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, numbers.Real) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        value = getattr(value, "item", lambda: value)()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return text_of(value)
