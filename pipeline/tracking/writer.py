"""Writes updates into one experiment of one store.

It has a parent run and a nested run for each trial.
"""

from __future__ import annotations

import getpass
from dataclasses import replace
from typing import TYPE_CHECKING

from stacktune.errors import ConfigError, disk_cause
from stacktune.storage.uris import masked_uri
from stacktune.tracking.client import Attempt, connect
from stacktune.tracking.spool import PARENT, Spool
from stacktune.tracking.store import sqlite_file
from stacktune.tracking.updates import PARENT_TAG, VIEW_TAG, Update, view_state, write_values

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUNNING = "RUNNING"
_KEY_TAG = "stacktune.key"
# Without it the UI takes an experiment of nested runs for one of language models, and hides the charts.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}


class Writer:
    """Opens and writes the runs, on one thread.

    Only the tracker's own thread may use it, never two.

    What its spool knows of an earlier session is taken up: runs keep their ids.
    """

    def __init__(self, uri: str, experiment: str, artifacts: str | None, run_name: str | None, spool: Spool):
        self._uri, self._experiment, self._artifacts, self._run_name = uri, experiment, artifacts, run_name
        self._client: MlflowClient | None = None
        self._spool = spool
        self._run_ids = dict(spool.past.run_ids)
        self._doubtful = set(spool.past.runs)
        self._params = {run: set(names) for run, names in spool.past.params.items()}
        self.experiment_id = spool.past.experiment_id

    def open(self) -> tuple[str, str]:
        """Connect, and return the ids of both.

        The experiment and the parent run are created where they are not known yet.

        Raises ConfigError when the store says no or does not answer.
        """
        with Attempt() as attempt:
            self._client = connect(self._uri)
            if PARENT in self._run_ids:
                self._client.get_run(self._run_ids[PARENT])
            else:
                self.experiment_id = _experiment_id(self._client, self._experiment, self._artifacts)
                self._run_ids[PARENT] = self._find_or_create(Update())
                self._spool.opened(self.experiment_id, self._run_ids[PARENT])
        if attempt.error:
            reason = disk_cause(attempt.error) or attempt.reason
            raise ConfigError(
                f"MLflow cannot keep runs in {masked_uri(self._uri)} ({reason}). {_remedy(attempt.error, self._uri)}"
            ) from attempt.error
        return self.experiment_id, self._run_ids[PARENT]

    def write(self, update: Update) -> list[str]:
        """Write one run's news; return files that are gone.

        Creates the run if need be; doing it again after an error does no harm.
        """
        if update.run not in self._run_ids:
            self._run_ids[update.run] = self._find_or_create(update)
            self._spool.created(update.run, self._run_ids[update.run])
        run_id = self._run_ids[update.run]
        # MLflow refuses a whole batch for one param with a new value; PBT's changes are logged as metrics.
        known = self._params.setdefault(update.run, set())
        params = {name: value for name, value in update.params.items() if name not in known}
        write_values(self._store, run_id, replace(update, params=params))
        known.update(params)
        for name, text in update.files.items():
            self._store.log_text(run_id, text, name)
        if update.view:
            state = view_state(update.view, self._run_ids[PARENT])
            self._store.set_experiment_tag(self.experiment_id, f"{VIEW_TAG}{self._run_ids[PARENT]}", state)
        gone = [path for name, path in update.paths.items() if not self._upload(run_id, name, path)]
        if update.status == RUNNING:
            self._store.update_run(run_id, RUNNING)
        elif update.status:
            self._store.set_terminated(run_id, update.status, update.ended_ms)
        return gone

    def _upload(self, run_id: str, name: str, path: str) -> bool:
        """Log a file or folder, if it is there.

        Returns whether it is.
        """
        place = self._spool.place_of(path)
        if place.is_dir():
            self._store.log_artifacts(run_id, str(place), name)
        elif place.exists():
            self._store.log_artifact(run_id, str(place), name.rpartition("/")[0] or None)
        else:
            return False
        return True

    @property
    def _store(self) -> MlflowClient:
        if self._client is None:
            raise RuntimeError("a writer must be opened before it writes")
        return self._client

    def _find_or_create(self, update: Update) -> str:
        # A creation whose answer was lost may have taken place.
        if update.run in self._doubtful:
            found = self._store.search_runs([self.experiment_id], self._query(update.run), max_results=1)
            if found:
                return found[0].info.run_id
        self._doubtful.add(update.run)
        return self._create(update.run, update)

    def _query(self, run: str) -> str:
        if run == PARENT:
            return f"tags.`{_KEY_TAG}` = '{self._spool.key}'"
        return f"tags.`{PARENT_TAG}` = '{self._run_ids[PARENT]}' AND attributes.run_name = '{run}'"

    def _create(self, name: str, update: Update) -> str:
        tags = {"mlflow.source.name": "stacktune", "mlflow.source.type": "LOCAL", "mlflow.user": _user()}
        if name == PARENT:
            tags[_KEY_TAG] = self._spool.key
        else:
            tags[PARENT_TAG] = self._run_ids[PARENT]
        run = self._store.create_run(self.experiment_id, update.started_ms, tags, name or self._run_name)
        return run.info.run_id


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        with Attempt() as attempt:
            return client.create_experiment(name, artifacts, _MODEL_TRAINING)
        # Another run may have created it in between.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise attempt.met
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def _remedy(error: Exception, uri: str) -> str:
    if sqlite_file(uri) is not None and disk_cause(error):
        return "Make room there, or name another --output, beside which the store lies unless --tracking-uri names one."
    if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
        return "It was deleted there, or the run was begun with another --tracking-uri: give that one."
    if "out-of-date database schema" in str(error):
        return f"Run `mlflow db upgrade {masked_uri(uri)}` after a backup, or give another --tracking-uri."
    if isinstance(error, ImportError):
        return "Install the package that it names, or give another --tracking-uri."
    if sqlite_file(uri) is not None:
        return "Mend it or move it away, or give another --tracking-uri."
    return "Correct --tracking-uri, or leave the option out to keep runs in a local sqlite file."


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
