"""Who may write to a place: periods of a clock that the test owns, and real processes where one must be gone."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from stacktune.errors import ConfigError
from stacktune.storage import lease as room
from stacktune.storage.lease import LEASE, Held, Lease, read_held, wait_until_free, write_held
from stacktune.storage.processes import is_alive, this_process

# Holds a place, says so, and does nothing.
HOLDS = """
import sys, time
from stacktune.storage.lease import Lease
Lease(sys.argv[1], "run", print)
print("held", flush=True)
time.sleep(600)
"""
ELSEWHERE = {"host": "elsewhere", "pid": 7, "boot": "another", "space": "another", "began": 1}
PERIOD_S = 10.0


class Clock:
    """Time that passes only where somebody sleeps. on_tick: called after each sleep."""

    def __init__(self, monkeypatch, on_tick=lambda: None):
        self.now_s, self._on_tick = 1000.0, on_tick
        monkeypatch.setattr(room.time, "monotonic", lambda: self.now_s)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self._on_tick()


def test_a_free_place_is_not_waited_for(tmp_path):
    said: list[str] = []
    assert wait_until_free(str(tmp_path), said.append) == 0
    write_held(str(tmp_path), Held("run", "a", ELSEWHERE, PERIOD_S, is_over=True))
    assert wait_until_free(str(tmp_path), said.append) == 0
    assert said == []


def test_a_holder_that_gives_a_sign_of_life_is_refused_whatever_its_clock_says(tmp_path, monkeypatch):
    held = Held("run", "a", ELSEWHERE, PERIOD_S)
    write_held(str(tmp_path), held)
    clock = Clock(monkeypatch)
    clock._on_tick = lambda: clock.now_s > 1019 and write_held(str(tmp_path), replace(held, count=1))
    with pytest.raises(ConfigError, match=r"a run is at work on .*: process 7 on elsewhere\. Wait for it, or stop it"):
        wait_until_free(str(tmp_path), lambda text: None, clock.sleep)
    assert not read_held(str(tmp_path)).is_over


def test_a_holder_that_gives_none_is_said_to_be_waited_for_and_found_dead(tmp_path, monkeypatch):
    write_held(str(tmp_path), Held("run", "a", ELSEWHERE, PERIOD_S))
    said: list[str] = []
    waited_s = wait_until_free(str(tmp_path), said.append, Clock(monkeypatch).sleep)
    assert 35 <= waited_s < 38
    assert said == [
        f"process 7 on elsewhere was at work on {tmp_path}: if it gives no sign of life for 35 s, it is taken for dead"
    ]
    assert read_held(str(tmp_path)).is_over


def test_a_holder_that_lets_go_meanwhile_is_waited_for_no_longer(tmp_path, monkeypatch):
    held = Held("run", "a", ELSEWHERE, PERIOD_S)
    write_held(str(tmp_path), held)
    clock = Clock(monkeypatch, lambda: write_held(str(tmp_path), replace(held, is_over=True)))
    assert wait_until_free(str(tmp_path), lambda text: None, clock.sleep) < PERIOD_S


def test_a_process_of_this_machine_that_was_killed_is_not_waited_for(tmp_path):
    words = "from stacktune.storage.lease import Lease; import sys, time; Lease(sys.argv[1], 'run', print)"
    command = [sys.executable, "-c", f"{words}; print(1, flush=1); time.sleep(600)", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(ConfigError, match="a run is at work on"):
            wait_until_free(str(tmp_path), lambda text: None)
        process.kill()
    said: list[str] = []
    assert wait_until_free(str(tmp_path), said.append) == 0
    assert said == []


def test_what_is_known_of_a_process_is_known_for_sure():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    here = this_process()
    before = {**here, "pid": ended.pid, "began": 1}
    ended.wait()
    assert is_alive(here)
    assert is_alive(before) is False
    assert is_alive({**before, "began": None}) is False
    assert is_alive({**here, "began": here["began"] - 1}) is False  # its number was given to another
    for unknown in ({**before, "boot": "another"}, {**before, "space": "another"}, {}, ELSEWHERE):
        assert is_alive(unknown) is None


def test_a_lease_counts_on_while_it_is_held_and_lets_go_at_the_end(tmp_path, monkeypatch):
    lease = Lease(str(tmp_path), "run", print, renew_s=0.01)
    lease.start()
    while read_held(str(tmp_path)).count < 3:
        pass
    monkeypatch.setattr(room, "MAX_SILENT", math.inf)
    assert lease.may_write()
    assert lease.close()
    assert read_held(str(tmp_path)).is_over
    assert read_held(str(tmp_path)).process["pid"] == os.getpid()


def test_of_two_that_take_a_place_at_once_one_goes_on(tmp_path):
    leases = [Lease(str(tmp_path), "run", lambda text: None) for _ in range(5)]
    refused = []
    for lease in leases:
        try:
            lease.confirm()
        except ConfigError as error:
            refused.append(str(error))
    assert len(refused) == 4
    assert [lease.may_write() for lease in leases].count(True) == 1
    assert all("at the same time" in one for one in refused)


def test_a_lease_that_another_took_is_written_no_more(tmp_path):
    said, heard = [], threading.Event()

    def hear(text: str) -> None:
        said.append(text)
        heard.set()

    lease = Lease(str(tmp_path), "run", hear, renew_s=0.01)
    lease.start()
    taken = Held("run", "b", ELSEWHERE, PERIOD_S)
    while not heard.wait(0.01):
        write_held(str(tmp_path), taken)
    assert not lease.may_write()
    assert not lease.close()
    assert len(said) == 1
    assert said[0].startswith(f"another process writes the copy at {tmp_path} now")


def test_a_holder_that_was_found_dead_takes_its_hands_off_when_it_wakes(tmp_path):
    said: list[str] = []
    lease = Lease(str(tmp_path), "run", said.append)
    write_held(str(tmp_path), replace(read_held(str(tmp_path)), is_over=True))
    with pytest.raises(ConfigError, match="at the same time"):
        lease.confirm()
    assert not lease.may_write()


def test_a_holder_that_cannot_renew_stops_before_another_may_begin(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    lease = Lease(str(tmp_path), "run", lambda text: None)

    def away(uri: str) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(room, "read_held", away)
    clock.sleep(room.MAX_SILENT * PERIOD_S - 1)
    lease.confirm()
    assert lease.may_write()
    clock.sleep(2)
    assert not lease.may_write()
    assert room.MAX_SILENT < room.MIN_WATCHED


def test_what_is_no_lease_holds_nobody_off(tmp_path):
    for content in (b"", b"[]", b"{}", b"\xff"):
        (tmp_path / LEASE).write_bytes(content)
        assert wait_until_free(str(tmp_path), lambda text: None) == 0
