"""Saves and registers the leader as an MLflow model.

It is on disk, with its run, and as a version in the registry.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stacktune.ensemble.digests import digests_of, refuse_links
from stacktune.ensemble.serve import CODE
from stacktune.errors import ConfigError
from stacktune.package import copy_package
from stacktune.storage.digests import digest_of
from stacktune.storage.run_folder import DEFAULT_PARENT, STORE, RunFolder
from stacktune.storage.uris import keep_secret, masked_uri
from stacktune.tracking.client import Attempt, connect
from stacktune.tracking.contract import LABELS, example_of, signature_of
from stacktune.tracking.notes import load_lines
from stacktune.tracking.requirements import family_modules, requirements_for
from stacktune.tracking.store import absolute, check_model_name, check_store
from stacktune.tracking.tracker import Tracker
from stacktune.tracking.updates import NOTE_TAG, PARENT_TAG

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import LoggedModel
    from mlflow.tracking import MlflowClient

LOADER = "stacktune.ensemble.serve"
# What a version may be called beside its number; see promotion.py.
LEADER, CHALLENGER = "leader", "challenger"
_NEVER_OPEN = "MLflow was away all the time"


@dataclass(frozen=True)
class LeaderRecord:
    """The places where the leader is.

    All but `folder` are None when the store was away, and `problem` then says why.

    folder: the MLflow model on disk. alias: "leader" or "challenger", alias_reason: why; None until `settle_alias`.
    promote: the command that makes a challenger the leader.
    """

    folder: Path
    name: str | None = None
    version: int | None = None
    problem: str | None = None
    alias: str | None = None
    alias_reason: str | None = None
    promote: str | None = None

    @property
    def model_uri(self) -> str | None:
        """Return a model URI that lasts.

        It names this version tomorrow too, by the alias of a leader, else by its number.
        """
        if self.version is None:
            return None
        return f"models:/{self.name}@{LEADER}" if self.alias == LEADER else f"models:/{self.name}/{self.version}"


def register_leader(
    tracker: Tracker,
    leader_folder: Path,
    example: pd.DataFrame,
    output_example: pd.DataFrame,
    name: str,
    output: Path,
    with_code: bool = True,
) -> LeaderRecord:
    """Save, log and register the leader.

    It is an MLflow model in `output`/leader, logged with the parent run, and a version.

    leader_folder: what `Leader.save` wrote. example: a few rows, which travel with the model as its input example.
    output_example: their predictions. name: the registered model's. with_code: whether it brings our code to servers
    that lack it.
    """
    check_model_name(name)
    folder = RunFolder(output).leader
    save_model(folder, leader_folder, example, output_example, with_code)
    return publish_leader(tracker, folder, name)


def publish_leader(tracker: Tracker, folder: Path, name: str) -> LeaderRecord:
    """Log and register the leader's saved MLflow model.

    It lies in `folder`, is logged with the parent run and becomes a version of `name`.

    A store that is away costs the registration alone.
    """
    return publish_trial(tracker, folder, name, None)


def publish_trial(
    tracker: Tracker, folder: Path, name: str, trial_id: str | None, done: Callable[[float], None] | None = None
) -> LeaderRecord:
    """Log a saved model with a trial; register it.

    trial_id: a row of the leaderboard; None for the leader, which goes with the parent run. done: hears how
    many bytes more were sent. See `publish_leader`.
    """
    if not tracker.is_open:
        return LeaderRecord(folder, problem=_NEVER_OPEN)
    with Attempt() as attempt:
        experiment_id, run_id = tracker.ids()
        client = connect(tracker.uri)
        if trial_id is not None:
            run_id = _nested_run(client, experiment_id, run_id, trial_id)
        logged = _log_model(client, folder, experiment_id, run_id, trial_id or LEADER, done)
        version = _register(client, logged, name)
        return LeaderRecord(folder, name, version)
    return LeaderRecord(folder, problem=attempt.reason)


def _nested_run(client: MlflowClient, experiment_id: str, parent_id: str, trial_id: str) -> str:
    """Return a trial's run, else the parent's."""
    query = f"tags.`{PARENT_TAG}` = '{parent_id}' AND attributes.run_name = '{trial_id}'"
    found = client.search_runs([experiment_id], query, max_results=1)
    return found[0].info.run_id if found else parent_id


def describe_version(uri: str, name: str, version: int, of_model: str, of_version: str) -> None:
    """Describe a version, and the model if nobody has.

    A store that is away costs the descriptions alone.
    """
    with Attempt():
        client = connect(uri)
        client.update_model_version(name, str(version), of_version)
        if not client.get_registered_model(name).description:
            client.update_registered_model(name, of_model)


def example_in(folder: Path) -> pd.DataFrame:
    """Return a saved model's input example."""
    from mlflow.models import Model

    return Model.load(str(folder)).load_input_example(str(folder))


