"""Joins a cluster that others started.

It is asked first whether it is there, lets this user in, and is of our versions.

Ray itself tries for two minutes to reach a head that does not answer, or asks for a token, and then ends the process.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from stacktune.environment import environment
from stacktune.errors import SearchError
from stacktune.places import expanded
from stacktune.search.cluster.address import AUTO, VARIABLE, Address, split_port
from stacktune.search.cluster.own_code import OVERRIDE, own_code_carried
from stacktune.search.cluster.private_ray import read_token_again
from stacktune.storage.uris import first_line

MAX_ANSWERING_S = 5.0
LOOPBACK = ("127.", "[::1]", "localhost:")


TOKENS = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
# What is set for a cluster that is joined.
VARIABLES = {OVERRIDE: "1"}


class TokenWantedError(Exception):
    """The head lets nobody in without its token."""


@contextmanager
def joined_ray(address: Address) -> Iterator[None]:
    """Become a driver of the cluster.

    Raises:
        SearchError: nothing answers there, it is no head of a cluster, asks for a token that this user has not, or is
            of another version of Ray or Python.
    """
    import ray

    with ExitStack() as stack:
        # Of `auto`, and of no address, Ray would ask the variable again.
        stack.enter_context(environment({VARIABLE: None}))
        read_token_again()
        place = _on_this_machine(address) if address.text == AUTO else address.text
        _check_versions(address, _metadata(stack, address, place))
        try:
            with own_code_carried() as carried:
                ray.init(address=place, runtime_env=carried, log_to_driver=False, logging_level=logging.INFO)
        except (OSError, RuntimeError, ValueError, SystemExit) as error:
            ray.shutdown()
            raise _nobody_at(address, first_line(error)) from error
        yield


def _on_this_machine(address: Address) -> str:
    """Return the address of this machine's cluster.

    Its head was started on this machine, or this machine has joined it. The Ray of a single run, which listens to the
    loopback alone, is no cluster for others.
    """
    from ray._private import services

    # Ray gives the function this attribute afterwards.
    services.find_gcs_addresses.cache_clear()  # type: ignore[attr-defined]
    latest = services.find_bootstrap_address(None)
    others = sorted(one for one in services.find_gcs_addresses() if not one.startswith(LOOPBACK))
    for place in filter(None, (latest, *others)):
        try:
            socket.create_connection(split_port(place), MAX_ANSWERING_S).close()
            return place
        except (OSError, ValueError):
            continue
    raise _nobody_at(address, "no cluster runs on this machine")


def _metadata(stack: ExitStack, address: Address, place: str) -> Mapping[str, Any]:
    """Ask the head for its versions.

    A token goes along where this machine's own cluster wants one and there is one.

    To other machines no token is sent unless the user says so: whoever listens there would have it.
    """
    try:
        return _ask(address, place)
    except TokenWantedError as wanted:
        if address.text != AUTO or "RAY_AUTH_MODE" in os.environ or not _has_token():
            raise _locked_out(address) from wanted
    stack.enter_context(environment({"RAY_AUTH_MODE": "token"}))
    read_token_again()
    try:
        return _ask(address, place)
    except TokenWantedError as wanted:
        raise _locked_out(address) from wanted


def _ask(address: Address, place: str) -> Mapping[str, Any]:
    """Return what the head says of its cluster."""
    import grpc
    from ray._private.authentication.authentication_utils import is_token_auth_enabled
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    if is_token_auth_enabled() and not _has_token():  # which would end the process
        raise TokenWantedError
    found = canonicalize_bootstrap_address(place)
    if found is None:
        raise TypeError(f"{place} is no place of a cluster's head")  # "local", which `find_address` makes no address
    # What protoc generates is made as it is imported.
    request = gcs_service_pb2.InternalKVGetRequest(  # type: ignore[attr-defined]
        namespace=b"cluster", key=b"CLUSTER_METADATA"
    )
    with init_grpc_channel(found) as channel:
        try:
            answer = gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel).InternalKVGet(
                request, timeout=MAX_ANSWERING_S
            )
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise TokenWantedError from None
            raise _nobody_at(address, first_line(error.details())) from None
    return json.loads(answer.value or b"{}")


def may_find_token() -> bool:
    """Return whether Ray may set RAY_AUTH_MODE by itself.

    It does where it finds a token, and would do so on a thread (see `stacktune.environment`).
    """
    file = expanded("~/.ray/auth_token")
    return "RAY_AUTH_MODE" not in os.environ and bool(TOKENS & os.environ.keys() or file.exists())


def _has_token() -> bool:
    # Ray's stub of its compiled part lacks it.
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

    return AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)


def _check_versions(address: Address, metadata: Mapping[str, Any]) -> None:
    """Raise SearchError for versions that Ray would refuse."""
    from ray._private.utils import check_version_info, compute_version_info

    if not metadata:
        return
    try:
        check_version_info(dict(metadata), "this process")
    except RuntimeError:
        ray, python = compute_version_info()
        raise SearchError(
            f"the Ray cluster at {address} is of Ray {metadata['ray_version']} and Python "
            f"{metadata['python_version']}, but stacktune runs here with Ray {ray} and Python {python}. All processes "
            "of a cluster need the same: install those versions here, or submit the run with `ray job submit`."
        ) from None


def _nobody_at(address: Address, reason: str) -> SearchError:
    return SearchError(
        f"no Ray cluster answers at {address} ({reason}); start one with `ray start --head`, or {address.undoing}."
    )


def _locked_out(address: Address) -> SearchError:
    return SearchError(
        f"the Ray cluster at {address} lets nobody in without its token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN "
        "or RAY_AUTH_TOKEN_PATH to the token that it was started with."
    )
