"""Signals: the first lets a run end with what it has, the next ends it at once, whatever took the handlers away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP (the terminal was closed)"}
# Tells when it can be signalled, and once it was heard of.
BEGIN = """
import signal, subprocess, sys, threading, time
from stacktune.process import begin, end
from stacktune.stop import Stopped, StopRequest, interruptible, last_words
begin()
def tell(line): print(line, flush=True)
"""
PATIENT = (
    BEGIN
    + """
with interruptible(), StopRequest(tell) as stop:
    tell("ready")
    while not stop.is_made: time.sleep(0.01)
    tell("ended well")
end(0)
"""
)
# As Ray leaves SIGTERM once it has ended: the system's own handler, which Python is not told of.
AFTER_RAY = PATIENT.replace(
    '    tell("ready")',
    """
    import ctypes
    ctypes.CDLL(None).signal(signal.SIGTERM, 0)
    tell("ready")
""",
)
# Waits for a thread, as a run does for Ray, and lets go of what it holds.
HOLDING = (
    BEGIN
    + """
try:
    with interruptible():
        tell("ready")
        threading.Event().wait()
except Stopped as stopped:
    tell(f"let go: {stopped}")
    end(stopped.status)
"""
)
# Takes for ever to end.
STUCK = (
    BEGIN
    + """
with interruptible(), last_words(lambda: tell("what is kept")), StopRequest(tell) as stop:
    tell("ready")
    while not stop.is_made: time.sleep(0.01)
    while True:
        try:
            tell("at it")
            time.sleep(100)
        except Stopped:
            tell("let go")
"""
)
FIRST_INSTANT = (
    BEGIN
    + """
tell("ready")
threading.Event().wait()
"""
)


@contextmanager
def begun(program: str, **how: object) -> Iterator[subprocess.Popen]:
    """A process that said it was ready."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], **pipes, **how) as process:
        assert process.stdout.readline() == "ready\n", process.communicate()
        yield process
        process.kill()


@pytest.mark.parametrize(("number", "name"), SIGNALS.items(), ids=SIGNALS.values())
@pytest.mark.parametrize("program", [PATIENT, AFTER_RAY], ids=["", "after Ray"])
def test_the_first_signal_lets_a_run_end_and_is_named(number, name, program):
    with begun(program) as process:
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert said == f"{name}: the run ends with what it has; once more ends it at once\nended well\n"
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("number", "name"), SIGNALS.items(), ids=SIGNALS.values())
def test_what_is_held_is_let_go_of_where_there_is_nothing_to_end_with(number, name):
    with begun(HOLDING) as process:
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (128 + number, f"let go: Stopped by {name}.\n", "")


@pytest.mark.parametrize(("number", "name"), SIGNALS.items(), ids=SIGNALS.values())
def test_a_command_that_has_begun_nothing_ends_at_once_and_in_one_line(number, name):
    with begun(FIRST_INSTANT) as process:
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (128 + number, "", f"Stopped by {name}.\n")


def test_the_second_signal_ends_a_run_that_does_not_come_to_an_end():
    with begun(STUCK) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline().startswith("SIGTERM: the run ends")
        assert process.stdout.readline() == "at it\n"
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (130, "let go\nat it\nwhat is kept\n", "Stopped by Ctrl-C.\n")


def test_a_signal_that_nohup_had_ignored_stays_so():
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with begun(PATIENT, preexec_fn=ignore) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert said.startswith("SIGTERM: the run ends")


FORKS = (
    BEGIN
    + """
def unlike(): ...
child = subprocess.Popen(["sleep", "1000"], preexec_fn=unlike)
with interruptible(), StopRequest(tell) as stop:
    tell("ready")
    while not stop.is_made: time.sleep(0.01)
    tell(f"beside {child.poll()}")
    child.terminate()
    tell(f"then {child.wait()}")
end(0)
"""
)


def test_what_is_sent_to_the_whole_group_spares_what_ray_runs_in_which_can_still_be_ended():
    """A closed terminal, Ctrl-C and `timeout` signal a group."""
    with begun(FORKS, start_new_session=True) as process:
        os.killpg(process.pid, signal.SIGTERM)
        said, errors = process.communicate(timeout=60)
    assert said.splitlines()[1:] == ["beside None", f"then -{signal.SIGTERM:d}"]
    assert (process.returncode, errors) == (0, "")
