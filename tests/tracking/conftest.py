"""A real MLflow server that can go away and come back, and finished trials to tell it of."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stacktune.trials.result import TrialResult


class Server:
    """`mlflow server` on a free loopback port, with sqlite and its artifacts in `folder`."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **quiet}, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + 600
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the MLflow server did not come up"
            time.sleep(0.2)

    def stop(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=2).status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


class Proxy:
    """A way to a server on which requests go astray.

    mode: "open"; "drop" ends the connection; "slow" answers late; "lost" does what is asked and says that it failed;
    a number is the status of every answer.
    """

    def __init__(self, server: Server):
        proxy = self
        self.mode: str | int = "open"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.answer(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 — as http.server wants them

            def log_message(self, *_: object) -> None:
                """Not on the screen."""

        self._upstream = server.uri
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        mode, body = self.mode, handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if mode == "drop":
            handler.connection.close()
            return
        if isinstance(mode, int):
            self._say(handler, mode, b'{"error_code": "INTERNAL_ERROR", "message": "astray"}')
            return
        if mode == "slow":
            time.sleep(5)
        kept = {name: handler.headers[name] for name in ("Content-Type", "Accept") if name in handler.headers}
        request = urllib.request.Request(self._upstream + handler.path, body or None, kept, method=handler.command)
        try:
            with urllib.request.urlopen(request, timeout=30) as answered:
                status, content = answered.status, answered.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        self._say(handler, 503 if mode == "lost" else status, content)

    def _say(self, handler: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def sqlite_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all tests, each with an experiment of its own: making its tables takes a second."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture(scope="session")
def finished() -> Callable[..., TrialResult]:
    """Return a function that makes the result of a two-fold trial of three rungs."""
    return _finished


def _finished(trial_id: str, status: str = "completed", **changes) -> TrialResult:
    completed = status == "completed"
    outcome = {
        "curve": (0.7, 0.75, 0.8) if completed else (0.6,),
        "fold_scores": (0.79, 0.81) if completed else (),
        "metrics": {"roc_auc": 0.8, "log_loss": -0.4} if completed else None,
        "n_units": (40, 60) if completed else (),
        "fit_s": 1.5,
        "cpu_s": 2.5,
        "predict_us": 7.0,
        **changes,
    }
    rungs = len(outcome["curve"])
    config = outcome.pop("config", {"learning_rate": 0.05, "n_leaves": 31})
    return TrialResult(trial_id, trial_id.rpartition("-")[0], config, "asha", status, rungs, 3, **outcome)