def keep_model(
    tracker: Tracker,
    trial_id: str,
    leader_folder: Path,
    example: pd.DataFrame,
    output_example: pd.DataFrame,
    with_code: bool = True,
) -> str | None:
    """Log a trial's model with its nested run.

    It is unregistered. Returns why not when the store is away.

    leader_folder: what `Leader.save` wrote of that trial alone. The rest is as in
    `register_leader`.
    """
    if not tracker.is_open:
        return _NEVER_OPEN
    with Attempt() as attempt, TemporaryDirectory() as aside:
        experiment_id, parent_id = tracker.ids()
        tracker.flush()
        client = connect(tracker.uri)
        run_id = _nested_run(client, experiment_id, parent_id, trial_id)
        save_model(Path(aside) / "model", leader_folder, example, output_example, with_code)
        logged = _log_model(client, Path(aside) / "model", experiment_id, run_id, trial_id)
        note = client.get_run(run_id).data.tags.get(NOTE_TAG, "")
        client.set_tag(run_id, NOTE_TAG, note + load_lines(logged.model_id))
    return attempt.reason if attempt.error else None


def resolve_model(uri: str, tracking_uri: str | None = None) -> Path:
    """Return the folder of a registered MLflow model.

    `models:/NAME@ALIAS` or `models:/NAME/VERSION` names it.

    tracking_uri: the store; by default MLFLOW_TRACKING_URI, then the store of runs in ./stacktune-runs.
    Raises ConfigError when there is no such model, or no store to look in.
    """
    store = _store_of_models(tracking_uri)
    check_store(store)
    with Attempt() as attempt:
        client = connect(store)
        from mlflow.artifacts import download_artifacts

        return Path(download_artifacts(artifact_uri=_source(client, uri), tracking_uri=store))
    raise ConfigError(
        f"there is no model {uri!r} in {masked_uri(store)} ({attempt.reason}). "
        "Models are named models:/NAME@leader or models:/NAME/VERSION; MLFLOW_TRACKING_URI names another store."
    ) from attempt.error


def _source(client: MlflowClient, uri: str) -> str:
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if at:
        version = client.get_model_version_by_alias(name, alias).version
    else:
        name, _, version = name.partition("/")
    return client.get_model_version_download_uri(name, version)


def _store_of_models(tracking_uri: str | None) -> str:
    given = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    keep_secret(given)
    if given:
        return absolute(given)
    default = Path(DEFAULT_PARENT, STORE).absolute()
    if not default.exists():
        raise ConfigError(
            f"there is no store to find the model in: MLFLOW_TRACKING_URI is not set and there is no {default}. "
            "Set it to the run's tracking URI, or name the run's folder instead."
        )
    return f"sqlite:///{default}"


def save_model(
    folder: Path, leader_folder: Path, example: pd.DataFrame, output_example: pd.DataFrame, with_code: bool
) -> None:
    """Write a leader as an MLflow model.

    `folder` is emptied before; see `register_leader`.
    """
    import mlflow.pyfunc

    shutil.rmtree(folder, ignore_errors=True)
    with TemporaryDirectory() as aside:
        code = copy_package(Path(aside)) if with_code else None
        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module=LOADER,
            data_path=str(leader_folder),
            code_paths=[str(code)] if code else None,
            metadata={CODE: digest_of(digests_of(code.parent))} if code else None,
            pip_requirements=requirements_for([LOADER, *family_modules(leader_folder)]),
            signature=signature_of(output_example),
            input_example=example_of(example),
            model_config={LABELS: False},
        )


def _log_model(
    client: MlflowClient,
    folder: Path,
    experiment_id: str,
    run_id: str,
    name: str,
    done: Callable[[float], None] | None = None,
) -> LoggedModel:
    """Log the model in `folder` with a run.

    The model is told who it is now.
    """
    refuse_links(folder)
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    logged = client.create_logged_model(experiment_id, name, source_run_id=run_id, model_type="pyfunc")
    model = Model.load(str(folder))
    model.artifact_path, model.run_id = logged.artifact_location, run_id
    model.model_id = model.model_uuid = logged.model_id
    model.save(str(folder / "MLmodel"))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    if done is None:
        client.log_model_artifacts(logged.model_id, str(folder))
    else:
        _send_files(client, logged.model_id, folder, done)
    client.finalize_logged_model(logged.model_id, "READY")
    return logged


def _send_files(client: MlflowClient, model_id: str, folder: Path, done: Callable[[float], None]) -> None:
    """Send a folder file by file.

    It is slower, and tells how far it is.
    """
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        inside = path.parent.relative_to(folder).as_posix()
        client.log_model_artifact(model_id, str(path), None if inside == "." else inside)
        done(path.stat().st_size)


def _register(client: MlflowClient, logged: LoggedModel, name: str) -> int:
    with Attempt() as attempt:
        client.create_registered_model(name)
    if attempt.error and getattr(attempt.error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
        raise attempt.error
    created = client.create_model_version(
        name, logged.artifact_location, logged.source_run_id, model_id=logged.model_id
    )
    version = int(created.version)
    # The link from the logged model to its version, which MLflow's own register_model sets too.
    link = json.dumps([{"name": name, "version": version}])
    client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": link})
    return version
