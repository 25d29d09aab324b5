"""A run's own Ray: loopback alone, a token of its own, no file that stays, and nothing changed for other clusters."""

from __future__ import annotations

import ipaddress
import os
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace

import grpc
import psutil
import pytest
import ray
from ray._private import services
from ray._raylet import AuthenticationTokenLoader
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from stacktune.errors import SearchError
from stacktune.search.cluster.start import start_ray, stop_ray
from stacktune.search.ray_patches import startup
from stacktune.search.ray_patches.startup import patient_start

USERS_TOKEN = "f" * 64
TOLD = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": USERS_TOKEN, "RAY_ADDRESS": ""}


def listening_of(processes: list[psutil.Process]) -> dict[str, list[ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    """Return for each process the addresses at which it takes connections."""
    listening = {}
    for process in processes:
        sockets = [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        found = [ipaddress.ip_address(one.laddr.ip) for one in sockets]
        listening[f"{process.name()} {process.pid}"] = [getattr(ip, "ipv4_mapped", None) or ip for ip in found]
    return listening


def ask_without_token(address: str) -> grpc.StatusCode:
    """Ask a head what anybody on the machine could ask it."""
    request = gcs_service_pb2.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA")
    with grpc.insecure_channel(address) as channel:
        try:
            gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel).InternalKVGet(request, timeout=60)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_a_runs_own_ray_is_nobody_elses(tmp_path, monkeypatch):
    """One Ray for all of it, as a start takes seconds."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    already = set(psutil.Process().children(recursive=True))

    @ray.remote
    def work() -> str:
        return os.environ["RAY_AUTH_TOKEN"]

    start_ray(None, 1, 0)
    try:
        token = ray.get(work.remote())
        folder = Path(ray._private.worker._global_node.get_session_dir_path())
        children = set(psutil.Process().children(recursive=True)) - already
        listening = listening_of([psutil.Process(), *children])
        refused = ask_without_token(ray.get_runtime_context().gcs_address)
        private = folder.parents[1]
        mode = stat.S_IMODE(private.stat().st_mode)
        texts = [file.read_bytes() for file in private.rglob("*") if file.is_file()]
        spills = {one.name[:14]: stat.S_IMODE(one.stat().st_mode) for one in long.iterdir()}
    finally:
        stop_ray()

    assert len(listening) >= 5  # this process, the head, the raylet, its agents and a worker
    assert [name for name, places in listening.items() if not all(place.is_loopback for place in places)] == []
    assert sum(map(len, listening.values())) >= 6
    assert refused == grpc.StatusCode.UNAUTHENTICATED

    assert len(token) == 64
    assert token != USERS_TOKEN
    assert not any(token.encode() in text for text in texts)
    assert mode == 0o700
    assert private.name.startswith("stacktune-ray-")
    assert not private.exists()
    assert spills == {"stacktune-ray-": 0o700}  # where objects go for which memory is short: TMPDIR, however long
    assert list(long.iterdir()) == []
    assert not (tmp_path / ".ray").exists()
    assert {name: os.environ[name] for name in TOLD} == TOLD
    kept = AuthenticationTokenLoader.instance().get_raw_token(ignore_auth_mode=True)
    assert kept == USERS_TOKEN, "a later Ray of this process would be begun with the run's token"
    assert not Path(tempfile.gettempdir(), "ray", folder.name).exists()


def test_ray_is_waited_for_longer_than_ray_itself_waits(monkeypatch):
    """On a busy machine its raylet took more than the 30 s that are fixed in Ray."""
    answers = iter([RuntimeError("not there yet")] * 400 + ["the node"])

    def get_node(*_):
        answer = next(answers)
        clock[0] += 0.1
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = [0.0]
    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr(startup, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda _: None))
    with patient_start():
        assert services.get_node("127.0.0.1:1", "id") == "the node"
        assert clock[0] > 30
        answers = iter([RuntimeError("it never comes")] * 4000)
        with pytest.raises(RuntimeError, match="it never comes"):
            services.get_node("127.0.0.1:1", "id")


@pytest.mark.parametrize(
    "error", [Exception("The current node timed out.\nmore"), SystemExit(15), OSError(11, "no more processes")]
)
def test_a_ray_that_does_not_come_up_is_one_line_and_leaves_nothing(error, tmp_path, monkeypatch):
    def init(**_):
        raise error

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(SearchError, match=r"^Ray does not start on this machine \([^\n]*\)\. Try again[^\n]*$"):
        start_ray(None, 1, 0)
    assert list(tmp_path.iterdir()) == []
    assert os.environ.get("RAY_AUTH_TOKEN") is None


def test_our_own_mistakes_at_the_start_are_not_the_machines(monkeypatch):
    def init(**_):
        raise RuntimeError("Unknown keyword argument(s): x")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(RuntimeError, match="Unknown keyword"):
        start_ray(None, 1, 0)
    stop_ray()


@pytest.mark.parametrize("address", ["local", None])
def test_more_cores_than_there_are_are_refused_before_anything_is_made(address, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(SearchError, match="--cpus 4096 asks for more cores"):
        start_ray(address, 4096, None)
    assert list(tmp_path.iterdir()) == []


def test_ray_is_not_shut_down_under_a_tune_at_work(monkeypatch, caplog):
    """On a busy machine it was, and ended the program that had started the run: with status 0, amid its next line."""
    shut_down: list[bool] = []
    monkeypatch.setattr(ray, "shutdown", lambda: shut_down.append(True))
    stop_ray(has_tune_ended=False)
    assert shut_down == []
    assert "Ray stays up, as Ray Tune does not end" in caplog.text
    stop_ray()
    assert shut_down == [True]
