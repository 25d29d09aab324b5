from __future__ import annotations

import http.server
import socket
import threading
import time
from pathlib import Path

import pytest

from stacktune.errors import ConfigError
from stacktune.tracking.store import (
    check_model_name,
    check_store,
    sqlite_file,
    store_for,
    without_credentials,
)


def test_the_default_store_lies_in_the_parent_of_the_output(tmp_path: Path):
    store = store_for(None, tmp_path / "runs" / "one")
    assert store.uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert store.artifacts == f"file://{tmp_path}/runs/mlartifacts"


def test_a_relative_sqlite_path_is_made_absolute_and_keeps_its_artifacts_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = store_for("sqlite:///kept/x.db", Path("elsewhere/run"))
    assert sqlite_file(store.uri) == tmp_path / "kept" / "x.db"
    assert store.artifacts == f"file://{tmp_path}/kept/mlartifacts"


def test_a_server_keeps_artifacts_where_it_likes():
    assert store_for("https://host:5000", Path("run")).artifacts is None


def test_credentials_can_be_left_out():
    assert without_credentials("http://me:secret@host:1/x") == "http://host:1/x"


def test_a_new_and_an_empty_sqlite_file_pass_and_nothing_is_written(tmp_path):
    (tmp_path / "empty.db").touch()
    check_store(f"sqlite:///{tmp_path}/empty.db")
    check_store(f"sqlite:///{tmp_path}/new/folder/x.db")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.db"]


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "x.db").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"x\.db is not a sqlite database"):
        check_store(f"sqlite:///{tmp_path}/x.db")


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        check_store(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("name", ["a%20b", "what?"])
def test_a_path_that_a_uri_cannot_hold_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="can have no"):
        check_store(f"sqlite:///{tmp_path}/{name}/x.db")


def test_a_database_that_is_not_there_is_said_at_once():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConfigError, match=rf"postgresql://\*\*\*@127\.0\.0\.1:{port}/runs cannot be reached"):
        check_store(f"postgresql://me:secret@127.0.0.1:{port}/runs")


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(ConfigError, match="taken is no folder"):
        check_store(f"sqlite:///{tmp_path}/taken/x.db")


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "htp://host", ""])
def test_other_addresses_are_refused_with_what_would_do(uri: str):
    with pytest.raises(ConfigError, match="must name a database or a server"):
        check_store(uri)


def test_a_server_that_is_not_there_is_said_at_once_and_without_its_password():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ConfigError, match=rf"http://\*\*\*@127\.0\.0\.1:{port} cannot be reached \(.*refused"):
        check_store(f"http://me:secret@127.0.0.1:{port}")
    assert time.monotonic() - began < 30, "a database's own patience, or MLflow's, is minutes"


def test_a_server_that_never_answers_costs_seconds():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ConfigError, match="timed out"):
            check_store(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_gateway_without_a_server_behind_it_is_unreachable():
    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(503)

        def log_message(self, *args):
            pass

    gateway = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=gateway.handle_request, daemon=True).start()
    with pytest.raises(ConfigError, match="answers with status 503"):
        check_store(f"http://127.0.0.1:{gateway.server_port}")
    gateway.server_close()


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", ".", "..", 257 * "x"])
def test_a_name_that_the_registry_refuses_is_refused_first(name: str):
    with pytest.raises(ConfigError, match="registered model's name"):
        check_model_name(name)


def test_ordinary_names_may_be_registered():
    check_model_name("credit card 2.1_leader-x")
