"""Finds where a cluster is.

It knows every form that Ray's addresses have, and what each is good for here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stacktune.errors import SearchError

AUTO, LOCAL = "auto", "local"
VARIABLE, OPTION = "RAY_ADDRESS", "--address"
# Ray's own, of a head that `ray start` was given none for.
USUAL_PORT = 6379
MAX_PORT = 65535
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/@]*@)?(?P<rest>.*)", re.IGNORECASE)
_HOST = re.compile(r"\[[0-9a-fA-F:.%]+[\w]*\]|[^\s:/@\[\]]+")


@dataclass(frozen=True)
class Address:
    """The place of a cluster to join.

    text: "auto" or HOST:PORT; given_by: the option or the variable that says so.
    """

    text: str
    given_by: str

    def __str__(self) -> str:
        return f"{self.given_by} {self.text!r}"

    @property
    def undoing(self) -> str:
        """Return how to start an own Ray instead."""
        return "leave --address out" if self.given_by == OPTION else f"unset {self.given_by}"


def find_address(option: str | None, variable: str | None) -> Address | None:
    """Return the cluster to join, or None.

    None stands for a Ray of this run alone.

    option: what was typed. variable: the value of RAY_ADDRESS, which Ray sets inside a job to the job's own cluster; it
        counts where nothing was typed, or `auto`.

    Raises:
        SearchError: it is no address of a cluster's head.
    """
    typed, told = (option or "").strip(), (variable or "").strip()
    if typed and not (typed == AUTO and told not in ("", LOCAL)):
        return _checked(typed, OPTION)
    return _checked(told, VARIABLE)


def split_port(address: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT.

    The host comes without brackets.
    """
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _checked(text: str, given_by: str) -> Address | None:
    if text in ("", LOCAL):
        return None
    match = _SCHEME.fullmatch(text)
    if match:
        raise _is_no_head(given_by, match["scheme"].lower(), match["rest"])
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT
    if text != AUTO and not (is_port and _HOST.fullmatch(host)):
        raise SearchError(f"{given_by} must be auto, local or HOST:PORT, but is {text!r}. {_instead(text)}")
    return Address(text, given_by)


def _instead(text: str) -> str:
    """Return what may have been meant."""
    if text.count(":") > 1 and "[" not in text:
        return f"In HOST:PORT the host of IP version 6 is in brackets: [::1]:{USUAL_PORT}."
    if _HOST.fullmatch(text):
        return f"Give the port too: {text}:{USUAL_PORT}, unless the head was started with another."
    return f"Give e.g. 10.0.0.1:{USUAL_PORT}."


def _is_no_head(given_by: str, scheme: str, rest: str) -> SearchError:
    host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0] or "HOST"
    head = f"{host}:{USUAL_PORT}"
    if scheme in ("http", "https"):
        what = f"the address of a job server, to which `ray job submit --address {scheme}://{rest} -- …` hands a run"
    elif scheme == "ray":
        what = "the address of a Ray Client server, through which a search cannot run"
    else:
        what = "no address of a cluster's head"
    return SearchError(
        f"{given_by} {f'{scheme}://{rest}'!r} is {what}. Give the head's own HOST:PORT to join the cluster from one of "
        f"its machines, e.g. {head}, or --address local for a Ray of this run alone."
    )
