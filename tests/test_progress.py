"""The live line of long work: on a terminal alone, with the rate and what is left."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from rich.console import Console

from stacktune.progress import BYTES, facts, progress, steps

WORK = """
import time
from stacktune.progress import progress
from stacktune.streams import steady_streams
steady_streams()  # as every command does
with progress("predicting", 400_000) as done:
    for _ in range(4):
        done(100_000)
        time.sleep(0.3)
print("ready")
"""


@pytest.mark.parametrize(
    ("done", "total", "unit", "said"),
    [
        (0, 10, "rows", "0:04"),
        (2_000_000, 10_000_000, "rows", "2M rows, 500k rows/s, 0:16 left"),
        (2_000_000, None, "rows", "2M rows, 500k rows/s, 0:04"),
        (8e6, 4e8, BYTES, "8 MB, 2 MB/s, 3:16 left"),
        (3, 5, "folders", "3 folders, 0.75 folders/s, 0:02 left"),
    ],
)
def test_the_line_says_how_much_how_fast_and_what_is_left(done, total, unit, said):
    assert facts(done, total, 4.0, unit) == said


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_has_one_line_that_goes(variables):
    """What a terminal is sent; of a dumb one, which cannot take a line back, nothing."""
    controller, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color", **variables}
    process = subprocess.Popen([sys.executable, "-c", WORK], stderr=terminal, stdout=subprocess.PIPE, env=env)
    assert process.communicate(timeout=60) == (b"ready\n", None)
    os.close(terminal)
    sent = b""
    try:
        while part := os.read(controller, 65536):
            sent += part
    except OSError:  # what Linux tells of a terminal that nobody holds
        pass
    os.close(controller)
    if variables.get("TERM") == "dumb":
        assert sent == b""
        return
    assert b"\\x1b" not in sent, "drawn, not written"
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", sent).decode()
    assert re.search(r"predicting .*\d+% \d+k rows, [\d.]+[kM] rows/s, \d+:\d\d left", plain)
    assert "\n\n" not in plain, "one line"
    if "NO_COLOR" in variables:
        assert not re.search(rb"\x1b\[[0-9;]*3\d", sent)


def test_a_pipe_is_sent_nothing():
    sent = io.StringIO()
    with progress("predicting", 10, console=Console(file=sent)) as done:
        done(10)
    assert sent.getvalue() == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_steps_say_what_is_done_now(is_terminal):
    stream = io.StringIO()
    with steps("predicting", Console(file=stream, force_terminal=is_terminal, width=80)) as tell:
        tell("shuffling columns", 1, 4)
    assert ("shuffling columns" in stream.getvalue()) is is_terminal
    assert is_terminal or stream.getvalue() == ""
