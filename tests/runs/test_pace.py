"""What a run keeps of its budget follows from what it has seen of its machine, and from no clock that anybody sets."""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from stacktune.runs import pace as module
from stacktune.runs.finish import _remaining_testing_s
from stacktune.runs.pace import Clock, Pace, core_share, explaining_s, reserved_s
from stacktune.runs.session import Session
from stacktune.runs.watch import share_for_trials
from stacktune.settings.groups import Settings

PACKAGE = Path(module.__file__).parents[1]
USUAL_COMMAND_START_S = 2.0


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A monotonic clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def usual() -> Pace:
    return Pace.of_start(USUAL_COMMAND_START_S, module.USUAL_START_CPU_S)


def test_on_the_usual_machine_a_usual_second_takes_one():
    assert usual().usual_s == 1.0
    assert 2 < reserved_s(usual(), 60.0, stacking_s=1.0) - explaining_s(60.0) < 6


@pytest.mark.parametrize(
    ("slower", "n_times"),
    [
        (
            Pace.of_start(3 * USUAL_COMMAND_START_S, 3 * module.USUAL_START_CPU_S),
            3.0,
        ),  # a core that is three times slower
        (
            Pace.of_start(4 * USUAL_COMMAND_START_S, module.USUAL_START_CPU_S),
            4 * module.USUAL_CORE_SHARE / 0.9,
        ),  # a loaded one
    ],
)
def test_on_a_slower_or_a_loaded_machine_the_end_is_given_as_much_more(slower, n_times):
    assert slower.usual_s == pytest.approx(n_times)
    ending_s = [reserved_s(pace, 600.0, 1.0) - explaining_s(600.0) for pace in (slower, usual())]
    assert ending_s[0] == pytest.approx(n_times * ending_s[1])


def test_without_a_report_its_seconds_are_the_searchs():
    assert reserved_s(usual(), 60.0, 1.0) - reserved_s(usual(), 60.0, 1.0, reports=False) == pytest.approx(
        module.REPORTING_S + explaining_s(60.0)
    )


@pytest.mark.parametrize("no_report", [False, True])
def test_what_comes_before_the_report_leaves_its_seconds_alone(no_report):
    """The test rows of models that do not lead took eight seconds, and a run of a minute had no report."""
    clock, config = Clock(time.monotonic(), 60.0), Settings("t.parquet", "y", no_report=no_report)
    session = SimpleNamespace(clock=clock, pace=usual(), config=config)
    session.telling_s = Session.telling_s.fget(session)
    kept_s = 0.0 if no_report else module.REPORTING_S + explaining_s(60.0)
    remaining_s = 60.0 - kept_s - module.FINISHING_S
    assert _remaining_testing_s(session) == pytest.approx(remaining_s * session.pace.core_share, abs=0.5)
    remaining_s = 60.0 - kept_s - session.pace.ending_s()
    assert Session.remaining_stacking_s(session, time.monotonic()) == pytest.approx(remaining_s, abs=0.5)


def test_however_slow_the_machine_a_short_budget_leaves_half_to_the_search():
    assert reserved_s(Pace(slowness=6.0, core_share=0.1), 10.0, 1.0) == 5.0


def test_trials_tell_the_share_of_a_core_that_is_to_be_had_now():
    pace = Pace.of_start(8.0, module.USUAL_START_CPU_S)  # beside others, or from a cold disk
    busy_start = pace.core_share
    pace.see([(0.1, 0.9)])
    assert pace.core_share == busy_start < 0.5  # too short to tell
    pace.see([(4.0, 4.5), (0.5, 0.6)])
    assert pace.core_share == 1.0
    pace.see([(2.0, 10.0), (2.0, 10.0)])
    assert pace.core_share == pytest.approx(0.2 / module.USUAL_CORE_SHARE)
    # What this process itself had of the cores is none of others' doing.
    assert share_for_trials(2, 10.0, 8.0) == pytest.approx(0.6)
    pace.see([(5.0, 10.0)], trials_share=0.6)
    assert pace.core_share == 1.0
    pace.see([(0.0, 10.0)])
    assert pace.core_share == module.MIN_CORE_SHARE
    assert core_share(1.0, 0.0) == 1.0


def test_a_rehearsal_of_the_end_tells_what_the_end_takes_and_how_long_it_waits():
    pace = usual()
    unknown_s = pace.ending_s()
    pace.see_rehearsal(1.2, module.REHEARSAL_S)
    assert pace.ending_s() == pytest.approx(module.ENDING_S + 1.2 - module.REHEARSAL_S)
    pace.see_rehearsal(2 * module.REHEARSAL_S, 2 * module.REHEARSAL_S)
    assert pace.ending_s() == pytest.approx(2 * module.ENDING_S)
    assert unknown_s == pytest.approx(module.ENDING_S + module.REHEARSAL_S)


def test_what_is_not_yet_done_beside_the_search_is_counted():
    told = {is_open: reserved_s(usual(), 600.0, 1.0, is_open=is_open) for is_open in (True, False)}
    assert told[False] == pytest.approx(told[True] + module.OPENING_S)
    assert reserved_s(usual(), 600.0, 1.0, 10_000) > told[True]
    assert reserved_s(usual(), 119.0, 1.0) < told[True]


def test_the_clock_of_a_run_is_not_the_one_that_people_set(clock, monkeypatch):
    """Set back ten minutes, a run of 22 s searched on at 50 s."""
    run = Clock(1000.0, 20.0)
    monkeypatch.setattr(time, "time", lambda: pytest.fail("asked what time it is"))
    clock[0] += 5.0
    assert (run.elapsed_s, run.remaining_s()) == (5.0, 15.0)
    assert Clock(1000.0, None).remaining_s() == math.inf


# What the time of day is for: stamps that people read in MLflow, and the age of a process where there is no /proc.
TELLS_THE_TIME = {"tracking/updates.py", "runs/tracked.py", "process.py"}
WALL_CLOCKS = ("time.time()", "time.time_ns()", "datetime.now", "datetime.utcnow", "datetime.today")


def test_no_decision_rests_on_the_time_of_day():
    asked = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(clock in path.read_text() for clock in WALL_CLOCKS)
    }
    assert asked - TELLS_THE_TIME == set()
    assert "tracking/updates.py" in asked
