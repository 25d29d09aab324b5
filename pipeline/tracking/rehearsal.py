"""Rehearses a run's end, so that it fails early.

What MLflow or the disk would refuse then is tried at the start on a few rows.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from stacktune.errors import ConfigError, DataError
from stacktune.storage.uris import masked_uri
from stacktune.tracking.client import Attempt, connect
from stacktune.tracking.registry import save_model
from stacktune.tracking.store import check_model_name
from stacktune.tracking.tracker import Tracker

if TYPE_CHECKING:
    import pandas as pd


def rehearse_serving(
    leader_folder: Path, sample: pd.DataFrame, example: pd.DataFrame, prediction: pd.DataFrame, folder: Path
) -> None:
    """Save a leader, load it and predict with it.

    It is saved as a model in `folder`, loaded as its users do, and predicts the sample and the example.

    leader_folder: what `Leader.save` wrote. sample: raw rows. example: what travels with the model. prediction: the
    leader's predictions of it. Our code is left out of the
    model, as it is here. Raises ConfigError where the folder cannot be written, DataError for what MLflow refuses.
    """
    with Attempt() as attempt:
        import mlflow.pyfunc
        from mlflow.pyfunc.scoring_server import predictions_to_json

        save_model(folder, leader_folder, example, prediction, with_code=False)
        model = mlflow.pyfunc.load_model(str(folder))
        for rows in (sample, model.input_example):
            predictions_to_json(model.predict(rows), StringIO())
    if _is_of_the_disk(attempt.error):
        raise ConfigError(
            f"a model cannot be written to {str(folder.parent)!r} ({attempt.reason}). Make room, or name another "
            "--output."
        ) from attempt.error
    if attempt.error:
        raise DataError(
            f"MLflow would refuse a model of this table at the end of the run ({attempt.reason}). Rename or drop the "
            f"column that it names; columns: {', '.join(map(str, sample.columns[:20]))}."
        ) from attempt.error


def rehearse_registering(tracker: Tracker, name: str, file: Path, is_optional: bool = False) -> None:
    """Check the model's name, and log a file.

    The name is that to register, the file a small one of the parent run.

    is_optional: whether the run goes on without MLflow. A store that is away is the tracker's to speak of. Raises
    ConfigError for a name that the registry refuses, and where files can never be written to the store from here.
    """
    check_model_name(name)
    if not tracker.is_open or is_optional:
        return
    with Attempt() as attempt:
        connect(tracker.uri).log_artifact(tracker.ids()[1], str(file))
    if attempt.error and (attempt.refused or _is_of_the_disk(attempt.error)):
        raise ConfigError(
            f"MLflow at {masked_uri(tracker.uri)} takes no files ({attempt.reason}), so that the leader could not be "
            "registered. Give another --tracking-uri, or mend the artifact location of the experiment."
        ) from attempt.error


def _is_of_the_disk(error: Exception | None) -> bool:
    """Return whether the operating system refused to write.

    Asking again does not change that.
    """
    is_built_in = type(error).__module__ == "builtins"
    return is_built_in and isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError)
