"""Reads an MLflow store's address.

MLflow is not imported for that.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from stacktune.errors import ConfigError
from stacktune.storage.run_folder import STORE
from stacktune.storage.uris import masked, masked_uri, without_secrets

# Each database server with the port that it listens on by default.
DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SERVERS = ("http", "https")
# Clients that MLflow ships or loads as plug-ins; they name no host that could be tried.
MANAGED = ("databricks", "databricks-uc", "azureml", "arn")
MAX_CONNECTING_S = 5.0
# What MLflow's databases keep of a registered model's name (mlflow/store/model_registry/dbmodels/models.py).
MAX_NAME_LENGTH = 256
_SQLITE_HEADER = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Store:
    """An MLflow store.

    `artifacts` is where new experiments keep their files; None leaves that to the server.
    """

    uri: str
    artifacts: str | None


def store_for(uri: str | None, output: Path) -> Store:
    """Return the store of a run.

    It is the one at `uri`, or sqlite in the parent of the run's `output`.

    Artifacts lie beside a sqlite file, and in the parent of `output` for any other database: MLflow alone would put
    them into `./mlruns` of whatever folder one stands in.
    """
    uri = absolute(uri or f"sqlite:///{output.absolute().parent / STORE}")
    kind = _kind(uri)
    if kind in SERVERS or kind in MANAGED:
        return Store(uri, None)
    file = sqlite_file(uri)
    beside = file.parent if file else output.absolute().parent
    return Store(uri, (beside / "mlartifacts").as_uri())


def absolute(uri: str) -> str:
    """Return `uri` with an absolute sqlite path.

    Ray and the UI may stand in other folders.
    """
    file = sqlite_file(uri)
    return uri if file is None else f"sqlite:///{file}"


def knows_run(file: Path, run_id: str) -> bool:
    """Return whether a sqlite store has a run.

    One that was deleted there is known.
    """
    if not file.exists():
        return False
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
        try:
            return store.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() is not None
        except sqlite3.DatabaseError:  # it is no store: whoever opens it says so
            return True


def sqlite_file(uri: str) -> Path | None:
    """Return a sqlite store's absolute path, else None."""
    if _kind(uri) != "sqlite":
        return None
    return Path(uri.partition("://")[2].removeprefix("/")).absolute()


def without_credentials(uri: str) -> str:
    """Return a server's address without user and password.

    Raises ConfigError where it cannot be told from these.
    """
    try:
        parts = urlsplit(uri)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        is_told_apart = urlunsplit(address._replace(query="", fragment="")) == without_secrets(uri)
    except ValueError:
        is_told_apart = False
    if not is_told_apart:
        raise ConfigError(
            f"{masked_uri(uri)!r} cannot be read as an address. In a user or a password, write each sign that is no "
            "letter or digit as its percent code: / as %2F, ? as %3F, # as %23, @ as %40."
        )
    return urlunsplit(address)


def check_store(uri: str) -> None:
    """Raise ConfigError unless the store can be reached.

    It takes 5 s at most for a server, and a look for sqlite.

    Managed services are only met when the first run is opened.
    """
    kind, file = _kind(uri), sqlite_file(uri)
    if kind in SERVERS:
        _check_server(uri)
    elif file is not None:
        _check_sqlite(file)
    elif kind in DATABASES:
        _check_database(uri, DATABASES[kind])
    elif kind not in MANAGED:
        raise ConfigError(
            f"the tracking URI must name a database or a server, but it is {masked_uri(uri)!r}. "
            "Give sqlite:///FILE.db or http://HOST:PORT; MLflow 3 no longer keeps runs in plain folders."
        )


def check_model_name(name: str) -> None:
    """Raise ConfigError for a name the registry refuses."""
    if not name.strip() or set(name) & set("/:@") or os.path.normpath(name) != name or name in (".", ".."):
        raise ConfigError(f"a registered model's name has no '/', ':' or '@' in it and is not empty, but got {name!r}.")
    if len(name) > MAX_NAME_LENGTH:
        raise ConfigError(
            f"a registered model's name has at most {MAX_NAME_LENGTH} characters, but {name[:20]!r}… has {len(name)}. "
            "Give a shorter one with --register."
        )


def _kind(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower()


def _check_server(uri: str) -> None:
    address, _, _ = without_credentials(uri).partition("?")
    try:
        request = urllib.request.Request(address.rstrip("/") + "/health", method="GET")
        urllib.request.urlopen(request, timeout=MAX_CONNECTING_S).close()
    except urllib.error.HTTPError as error:
        # Anything but a broken gateway is an answer; whether it is MLflow's is seen when the first run is opened.
        if error.code < 500:
            return
        raise _unreachable(uri, f"it answers with status {error.code}") from error
    except (OSError, ValueError) as error:
        raise _unreachable(uri, getattr(error, "reason", error)) from error


def _check_database(uri: str, default_port: int) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)  # as MLflow reads it: passwords may hold more signs here than in other URIs
        socket.create_connection((url.host or "localhost", url.port or default_port), MAX_CONNECTING_S).close()
    except (OSError, ValueError, ArgumentError) as error:
        raise _unreachable(uri, error) from error


def _unreachable(uri: str, reason: object) -> ConfigError:
    return ConfigError(
        f"the MLflow store {masked_uri(uri)} cannot be reached ({masked(reason)}). "
        "Start it, correct --tracking-uri, or leave the option out to keep runs in a local sqlite file."
    )


def _check_sqlite(file: Path) -> None:
    if re.search(r"\?|%[0-9a-fA-F]{2}", str(file)):
        raise ConfigError(
            f"a sqlite store's path can have no '?' and nothing like '%20' in it, but got {file}. Rename."
        )
    if file.is_dir():
        raise ConfigError(f"the tracking store {file} is a folder. Name a file in it: sqlite:///{file / STORE}")
    folder = next(parent for parent in file.parents if parent.exists())
    for place in (folder, file):
        if place.exists() and not os.access(place, os.W_OK):
            raise ConfigError(
                f"the tracking store {file} cannot be written: no right to write {place}. Give another --tracking-uri."
            )
    if not folder.is_dir():
        raise ConfigError(f"the tracking store {file} cannot be made: {folder} is no folder.")
    if file.exists() and file.stat().st_size and not _is_sqlite(file):
        raise ConfigError(f"the tracking store {file} is not a sqlite database. Name another file.")


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER
