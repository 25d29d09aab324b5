"""Connects to MLflow, quietly and with short patience.

It also says what its errors mean.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from stacktune.garbage import imports
from stacktune.logs import hear
from stacktune.storage.atomic import making
from stacktune.storage.uris import first_line
from stacktune.tracking.store import sqlite_file

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    # MLflow would otherwise copy a uv.lock of whatever folder one stands in into the model.
    "MLFLOW_UV_AUTO_DETECT": "false",
    # Its own patience with a server that is away is four minutes a call; ours lies in the tracker's queue.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
LOUD_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "sqlalchemy.engine", "urllib3", "huey")
# What MLflow answers when it has understood and refuses: asking again changes nothing.
_REFUSALS = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "BAD_REQUEST",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_ALREADY_EXISTS",
        "INVALID_STATE",
    }
)


def quiet_environment() -> dict[str, str]:
    """Return variables that keep MLflow quiet.

    They keep it off the screen and the network, where they are not set already.
    """
    return {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}


def load_mlflow() -> None:
    """Import, quietly, what we need of MLflow.

    Trackers and registered models need it. It takes most of two seconds.
    """
    be_quiet()
    with imports():
        import mlflow.pyfunc
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    hear(*LOUD_LOGGERS)  # once more, as MLflow has set up its loggers


def be_quiet() -> None:
    """Keep MLflow off the screen and the network.

    The main thread calls it before a run has others (see `stacktune.environment`); later calls change nothing.
    """
    os.environ.update(quiet_environment())
    hear(*LOUD_LOGGERS)


def connect(uri: str) -> MlflowClient:
    """Return a client of the store at `uri`.

    It creates a new database's tables (0.8 s, once a database).
    """
    be_quiet()
    with imports():
        from mlflow.tracking import MlflowClient
    hear(*LOUD_LOGGERS)  # once more, as MLflow has set up its loggers
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        _make_sqlite(file, MlflowClient)
    return MlflowClient(uri, registry_uri=uri)


def _make_sqlite(file: Path, client: type[MlflowClient]) -> None:
    """Make a new database whole or not at all.

    One that was cut off while MLflow made its tables is of no use to it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch, file.name)
        client(f"sqlite:///{made}").search_experiments(max_results=1)
        with making(file) as aside:  # another run may be first
            shutil.copyfile(made, aside)


class Attempt:
    """Holds an error of the store, or None.

    `error` is the one met in its `with` block.

    A store is whatever is plugged in (a server, a database, s3, Azure …), each with its own exceptions. So those that
    a foreign library defines, OSError and ImportError (a store's driver is not installed) are the store's; the
    built-in rest, and ours, are mistakes in this program and go on up.
    """

    error: Exception | None = None

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        home = kind.__module__.partition(".")[0] if kind else ""
        if not isinstance(error, Exception) or home == "stacktune":
            return False
        if home == "builtins" and not isinstance(error, OSError | ImportError):
            return False
        self.error = error
        return True

    @property
    def met(self) -> Exception:
        """The error, for whoever knows that there was one."""
        if self.error is None:
            raise RuntimeError("the store made no error")
        return self.error

    @property
    def refused(self) -> bool:
        """Return whether the store refused for good.

        It understood and said no, or can never be written from here.
        """
        if self.error is not None and hasattr(self.error, "error_code"):
            return self.error.error_code in _REFUSALS
        return isinstance(self.error, ImportError | PermissionError)

    @property
    def reason(self) -> str:
        """The error's first line, short and without credentials."""
        return first_line(self.error)
