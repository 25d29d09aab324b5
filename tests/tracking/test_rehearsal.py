"""What would be refused at a run's end must be refused at its start, in a line."""

from __future__ import annotations

import math
import shutil
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from in_process import write_table

from stacktune.data.dataset import Dataset, load_dataset
from stacktune.ensemble.stand_in import build_stand_in
from stacktune.errors import ConfigError, DataError
from stacktune.metrics import get_metric
from stacktune.runs.finish import REHEARSAL, rehearsing
from stacktune.runs.pace import Pace
from stacktune.runs.resume import write_config
from stacktune.runs.watch import _raise_what_failed
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking.rehearsal import rehearse_registering, rehearse_serving
from stacktune.tracking.store import store_for
from stacktune.tracking.tracker import Tracker

CLASSES = {"binary": ["no", "yes"], "multiclass": ["", "a b", "prediction"], "regression": None}


def odd_dataset(folder: Path, kind: str = "binary") -> Dataset:
    """Return a table whose names and values are as odd as Parquet lets them be."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "": random.normal(size=60),
            "0": random.integers(0, 9, 60),
            "('a', 'b')": random.choice(["x", "NaN", ""], 60),
            'quoted "name"\n': pd.date_range("2024-01-01", periods=60, tz="Europe/Vienna"),
            "bytes": random.choice([b"\xff", b"two", None], 60),
            "label": random.normal(size=60) if kind == "regression" else random.choice(CLASSES[kind], 60),
        }
    )
    return load_dataset(Settings(str(write_table(frame, folder)), "label"))[0]


def stand_in(dataset: Dataset, folder: Path):
    return build_stand_in(dataset, get_metric(None, dataset.task.kind), folder)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_stand_in_predicts_as_a_leader_would_and_its_model_is_saved_loaded_and_served(kind, tmp_path):
    dataset = odd_dataset(tmp_path, kind)
    leader = stand_in(dataset, tmp_path / "stand-in")
    prediction = leader.predict(dataset.example)
    assert len(prediction) == 5
    assert list(prediction) == [dataset.task.prediction_name, *dataset.task.classes]
    rehearse_serving(leader.folder, dataset.sample, dataset.example, prediction, tmp_path / "model")
    assert (tmp_path / "model" / "MLmodel").is_file()


def test_what_mlflow_refuses_is_a_line_with_the_columns(tmp_path, monkeypatch):
    """A column without a name ended in MLflow's traceback when all the search was done."""
    from mlflow.exceptions import MlflowException

    dataset = odd_dataset(tmp_path)
    leader = stand_in(dataset, tmp_path / "stand-in")

    def refuse(*_, **__):
        raise MlflowException("no name of that kind\nand more")

    monkeypatch.setattr("mlflow.pyfunc.save_model", refuse)
    with pytest.raises(DataError, match=r"would refuse a model of this table .* \(no name of that kind\)\. Rename"):
        rehearse_serving(
            leader.folder, dataset.sample, dataset.example, leader.predict(dataset.example), tmp_path / "model"
        )


def test_a_folder_that_cannot_be_written_is_the_configs_fault(tmp_path):
    dataset = odd_dataset(tmp_path)
    leader = stand_in(dataset, tmp_path / "stand-in")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"a model cannot be written to .*file.*name another --output"):
        rehearse_serving(
            leader.folder, dataset.sample, dataset.example, leader.predict(dataset.example), tmp_path / "file" / "model"
        )


@pytest.fixture
def tracker(tmp_path):
    """Return a tracker of an experiment whose files go to a place that is none: a file lies there."""
    (tmp_path / "mlartifacts").touch()
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", "parcels", store_for(None, tmp_path / "run").artifacts)
    tracker.start()
    yield tracker
    tracker.close()


def test_a_store_that_takes_no_files_is_said_before_the_search(tracker, tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0")
    with pytest.raises(ConfigError, match=r"takes no files .* leader could not be registered\. Give another --track"):
        rehearse_registering(tracker, "parcels", tmp_path / "config.yaml")
    rehearse_registering(tracker, "parcels", tmp_path / "config.yaml", is_optional=True)
    with pytest.raises(ConfigError, match="a registered model's name has no '/'"):
        rehearse_registering(tracker, "par/cels", tmp_path / "config.yaml")
    (tmp_path / "mlartifacts").unlink()
    rehearse_registering(tracker, "parcels", tmp_path / "config.yaml")


def test_a_run_rehearses_beside_its_search_and_stops_for_what_is_refused(tracker, tmp_path):
    dataset = odd_dataset(tmp_path)
    config = Settings(str(tmp_path / "table.parquet"), "label")
    write_config(tmp_path, config)
    problem = SimpleNamespace(metric=get_metric(None, "binary"))
    journal = SimpleNamespace(n_models=1)
    pace = Pace()
    session = SimpleNamespace(
        config=config,
        dataset=dataset,
        problem=problem,
        folder=tmp_path,
        places=RunFolder(tmp_path),
        tracker=tracker,
        journal=journal,
        pace=pace,
    )
    session.search_ends_at = lambda n_trials: math.inf
    with rehearsing(session) as rehearsal, pytest.raises(ConfigError, match="takes no files"):
        rehearsal.result()
    (tmp_path / "mlartifacts").unlink()
    with rehearsing(session) as rehearsal:
        assert rehearsal.result() is None
    assert not (tmp_path / REHEARSAL).exists()
    assert pace.waits_s is not None
    session.search_ends_at = lambda n_trials: time.monotonic()
    session.problem = None  # nothing is tried any more that would delay the end
    with rehearsing(session) as rehearsal:
        assert rehearsal.result() is None
    _raise_what_failed([Future(), rehearsal])
    failed = Future()
    failed.set_exception(DataError("refused"))
    with pytest.raises(DataError, match="refused"):
        _raise_what_failed([Future(), failed])
    shutil.rmtree(tmp_path / "mlartifacts")
