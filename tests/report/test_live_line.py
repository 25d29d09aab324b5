"""Progress is shown on a terminal, and nothing where there is none."""

from __future__ import annotations

import io
import sys

import pytest

from stacktune.report.live_line import live_line


class Stream(io.StringIO):
    def __init__(self, is_terminal: bool):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_line_is_on_a_terminal_alone(monkeypatch, is_terminal):
    stream = Stream(is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with live_line() as tell:
        tell("shuffling columns", 1, 4)
    assert ("shuffling columns" in stream.getvalue()) is is_terminal
    assert is_terminal or stream.getvalue() == ""
