"""Tries whether an MLflow store can be written."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from stacktune.errors import ConfigError
from stacktune.storage.run_folder import DEFAULT_PARENT
from stacktune.storage.uris import masked_uri
from stacktune.tracking.client import Attempt, connect
from stacktune.tracking.store import check_store, sqlite_file, store_for


def check_writing(uri: str | None) -> str:
    """Open a store, register a model's name, remove it.

    A name is what MLflow removes for good; of an experiment or a run something would stay.

    uri: None for the store that a run would use. Where that is not there yet, one is made elsewhere, and removed.
    Returns what was done, in words.

    Raises:
        ConfigError: the store cannot be reached, opened or written.
    """
    store = store_for(uri, Path(DEFAULT_PARENT, "run"))
    check_store(store.uri)
    file = sqlite_file(store.uri)
    if file is None or file.exists():
        _write(store.uri)
        return f"{masked_uri(store.uri)} was opened, written and cleared again"
    with tempfile.TemporaryDirectory() as scratch:
        _write(f"sqlite:///{scratch}/mlflow.db")
    return f"{file} can be made by the first run; a store like it was made elsewhere, written and removed"


def _write(uri: str) -> None:
    name = f"stacktune-doctor-{secrets.token_hex(4)}"
    with Attempt() as attempt:
        client = connect(uri)
        client.search_experiments(max_results=1)
        client.create_registered_model(name)
        client.delete_registered_model(name)
    if attempt.error:
        raise ConfigError(
            f"the MLflow store {masked_uri(uri)} cannot be written ({attempt.reason}). Mend it, give another "
            "--tracking-uri, or run with --tracking-optional."
        ) from attempt.error
