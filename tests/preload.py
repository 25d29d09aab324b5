"""What the process imports that commands are forked off: all that a run imports, under the variables that it sets.

It makes an MLflow database too, of which each command that needs a new one gets a copy: 1.2 s of processor.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from stacktune.environment import SET_BY_LIBRARIES, set_defaults
from stacktune.search.cluster.start import QUIET
from stacktune.tracking import client
from stacktune.tracking.client import be_quiet, load_mlflow

set_defaults(QUIET | SET_BY_LIBRARIES)
be_quiet()
load_mlflow()

import alembic.command  # noqa: E402, F401
import catboost  # noqa: E402, F401
import fastapi  # noqa: E402, F401
import lightgbm  # noqa: E402, F401
import mlflow.tracking  # noqa: E402, F401
import optuna  # noqa: E402, F401
import ray.tune  # noqa: E402, F401
import sklearn.linear_model  # noqa: E402, F401
import xgboost  # noqa: E402, F401

import stacktune.cli  # noqa: E402
import stacktune.report.summary  # noqa: E402
import stacktune.run.command  # noqa: E402
import stacktune.run.driver  # noqa: E402, F401

with TemporaryDirectory() as scratch:
    client.connect(f"sqlite:///{scratch}/mlflow.db")
    DATABASE = Path(scratch, "mlflow.db").read_bytes()


def copy_database(file: Path, _client: object) -> None:
    """Give a command its own, unless another has made one in between."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), file.open("xb") as copy:
        copy.write(DATABASE)


client._make_sqlite = copy_database
gc.freeze()
