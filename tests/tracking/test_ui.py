from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from neighbours import LIBRARIES, OURS, STANDARD, set_traps

from stacktune.errors import ConfigError
from stacktune.metrics import get_metric
from stacktune.storage.run_folder import RunFolder
from stacktune.tracking import ui
from stacktune.tracking.tracker import Tracker
from stacktune.tracking.ui import ui_page


def command_of(folder_or_uri: str) -> list[str]:
    return ui_page(folder_or_uri).command


def given(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


@pytest.fixture
def output(tmp_path: Path, sqlite_uri: str) -> Path:
    """A run's folder whose store lies in its parent."""
    output = tmp_path / "runs" / "one"
    output.mkdir(parents=True)
    (output.parent / "mlflow.db").write_bytes(b"SQLite format 3\x00")
    (output / "config.yaml").write_text("data: x.parquet\ntracking_uri: null\n")
    return output


def test_a_run_folder_and_a_folder_of_runs_mean_the_store_in_the_parent(output):
    for folder in (output, output.parent):
        command = command_of(str(folder))
        assert given(command, "--backend-store-uri") == f"sqlite:///{output.parent}/mlflow.db"
        assert given(command, "--host") == "127.0.0.1"
        assert {"MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"} <= set(command)


def test_the_address_of_a_runs_page_shows_its_trials_as_for_training(output, sqlite_uri):
    """MLflow opens every experiment for language models, without a metric."""
    usual = "/#/experiments?workflowType=machine_learning"
    assert ui_page(str(output.parent)).url.endswith(usual)
    assert ui_page(str(output)).url.endswith(usual)  # it has not told MLflow of itself yet
    tracker = Tracker(sqlite_uri, "of a run", None, "a run", spool=RunFolder(output).spool)
    tracker.start()
    experiment_id, run_id = tracker.ids()
    place = f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    assert ui_page(str(output)).url.endswith(place)  # as of a run that an earlier stacktune began
    tracker.log_task("binary", get_metric("roc_auc", "binary"))
    assert tracker.finish("FINISHED", {}, {})
    assert ui_page(str(output)).url.endswith(f"{place}&viewStateShareKey={run_id}")


def test_a_run_folder_means_the_store_that_its_config_names(output, tmp_path):
    (tmp_path / "other.db").touch()
    (output / "config.yaml").write_text(f"tracking_uri: sqlite:///{tmp_path}/other.db\n")
    assert given(command_of(str(output)), "--backend-store-uri") == f"sqlite:///{tmp_path}/other.db"


def test_the_usual_port_is_taken_where_it_is_free_and_any_other_where_not(output, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(ui, "USUAL_PORT", other.getsockname()[1])
        assert given(command_of(str(output)), "--port") != str(ui.USUAL_PORT)
    assert given(command_of(str(output)), "--port") == str(ui.USUAL_PORT)


def test_a_password_that_was_not_kept_is_asked_for(output):
    (output / "config.yaml").write_text("tracking_uri: postgresql://***@db/mlflow\n")
    with pytest.raises(ConfigError, match=r"password of 'postgresql://\*{3}@db/mlflow' was not kept .* whole URI"):
        command_of(str(output))


def test_a_servers_own_page_is_opened_and_its_password_not_shown(server):
    command = command_of(server.uri.replace("://", "://me:secret@"))
    page = f"{server.uri}/#/experiments?workflowType=machine_learning"
    assert command[1:] == ["-P", "-m", "webbrowser", page]


def test_a_databases_password_goes_into_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    with socket.socket() as database:
        database.bind(("127.0.0.1", 0))
        database.listen()
        uri = f"postgresql://me:secret@127.0.0.1:{database.getsockname()[1]}/db"
        command = command_of(uri)
    assert "secret" not in " ".join(command)
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == uri


@pytest.mark.parametrize("place", ["nowhere", "sqlite:///nowhere/x.db"])
def test_there_must_be_something_to_show(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no (folder|MLflow store)"):
        command_of(place)


def test_a_folder_without_a_store_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no MLflow store .*mlflow\.db"):
        command_of(str(tmp_path))


def test_the_command_serves_the_ui_and_leaves_nothing_where_one_stands_and_takes_nothing(sqlite_uri, tmp_path):
    """A user's mlflow.py was run in MLflow's place."""
    tracker = Tracker(sqlite_uri, "shown", None, "first run")
    tracker.start()
    tracker.ids()
    assert tracker.finish("FINISHED", {}, {})
    page = ui_page(sqlite_uri)
    command = page.command
    desk = set_traps(tmp_path / "desk", *OURS, *STANDARD, *LIBRARIES)
    there = sorted(desk.rglob("*"))
    address = f"http://127.0.0.1:{given(command, '--port')}/"
    assert page.url == f"{address}#/experiments?workflowType=machine_learning"
    with (tmp_path / "ui.log").open("w") as log:
        serving = subprocess.Popen(command, cwd=desk, stdout=log, stderr=log, start_new_session=True)
    try:
        assert "MLflow" in _fetched(address, serving)
    finally:
        os.killpg(serving.pid, signal.SIGKILL)
        serving.wait()
    assert sorted(desk.rglob("*")) == there


def _fetched(page: str, serving: subprocess.Popen) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and serving.poll() is None:
        try:
            return urllib.request.urlopen(page, timeout=5).read().decode()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no page at {page}")


def test_a_service_with_a_page_of_its_own_is_refused_in_a_sentence():
    with pytest.raises(ConfigError, match="'databricks://work' is a service that shows its runs itself"):
        command_of("databricks://work")
