"""Observers hear all of a run, and a program keeps its own."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import suppress

import pytest

from stacktune.errors import ConfigError
from stacktune.logs import put_back
from stacktune.observers import Observer, Observers, Snapshot
from stacktune.runs.begin import begin
from stacktune.runs.isolation import isolated, only_run
from stacktune.runs.news import SearchNews
from stacktune.search.cluster.start import PENDING, QUIET
from stacktune.search.events import Event
from stacktune.search.nas.events import Reward
from stacktune.search.space import load_space
from stacktune.settings.groups import Settings
from stacktune.trials.trial import Trial


class Phases(Observer):
    """Has no use for anything else."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        self.seen.append(f"at {snapshot.elapsed_s:g} {snapshot.phase} {snapshot.best}")

    def phase(self, name: str) -> None:
        self.seen.append(name)


class Told(Observer):
    """Keeps what a search tells."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.events: list[Event] = []
        self.drawings: list[tuple[str, str]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def drawing(self, of, drawing) -> None:
        assert drawing.svg.startswith(("<svg", "<?xml"))
        self.drawings.append((of, drawing.name))


def test_each_phase_is_told_once_after_its_first_snapshot_and_its_begin_is_kept():
    observers, phases = Observers(), Phases()
    observers.add(phases)
    observers.snapshot(Snapshot(1.004, "reading"))
    observers.snapshot(Snapshot(2.0, "searching", best=0.5))
    observers.snapshot(Snapshot(3.0, "searching", best=0.6))
    observers.begin("stacking", 4.0)
    assert phases.seen == [
        *("at 1.004 reading None", "reading", "at 2 searching 0.5", "searching", "at 3 searching 0.6"),
        *("at 4 stacking 0.6", "stacking"),
    ]
    assert observers.began_s == {"reading": 1.0, "searching": 2.0, "stacking": 4.0}


def test_a_child_is_drawn_when_it_starts_and_rewards_once_at_the_end_however_often_they_are_told(tmp_path):
    """A search that Tune broke off began again, and its rewards were drawn twice."""
    told = Told()
    news = SearchNews(told, tmp_path)
    news.trial_started(Trial("nas-0000", "nas", load_space("nas").portfolio[0]))
    news.trial_started(Trial("linear-0000", "linear", load_space("linear").portfolio[0]))
    assert told.drawings == [("nas-0000", "architecture.svg")]
    for _ in range(2):
        news.event(Reward(3, 0.5, is_random=False).as_event())
        news.event(Event("of another source", {"loss": 1.0}, 3))
    assert len(told.events) == 4
    news.close()
    assert told.drawings[1:] == [("controller", "rewards.svg")]
    (series,) = (list(events) for name, events in news._series.items() if name == "controller")
    assert series == [(3, frozenset({"reward"}))]


def test_what_the_user_should_know_of_a_search_is_a_note(tmp_path):
    told = Told()
    news = SearchNews(told, tmp_path)
    news.trial_retried_after_oom(Trial("linear-0000", "linear", {}, rows_share=0.5))
    news.family_set_aside("linear", "it is spent")
    news.tune_broke_off("LookupError: no", "all of it", goes_on=False)
    news.scratch_not_removed(2)
    assert told.notes == [
        "linear-0000 ran out of memory and begins again on 0.5 of its rows",
        "linear is set aside, as it is spent",
        f"Ray Tune broke off: LookupError: no; {tmp_path / 'broken-off.txt'} has all of it, and the search ends",
        "2 nodes were not cleared of what trials wrote there; a later run on it removes it",
    ]
    assert (tmp_path / "broken-off.txt").read_text() == "all of it"


def test_a_process_has_one_run_at_a_time_and_the_next_when_that_has_failed():
    with suppress(LookupError), only_run():
        with pytest.raises(ConfigError, match="another run is at work in this process: wait"), only_run():
            pass
        raise LookupError
    with only_run():
        pass


def test_what_a_run_sets_in_a_program_is_set_back_and_what_the_program_set_stays(monkeypatch):
    put_back()  # what other tests of this process let be heard
    for name in ("RAY_CHDIR_TO_TRIAL_DIR", "PYTHONBREAKPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNE_WARN_THRESHOLD_S", "7")
    monkeypatch.setenv(PENDING, "2")
    before, filters, level = dict(os.environ), list(warnings.filters), logging.getLogger("ray.tune").level
    with suppress(LookupError), isolated():
        assert os.environ["RAY_CHDIR_TO_TRIAL_DIR"] == QUIET["RAY_CHDIR_TO_TRIAL_DIR"]
        assert os.environ["TUNE_WARN_THRESHOLD_S"] == "7"
        os.environ[PENDING] = "4"  # as the search does
        os.environ["PYTHONBREAKPOINT"] = "ray.util.rpdb.set_trace"  # as Ray does, whose debugger is not the program's
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module="ray")
        raise LookupError
    assert dict(os.environ) == before
    assert (list(warnings.filters), logging.getLogger("ray.tune").level) == (filters, level)


def test_the_processor_seconds_of_a_program_say_nothing_of_its_machine(tmp_path, monkeypatch):
    """One that had computed for an hour would keep half of any budget for the end."""
    monkeypatch.setattr("time.process_time", lambda: 3600.0)
    config = Settings(str(tmp_path / "t.parquet"), "y", output=str(tmp_path / "runs" / "one"), time_budget_s=60.0)
    start = begin(config, Observers(), None, None)
    assert start.pace.usual_s == 1.0
    assert 0 <= start.clock.elapsed_s < start.clock.budget_s
    assert begin(config, Observers(), start.clock.started_at, None).pace.usual_s > 1.0
