"""A leader behind MLflow's doors, and tables that come back in another type than the training table's."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from in_process import Fitted, fit

from field_cases import Case
from stacktune.errors import DataWarning
from stacktune.tracking.client import quiet_environment
from stacktune.tracking.rehearsal import rehearse_serving

os.environ.update(quiet_environment())


def _table(n_rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    amount, zone = random.normal(size=n_rows), random.choice(["007", "012", "A5"], n_rows)
    return pd.DataFrame(
        {
            "amount": amount,
            "gaps": pd.Series(random.integers(0, 9, n_rows)).mask(random.random(n_rows) < 0.3),
            "zone": zone,
            "late": np.where(amount + 2 * (zone == "007") > 0.5, "yes", "no"),
        }
    )


def _served(fitted: Fitted, folder: Path) -> Any:
    """Save the leader as a run does, and return what `mlflow.pyfunc` loads of that."""
    import mlflow.pyfunc

    sample, example = fitted.dataset.sample, fitted.dataset.example
    rehearse_serving(fitted.leader.folder, sample, example, fitted.leader.predict(example), folder / "served")
    return mlflow.pyfunc.load_model(str(folder / "served"))


def _said(error: Exception) -> tuple[str, bool]:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:80]}", False


def nameless_column(folder: Path) -> tuple[str, bool]:
    frame = _table().rename(columns={"amount": "", "gaps": "0"})
    predicted = _served(fit(frame, "late", folder), folder).predict(frame)
    return f"saved, loaded and {len(predicted)} rows predicted before the search", True


def _labelled(labels: Any, folder: Path) -> tuple[str, bool]:
    from mlflow.exceptions import MlflowException

    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=labels)
    target = ("y", "y") if isinstance(labels, pd.MultiIndex) else 9
    frame[target] = np.where(frame.iloc[:, 0] > 0, "up", "down")
    path = folder / "table.parquet"
    frame.to_parquet(path)
    fitted = fit(path, str(target), folder, ("linear",))
    try:
        predicted = _served(fitted, folder).predict(pd.read_parquet(path))
    except MlflowException as error:
        return _said(error)
    right = float((predicted["prediction"] == frame[target]).mean())
    return f"{right:.0%} of the rows right", right > 0.9


def csv_to_the_server(folder: Path) -> tuple[str, bool]:
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc.scoring_server import invocations

    fitted = fit(_table(), "late", folder)
    model, rows = _served(fitted, folder), _table().drop(columns="late")
    rows = rows[rows["zone"] != "A5"]
    try:
        answer = invocations(rows.to_csv(index=False).encode(), "text/csv", model, model.metadata.get_input_schema())
    except MlflowException as error:
        return _said(error)
    served = pd.DataFrame(json.loads(answer.response)["predictions"])
    gap = float((served["yes"] - fitted.leader.predict(rows)["yes"].to_numpy()).abs().max())
    return f"status {answer.status}, off by {gap:.2g}", answer.status == 200 and gap < 1e-9


def evaluated(folder: Path) -> tuple[str, bool]:
    import mlflow

    os.environ["MPLBACKEND"] = "Agg"
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("judged", (folder / "files").as_uri()))
    frame = _table()
    _served(fit(frame, "late", folder), folder)
    asked = {"targets": "late", "model_type": "classifier", "evaluators": ["classifier"]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = mlflow.models.evaluate(str(folder / "served"), frame, model_config={"labels": True}, **asked)
    except ValueError as error:
        return _said(error)
    accuracy = result.metrics["accuracy_score"]
    return f"accuracy {accuracy:.3f}", accuracy > 0.9


def left_out(folder: Path) -> tuple[str, bool]:
    fitted, rows = fit(_table(), "late", folder), _table().drop(columns="late")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        without = _served(fitted, folder).predict(rows.drop(columns="gaps"))
    same = without.equals(fitted.leader.predict(rows.assign(gaps=np.nan)))
    told = [str(warning.message) for warning in said if issubclass(warning.category, DataWarning)]
    return (told or ["in silence"])[0], same and bool(told)


def times_in_json(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    seconds = random.integers(0, 86_400, 300)
    frame = pd.DataFrame({"at": pd.to_timedelta(seconds, unit="s"), "late": np.where(seconds > 43_200, "yes", "no")})
    leader = fit(frame, "late", folder).leader
    text = frame.assign(at=frame["at"].map(lambda span: str(span).removeprefix("0 days ")))
    right = float((leader.predict(text)["prediction"] == frame["late"]).mean())
    return f"{right:.0%} of the rows right", right > 0.9


CASES = [
    Case(
        "14 what MLflow would refuse",
        "an MLflow traceback after the whole search",
        "tried at the start",
        nameless_column,
    ),
    Case(
        "16 whole numbers as names, pyfunc",
        "Model is missing inputs ['0', '1', '2']",
        "predicted",
        lambda folder: _labelled([0, 1, 2], folder),
    ),
    Case(
        "16 names of two levels, pyfunc",
        "Model is missing inputs",
        "predicted",
        lambda folder: _labelled(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), folder),
    ),
    Case("21 CSV to the server", "400: Failed to parse input", "as the leader predicts", csv_to_the_server),
    Case("21 mlflow.models.evaluate", "ValueError: number of dimensions", "accuracy above .9", evaluated),
    Case("21 a column with gaps left out", "refused", "missing in every row, and said", left_out),
    Case("21 times as text", "all missing, in silence", "seconds", times_in_json),
]
