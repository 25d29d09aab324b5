"""A leader behind MLflow's own doors: its scoring server, `pyfunc`, and `mlflow.models.evaluate`."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.errors import DataError
from stacktune.tracking.client import quiet_environment
from stacktune.tracking.registry import save_model

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


def parcels(n_rows: int = 400) -> pd.DataFrame:
    """Parcels that are late or not, with a column of each kind that JSON or CSV may change."""
    random = np.random.default_rng(0)
    stops, weight = random.integers(0, 9, n_rows), random.normal(5, 2, n_rows)
    zone = random.choice(["007", "012", "A5"], n_rows)
    late = stops + weight + 4 * (zone == "007") + random.normal(size=n_rows) > 11
    return pd.DataFrame(
        {
            "stops": stops,
            "weight": weight,
            "fee": pd.Series(random.integers(0, 5, n_rows), dtype="Int64").mask(random.random(n_rows) < 0.2),
            "zone": pd.Series(zone, dtype="category"),
            "fragile": random.random(n_rows) > 0.5,
            "sent": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 5000, n_rows), unit="h"),
            "late": np.where(late, "yes", "no"),
        }
    )


def as_model(fitted: Fitted, folder: Path, with_code: bool = False) -> Path:
    """Save the leader as a run does; return the folder of the MLflow model."""
    example = fitted.dataset.example
    save_model(folder / "served", fitted.leader.folder, example, fitted.leader.predict(example), with_code)
    return folder / "served"


class ScoringServer:
    """`mlflow models serve` of one model, on a free loopback port."""

    def __init__(self, model: Path, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._uri, self._log = f"http://127.0.0.1:{port}", folder / "server.log"
        command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model)]
        command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, env=_environment(folder), stdout=log, stderr=log, cwd=folder, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not self._is_up():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "the scoring server did not come up"
            time.sleep(0.2)

    def _is_up(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self._uri}/ping", timeout=2).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, body: bytes | dict, kind: str = JSON) -> pd.DataFrame:
        """Return the predictions; AssertionError with the answer where it is none."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(f"{self._uri}/invocations", data, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return pd.DataFrame(json.load(answer)["predictions"])
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None


