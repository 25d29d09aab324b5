"""Opens the MLflow UI on a run."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stacktune.errors import ConfigError
from stacktune.package import SHIM
from stacktune.storage.run_folder import DEFAULT_PARENT, RunFolder, model_hint
from stacktune.storage.uris import has_secret, is_masked, keep_secret, masked_uri
from stacktune.tracking.spool import PARENT, Spooled, read_spool
from stacktune.tracking.store import SERVERS, Store, absolute, check_store, sqlite_file, store_for, without_credentials

_QUIET = ("MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true", "MLFLOW_DISABLE_AGENT_HINT=1")
# Nothing of ours runs as a job of MLflow's: ten processes more, which do not end with Ctrl-C.
_NO_JOBS = ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false",)
# A user's mlflow.py in the folder that the command stands in is not MLflow: Python, and uvicorn, which serves it, put
# that folder first on their path.
_APART = ("PYTHONSAFEPATH=1", f"UVICORN_APP_DIR={SHIM}")
USUAL_PORT = 5000


# MLflow 3 opens every page for language models, unless told that this is about training.
_TRAINING = "workflowType=machine_learning"


@dataclass(frozen=True)
class Page:
    """A page of MLflow's, and what serves it.

    command: a command line to run as it is. A password in a database's URI goes into this process's environment
    instead, which the command inherits. is_served: whether the command serves it, or opens that of a server.
    """

    url: str
    command: list[str]
    is_served: bool


def ui_page(folder_or_uri: str) -> Page:
    """Return the page of a run, or of all.

    It is to be served on 127.0.0.1 at a free port, or is a server's own.

    folder_or_uri: a run's folder, a folder of runs, or a store. Raises ConfigError when there is nothing to show.
    """
    keep_secret(folder_or_uri)
    store = _store(folder_or_uri)
    check_store(store.uri)
    if urlsplit(store.uri).scheme in SERVERS:
        url = f"{without_credentials(store.uri).rstrip('/')}/{_place(folder_or_uri)}"
        return Page(url, [sys.executable, "-P", "-m", "webbrowser", url], False)
    if store.artifacts is None:
        raise ConfigError(
            f"{masked_uri(store.uri)!r} is a service that shows its runs itself. Open its page in a browser."
        )
    file = sqlite_file(store.uri)
    if file and not file.exists():
        raise ConfigError(f"there is no MLflow store {file}. Run `stacktune run` first, or name the store's URI.")
    port = str(_free_port())
    command = ["env", *_QUIET, *_NO_JOBS, *_APART, sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", port, "--workers", "1", "--default-artifact-root", store.artifacts]
    if has_secret(store.uri):
        os.environ["MLFLOW_BACKEND_STORE_URI"] = store.uri
    else:
        command += ["--backend-store-uri", store.uri]
    return Page(f"http://127.0.0.1:{port}/{_place(folder_or_uri)}", command, True)


def _place(folder_or_uri: str) -> str:
    """Return where in MLflow's pages a run's trials are.

    It is that of all experiments where no run is named, or MLflow has not heard of it.
    """
    spool = RunFolder(Path(folder_or_uri)).spool if "://" not in folder_or_uri else None
    past = read_spool(spool) if spool else Spooled()
    run_id = past.run_ids.get(PARENT)
    if not past.experiment_id or run_id is None:
        return f"#/experiments?{_TRAINING}"
    view = f"&viewStateShareKey={run_id}" if past.has_view else ""
    return f"#/experiments/{past.experiment_id}/runs?{_TRAINING}{view}"


def _store(folder_or_uri: str) -> Store:
    if "://" in folder_or_uri:
        return store_for(absolute(folder_or_uri), Path(DEFAULT_PARENT, "ui"))
    folder = Path(folder_or_uri).absolute()
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}. Name a run's folder, a folder of runs, or an MLflow store.")
    places = RunFolder(folder)
    if not places.config.exists():
        if hint := model_hint(folder):
            raise ConfigError(f"{folder_or_uri!r} is not the folder of a run: MLflow was told nothing of it.{hint}")
        return store_for(None, folder / "run")
    uri = _tracking_uri(places)
    if uri and is_masked(uri):
        raise ConfigError(f"the password of {uri!r} was not kept in {folder}: name the store's whole URI instead.")
    return store_for(uri, folder)


def _tracking_uri(places: RunFolder) -> str | None:
    """Return the store that a run's settings name.

    Raises ConfigError where they cannot be read.
    """
    settings = places.read_config()
    uri = None if settings is None else settings.get("tracking_uri")
    if settings is None or not isinstance(uri, str | None):
        raise ConfigError(f"{str(places.config)!r} is not what a run wrote: name the store's URI instead.")
    return uri


def _free_port() -> int:
    """Return MLflow's usual port, or a free one."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
