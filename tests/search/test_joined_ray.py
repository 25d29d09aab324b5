"""A head is asked before Ray is: no answer, a token, other versions and another server each get a line of their own."""

from __future__ import annotations

import http.server
import json
import platform
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import ray
from ray._private import services
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from stacktune.errors import SearchError
from stacktune.search.cluster.private_ray import read_token_again
from stacktune.search.cluster.start import start_ray

TOKEN = "0123456789abcdef" * 4
OURS = {"ray_version": ray.__version__, "python_version": platform.python_version()}


class Head(gcs_service_pb2_grpc.InternalKVGcsServiceServicer):
    """What the first question to a cluster's head is answered with."""

    def __init__(self, versions: dict[str, str], token: str | None = None):
        self.versions, self.token = versions, token
        self.tokens_seen: list[str | None] = []

    def InternalKVGet(self, request, context):  # noqa: N802
        assert (request.namespace, request.key) == (b"cluster", b"CLUSTER_METADATA")
        seen = dict(context.invocation_metadata()).get("authorization")
        self.tokens_seen.append(seen)
        if self.token and seen != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: Authentication token is missing")
        return gcs_service_pb2.InternalKVGetReply(value=json.dumps(self.versions).encode())


@contextmanager
def listening(head: Head) -> Iterator[str]:
    """Let the head answer; yield its HOST:PORT."""
    server = grpc.server(ThreadPoolExecutor(2))
    gcs_service_pb2_grpc.add_InternalKVGcsServiceServicer_to_server(head, server)
    port = server.add_insecure_port("0.0.0.0:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture(autouse=True)
def _no_token_of_the_user(monkeypatch, tmp_path):
    """As of a user who has never used Ray."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield
    monkeypatch.undo()
    read_token_again()


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({**OURS, "ray_version": "2.1.0"}, f"is of Ray 2.1.0 and Python {OURS['python_version']}, but"),
        ({**OURS, "python_version": "3.9.1"}, f"is of Ray {OURS['ray_version']} and Python 3.9.1, but"),
    ],
)
@pytest.mark.parametrize("is_typed", [True, False])
def test_a_cluster_of_other_versions_is_refused_with_both(versions, said, is_typed, monkeypatch):
    with listening(Head(versions)) as address:
        if not is_typed:
            monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(SearchError) as refused:
            start_ray(address if is_typed else None, None, None)
    who = "--address" if is_typed else "RAY_ADDRESS"
    assert f"the Ray cluster at {who} '{address}' {said}" in str(refused.value)
    assert f"with Ray {OURS['ray_version']} and Python {OURS['python_version']}" in str(refused.value)
    assert not ray.is_initialized()


def test_a_cluster_that_wants_a_token_says_so_and_is_sent_none_unasked(monkeypatch, tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN)  # of another cluster, for all that one knows
    head = Head(OURS, "another" + TOKEN)
    with (
        listening(head) as address,
        pytest.raises(SearchError, match=r"nobody in without its token: set RAY_AUTH_MODE"),
    ):
        start_ray(address, None, None)
    assert head.tokens_seen == [None]


def test_a_token_that_is_asked_for_and_that_nobody_has_does_not_end_the_process(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with listening(Head(OURS, TOKEN)) as address, pytest.raises(SearchError, match="without its token"):
        start_ray(address, None, None)


def test_a_token_that_the_user_gives_is_used(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    head = Head({**OURS, "ray_version": "2.1.0"}, TOKEN)
    with listening(head) as address, pytest.raises(SearchError, match=r"is of Ray 2\.1\.0"):
        start_ray(address, None, None)
    assert head.tokens_seen == [f"Bearer {TOKEN}"]


def test_the_cluster_of_this_machine_is_entered_with_the_token_of_this_machine(monkeypatch, tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN)
    head = Head({**OURS, "ray_version": "2.1.0"}, TOKEN)
    with listening(head) as address:
        monkeypatch.setattr(services, "find_bootstrap_address", lambda _: address)
        with pytest.raises(SearchError, match=r"at --address 'auto' is of Ray 2\.1\.0"):
            start_ray("auto", None, None)
    assert head.tokens_seen == [None, f"Bearer {TOKEN}"]


@pytest.mark.parametrize("latest", [None, "10.0.0.1", "127.0.0.1:1"])
def test_neither_a_cluster_that_is_gone_nor_another_runs_own_ray_is_this_machines(latest, monkeypatch):
    find = lambda: frozenset({address, "[::1]:4321"})  # noqa: E731
    find.cache_clear = lambda: None
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: latest)
    monkeypatch.setattr(services, "find_gcs_addresses", find)
    said = r"no Ray cluster answers at --address 'auto' \(no cluster runs on this machine"
    with listening(Head(OURS)) as address, pytest.raises(SearchError, match=said):
        start_ray("auto", None, None)


def test_another_server_is_no_head():
    """Ray would try for two minutes, and then end the process without a word."""
    with http.server.HTTPServer(("0.0.0.0", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(SearchError, match=r"no Ray cluster answers at --address '127.0.0.1:\d+' \(.*ray start"):
                start_ray(f"127.0.0.1:{server.server_port}", None, None)
        finally:
            server.shutdown()
    assert "ray" in sys.modules
    assert not ray.is_initialized()