def _environment(folder: Path) -> dict[str, str]:
    """Return one in which `uvicorn`, which MLflow starts by its name, is that of the Python that runs the tests."""
    script = folder / "bin" / "uvicorn"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uvicorn "$@"\n')
    script.chmod(0o755)
    return {**os.environ, **quiet_environment(), "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    return fit(parcels(), "late", tmp_path_factory.mktemp("parcels"))


@pytest.fixture(scope="module")
def model(fitted, tmp_path_factory) -> Path:
    return as_model(fitted, tmp_path_factory.mktemp("model"), with_code=True)


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    server = ScoringServer(model, tmp_path_factory.mktemp("desk"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return parcels().drop(columns="late").head(20)


def same(answer: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(answer, expected.reset_index(drop=True), check_dtype=False)


def as_records(frame: pd.DataFrame, dates: str = "iso") -> list[dict]:
    return json.loads(frame.to_json(orient="records", date_format=dates, date_unit="ms", double_precision=15))


def test_a_real_server_takes_every_format_that_mlflow_has(fitted, server, model, rows):
    """CSV was refused, as the signature's columns were of any type."""
    expected = fitted.leader.predict(rows)
    records = as_records(rows)
    split = {"columns": list(rows), "data": [list(record.values()) for record in records]}
    columns = {name: [record[name] for record in records] for name in rows}
    for body in (
        *({"dataframe_records": records}, {"dataframe_split": split}),
        *({"inputs": columns}, {"inputs": records}, {"instances": records}),
    ):
        same(server.ask(body), expected)
    parquet = io.BytesIO()
    rows.to_parquet(parquet)
    same(server.ask(parquet.getvalue(), PARQUET), expected)
    same(server.ask(rows.to_csv(index=False).encode(), CSV), expected)
    same(server.ask(rows.to_csv().encode(), CSV), expected)
    example = json.loads((model / "serving_input_example.json").read_text(), parse_constant=pytest.fail)
    same(server.ask(example), fitted.leader.predict(fitted.dataset.example))


@pytest.mark.filterwarnings("ignore:the model cannot use values of 1 column")
def test_a_real_server_converts_what_json_cannot_say(fitted, server, rows):
    expected = fitted.leader.predict(rows)
    same(server.ask({"dataframe_records": as_records(rows, "epoch")}), expected)
    same(server.ask({"dataframe_records": as_records(rows.assign(extra="x"))}), expected)
    whole = rows.assign(weight=[int(weight) for weight in rows["weight"]])
    same(server.ask({"dataframe_records": as_records(whole)}), fitted.leader.predict(whole))
    odd = rows.assign(stops=None, fragile=None, sent=None, zone="never seen")
    same(server.ask({"dataframe_records": as_records(odd)}), fitted.leader.predict(odd))


def test_a_real_server_is_told_which_columns_may_be_left_out(fitted, server, rows):
    """A missing value that JSON leaves out takes the whole column with it where one row is asked for."""
    without = rows.head(1).drop(columns="fee")
    same(server.ask({"dataframe_records": as_records(without)}), fitted.leader.predict(rows.head(1).assign(fee=None)))
    for one in ({"inputs": as_records(without)[0]}, {"dataframe_records": [{**as_records(without)[0], "fee": None}]}):
        same(server.ask(one), server.ask({"dataframe_records": as_records(without)}))
    with pytest.raises(AssertionError, match=r"DataError: the table has no column 'stops'"):
        server.ask({"dataframe_records": as_records(rows.drop(columns="stops"))})
    with pytest.raises(AssertionError, match=r"DataError: the model needs columns with names, but got ndarray"):
        server.ask({"inputs": [[1, 2, 3]]})


def test_a_real_server_answers_with_decided_classes_alone_where_it_is_asked_to(fitted, server, rows):
    answer = server.ask({"dataframe_records": as_records(rows), "params": {"labels": True}})
    same(answer, fitted.leader.predict(rows)[["prediction"]])


@pytest.mark.parametrize(
    "labels",
    [
        pd.Index([0, 1, 2]),
        pd.Index([0, "a", 2.5]),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
        pd.Index(["", "x", "z"]),
    ],
    ids=["whole", "mixed", "levels", "empty"],
)
@pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type")
def test_what_pandas_reads_of_the_training_file_is_predicted_whatever_its_columns_are_called(labels, tmp_path):
    """pyfunc said "Model is missing inputs ['0', …]": a signature's names are text, and pandas gave back numbers."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(200, 3)), columns=labels)
    target = 9 if labels.dtype == "int64" else ("y", "y") if labels.nlevels > 1 else "y"
    frame[target] = np.where(frame.iloc[:, 0] > 0, "up", "down")
    frame.to_parquet(tmp_path / "table.parquet")
    fitted = fit(str(tmp_path / "table.parquet"), str(target), tmp_path, ("linear",))
    served = mlflow.pyfunc.load_model(str(as_model(fitted, tmp_path)))
    back = pd.read_parquet(tmp_path / "table.parquet")
    assert (labels.dtype == "int64") == (back.columns.dtype == "int64")
    predicted = served.predict(back)
    assert (predicted["prediction"] == back[target]).mean() > 0.9
    pd.testing.assert_frame_equal(predicted, fitted.leader.predict(back))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give MLflow's fluent calls a store, and an experiment whose files lie there too."""
    folder, before = tmp_path_factory.mktemp("store"), mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("judged", (folder / "files").as_uri()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        yield
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("kind", ["text", "numbers", "three"])
@pytest.mark.filterwarnings("ignore:Hint. Inferred schema contains integer")
def test_mlflow_evaluates_a_classifier(kind, fitted, model, store, tmp_path):
    """It failed, as it takes all that a classifier predicts for the decided class."""
    frame = parcels()
    late = frame["late"] == "yes"
    frame["late"] = {
        "text": frame["late"],
        "numbers": late.astype(int),
        "three": np.where(late, "late", np.where(frame["stops"] > 4, "slow", "quick")),
    }[kind]
    if kind != "text":
        fitted = fit(frame, "late", tmp_path, ("linear",))
        model = as_model(fitted, tmp_path)
    # MLflow's other evaluator, for Shapley values, fails on pandas' own types where labels are numbers.
    asked = {"targets": "late", "model_type": "classifier", "evaluators": ["classifier"]}
    result = mlflow.models.evaluate(str(model), frame, model_config={"labels": True}, **asked)
    right = (fitted.leader.labels(frame) == frame["late"]).mean()
    assert result.metrics["accuracy_score"] == pytest.approx(right)
    assert right > 0.75
    assert {"f1_score", "recall_score", "precision_score"} <= result.metrics.keys()


@pytest.mark.filterwarnings("ignore:Hint. Inferred schema contains integer")
def test_mlflow_evaluates_a_regressor(store, tmp_path):
    frame = parcels().drop(columns="late")
    frame["hours"] = frame["stops"] * 2.0 + frame["weight"]
    fitted = fit(frame, "hours", tmp_path)
    result = mlflow.models.evaluate(
        str(as_model(fitted, tmp_path)), frame, targets="hours", model_type="regressor", evaluators=["regressor"]
    )
    assert result.metrics["r2_score"] > 0.9


def test_a_loaded_model_takes_dictionaries_and_lists_of_rows(fitted, model, rows):
    served, expected = mlflow.pyfunc.load_model(str(model)), fitted.leader.predict(rows)
    same(served.predict({name: list(values) for name, values in rows.items()}), expected)
    same(served.predict({name: values.to_numpy() for name, values in rows.items()}), expected)
    same(served.predict(rows.to_dict("records")), expected)
    same(served.predict(rows.iloc[0].to_dict()), expected.head(1))
    for nameless in (rows.to_numpy(), [[1, 2]], "text"):
        with pytest.raises(DataError, match="the model needs columns with names, but got"):
            served.predict(nameless)
