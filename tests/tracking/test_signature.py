"""What typed columns in a signature would cost: MLflow then refuses rows that the leader predicts.

Each row below was tried on the same leader behind MLflow's own check (`mlflow.pyfunc`), with a signature that leaves
the columns open, as ours does, and with one that gives them the type that suits them best. No type takes all that the
leader takes. Where MLflow comes to take more, the table says so, and the column may be typed.
"""

from __future__ import annotations

import datetime
import io
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc.scoring_server import parse_csv_input
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from stacktune.tracking.registry import save_model

DAY = pd.Timestamp("2024-03-01")
TAKEN, REFUSED = True, False
# A column, the type that it would have, what it is given, and whether MLflow takes it.
TRIED = {
    "fractions as doubles": ("size", "double", [1.5, None, -2.0], TAKEN),
    "whole numbers in a column of doubles": ("size", "double", [10, 2, 30], REFUSED),
    "nullable whole numbers in a column of doubles": ("size", "double", pd.array([10, None, 30], "Int64"), REFUSED),
    "numbers as text in a column of doubles": ("size", "double", ["1.5", "2", "3"], REFUSED),
    "truth in a column of doubles": ("size", "double", [True, False, True], REFUSED),
    "whole numbers as longs": ("stops", "long", [1, 2, 3], TAKEN),
    "a missing value among longs": ("stops", "long", [1.0, None, 3.0], REFUSED),
    "fractions in a column of longs": ("stops", "long", [1.5, 2.0, 3.0], REFUSED),
    "whole numbers as doubles": ("stops", "double", [7, 2, 3], REFUSED),
    "texts, one unseen, one missing": ("place", "string", ["north", "nowhere", None], TAKEN),
    "categories in a column of texts": ("place", "string", pd.Categorical(["north", None, "south"]), REFUSED),
    "whole numbers in a column of texts": ("place", "string", [1, 2, 3], REFUSED),
    "nothing but missing values in a column of texts": ("place", "string", [np.nan] * 3, REFUSED),
    "truth as booleans, one missing": ("member", "boolean", [True, None, False], TAKEN),
    "noughts and ones in a column of booleans": ("member", "boolean", [0, 1, 1], REFUSED),
    "dates": ("day", "datetime", [DAY, None, DAY], TAKEN),
    "dates as ISO text": ("day", "datetime", pd.array(["2024-03-01", None, "2024-05-01"], "string"), REFUSED),
    "dates of Python": ("day", "datetime", [datetime.date(2024, 3, 1)] * 3, TAKEN),
    "dates with a time zone": ("day", "datetime", [DAY.tz_localize("Europe/Paris")] * 3, REFUSED),
    "one date beyond nanoseconds": ("day", "datetime", ["9999-12-31", "2024-03-01", None], REFUSED),
    "one date that is none": ("day", "datetime", ["2024-03-01", "unknown", None], REFUSED),
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=240),
            "stops": random.integers(0, 40, 240),
            "place": random.choice(["north", "south", "east"], 240),
            "member": random.random(240) > 0.5,
            "day": DAY + pd.to_timedelta(random.integers(0, 300, 240), unit="D"),
        }
    )
    frame["late"] = np.where(frame["size"] + frame["stops"] / 20 + frame["member"] > 1.5, "yes", "no")
    return fit(frame, "late", tmp_path_factory.mktemp("run"), ("linear",))


@pytest.fixture(scope="module")
def model(fitted, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "open"
    example = fitted.dataset.example
    save_model(folder, fitted.leader.folder, example, fitted.leader.predict(example), with_code=False)
    return folder


def typed(model: Path, column: str, kind: str) -> mlflow.pyfunc.PyFuncModel:
    """Return the same model with one column typed and the others of any type."""
    folder = model.with_name(f"{column}-{kind}")
    if not folder.exists():
        shutil.copytree(model, folder)
        about = Model.load(str(folder))
        others = [name for name in ("size", "stops", "place", "member", "day") if name != column]
        columns = [ColSpec(DataType[kind], column, required=False)]
        columns += [ColSpec(AnyType(), name, required=False) for name in others]
        about.signature = ModelSignature(Schema(columns), about.signature.outputs, about.signature.params)
        about.save(str(folder / "MLmodel"))
    return mlflow.pyfunc.load_model(str(folder))


@pytest.mark.parametrize("case", TRIED)
@pytest.mark.filterwarnings("ignore::stacktune.errors.DataWarning")
def test_an_open_signature_takes_what_a_typed_one_would_refuse(case, fitted, model):
    column, kind, values, is_taken = TRIED[case]
    rows = fitted.dataset.sample.head(3).assign(**{column: values})
    expected = fitted.leader.predict(rows)
    pd.testing.assert_frame_equal(mlflow.pyfunc.load_model(str(model)).predict(rows), expected)
    assert np.isfinite(expected[["no", "yes"]].to_numpy()).all()
    if is_taken:
        pd.testing.assert_frame_equal(typed(model, column, kind).predict(rows), expected)
    else:
        with pytest.raises(MlflowException, match="Failed to enforce schema"):
            typed(model, column, kind).predict(rows)


def test_each_type_costs_a_prediction():
    assert {kind for _, kind, _, is_taken in TRIED.values() if not is_taken} == {kind for _, kind, *_ in TRIED.values()}


def test_columns_of_any_type_cost_every_csv():
    with pytest.raises(MlflowException, match="Failed to get pandas types"):
        parse_csv_input(io.StringIO("size\n1.5\n"), Schema([ColSpec(AnyType(), "size", required=False)]))
