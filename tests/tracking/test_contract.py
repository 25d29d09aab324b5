"""What MLflow is told of a leader: the example must be JSON that means the same rows, whatever holds them."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid

import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import convert_input_example_to_serving_input

from stacktune.tracking.contract import example_of, signature_of

ZONED = pd.Timestamp("2024-03-01T10:00", tz="Europe/Vienna")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (float("nan"), None),
        (float("-inf"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (decimal.Decimal("1.50"), "1.5"),
        (b"abc", "abc"),
        (pd.Timestamp("2024-03-01"), "2024-03-01T00:00:00"),
        (ZONED, "2024-03-01T10:00:00+01:00"),
        (datetime.date(2024, 3, 1), "2024-03-01"),
        (pd.Timedelta("90s"), 90.0),
        (pd.Period("2024-03"), "2024-03"),
        (pd.Interval(0, 1), "(0, 1]"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_an_example_is_json_whatever_a_column_holds(value, plain):
    example = example_of(pd.DataFrame({"column": pd.Series([value, None], dtype=object)}))
    sent = json.loads(convert_input_example_to_serving_input(example), parse_constant=pytest.fail)
    assert sent == {"dataframe_split": {"columns": ["column"], "data": [[plain], [None]]}}


def test_a_signature_says_what_is_predicted_and_asks_nothing_of_the_inputs():
    prediction = pd.DataFrame({"prediction": [True], "False": [0.25], "True": [0.75]})
    signature = signature_of(prediction)
    assert signature.inputs is None
    assert [(column.name, column.type.name) for column in signature.outputs] == [
        ("prediction", "boolean"),
        ("False", "double"),
        ("True", "double"),
    ]
    assert signature.params.to_dict() == [{"name": "labels", "default": False, "shape": None, "type": "boolean"}]
