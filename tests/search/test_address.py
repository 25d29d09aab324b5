"""Every form of a cluster's address, typed or told by RAY_ADDRESS, is taken or answered with what to give instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.errors import SearchError
from stacktune.search.cluster.address import Address, find_address, split_port


@pytest.mark.parametrize(
    "text", ["10.0.0.1:6379", "head.example:6379", "localhost:1", "[::1]:6379", "[fe80::1%eth0]:65535"]
)
def test_a_host_and_a_port_are_an_address_typed_or_told(text: str):
    assert find_address(text, None) == Address(text, "--address")
    assert find_address(None, text) == Address(text, "RAY_ADDRESS")


@pytest.mark.parametrize("nothing", [None, "", "  ", "local"])
def test_without_an_address_a_run_has_a_ray_of_its_own(nothing: str | None):
    assert find_address(nothing, None) is None
    assert find_address(None, nothing) is None


@pytest.mark.parametrize("told", [None, "", "local", "auto", "http://10.0.0.1:8265", "10.0.0.2:6379"])
def test_what_is_typed_goes_before_what_the_environment_tells(told: str | None):
    assert find_address("local", told) is None
    assert find_address("10.0.0.1:6379", told) == Address("10.0.0.1:6379", "--address")


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (None, Address("auto", "--address")),
        ("local", Address("auto", "--address")),
        ("auto", Address("auto", "RAY_ADDRESS")),
        ("10.0.0.2:6379", Address("10.0.0.2:6379", "RAY_ADDRESS")),
    ],
)
def test_auto_is_the_cluster_of_the_job_that_one_is_in_or_this_machines(told: str | None, found: Address):
    assert find_address("auto", told) == found


@pytest.mark.parametrize("given_by", ["--address", "RAY_ADDRESS"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "http://10.0.0.1:8265",
            r"'http://10.0.0.1:8265' is the address of a job server.*ray job submit.*10.0.0.1:6379",
        ),
        ("https://me:secret@head/x", r"'https://head/x' is the address of a job server.*e.g. head:6379"),
        ("ray://10.0.0.1:10001", r"Ray Client server.*e.g. 10.0.0.1:6379, or --address local"),
        ("anyscale://cluster", r"'anyscale://cluster' is no address of a cluster's head"),
        ("10.0.0.1", r"Give the port too: 10.0.0.1:6379"),
        ("head.example", r"Give the port too: head.example:6379"),
        ("::1", r"in brackets: \[::1\]:6379"),
        ("fe80::1:6379", r"in brackets"),
        ("10.0.0.1:port", r"must be auto, local or HOST:PORT, but is '10.0.0.1:port'"),
        ("10.0.0.1:0", r"must be auto, local or HOST:PORT"),
        ("10.0.0.1:65536", r"must be auto, local or HOST:PORT"),
        ("10.0.0.1:²", r"must be auto, local or HOST:PORT"),
        (":6379", r"must be auto, local or HOST:PORT"),
        ("Auto", r"must be auto, local or HOST:PORT"),
        ("a host:6379", r"must be auto, local or HOST:PORT"),
    ],
)
def test_what_is_no_address_of_a_head_is_named_with_who_gave_it(text: str, message: str, given_by: str):
    given = (text, None) if given_by == "--address" else (None, text)
    with pytest.raises(SearchError, match=rf"^{given_by} .*{message}") as refused:
        find_address(*given)
    assert "secret" not in str(refused.value)


@given(st.text(max_size=40), st.none() | st.text(max_size=40))
def test_whatever_is_given_is_an_address_or_an_answer(option: str, variable: str | None):
    try:
        found = find_address(option, variable)
    except SearchError:
        return
    if found is not None and found.text != "auto":
        host, port = split_port(found.text)
        assert host
        assert 0 < port < 65536


@pytest.mark.parametrize(
    ("given_by", "undoing"), [("--address", "leave --address out"), ("RAY_ADDRESS", "unset RAY_ADDRESS")]
)
def test_what_lets_a_run_do_without_depends_on_who_gave_it(given_by: str, undoing: str):
    assert Address("auto", given_by).undoing == undoing
