"""What a trial has cost, whatever became of its process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from played_search import Nobody, completed

from stacktune.search.decisions import DecisionRecord
from stacktune.search.journal import Journal, read_journal
from stacktune.search.log import SearchLog
from stacktune.trials.attempt import failed
from stacktune.trials.trial import Progress, Trial


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that `time.monotonic` says; a test moves them."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def begun(log: SearchLog) -> Trial:
    trial = Trial("linear-0000", "linear", {})
    log.add(trial)
    log.started(trial.trial_id, None)
    return trial


def test_a_trial_cut_between_rungs_costs_what_it_took_since_the_last(clock: list[float]) -> None:
    """`fit_cpu_s` left out whatever came after a trial's last rung."""
    log = SearchLog(Nobody())
    trial = begun(log)
    clock[0] += 4
    log.progressed(trial.trial_id, Progress(1, 3, 0.5, 10, fit_s=4.0, cpu_s=3.0))
    clock[0] += 5
    log.mark_interrupted(log.entry(trial.trial_id), "the search was over")
    result = log.entry(trial.trial_id).result
    assert (result.fit_s, result.cpu_s) == (9.0, 8.0)


class Hears(Nobody):
    """Remembers what was decided, and the rungs."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        self.rungs: list[int] = []

    def decided(self, decision: DecisionRecord) -> None:
        self.decisions.append(decision.event)

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        self.rungs.append(rung)


def test_a_rung_that_comes_after_the_trial_was_interrupted_is_noted_for_a_run_that_goes_on_and_not_told(
    clock: list[float], tmp_path: Path
) -> None:
    """events.jsonl had its rungs after the leader was chosen, and the report one trial more than the leaderboard."""
    journal = Journal(tmp_path / "journal.jsonl", lambda: 1.0, pytest.fail)
    heard = Hears()
    log = SearchLog(heard, journal)
    trial = begun(log)
    log.mark_interrupted(log.entry(trial.trial_id), "the time was up")
    log.progressed(trial.trial_id, Progress(1, 3, 0.5, 10, fit_s=4.0))
    journal.close()
    assert heard.decisions == ["asked", "interrupted"]
    assert heard.rungs == []
    assert [event for event, _ in read_journal(tmp_path / "journal.jsonl")] == ["asked", "progressed"]


def test_a_trial_that_says_itself_what_it_took_costs_no_more(clock: list[float]) -> None:
    log = SearchLog(Nobody())
    trial = begun(log)
    clock[0] += 4
    log.ended(completed(trial, 0.5, fit_s=2.0))
    assert log.entry(trial.trial_id).result.fit_s == 2.0


def test_a_trial_that_never_ran_costs_nothing(clock: list[float]) -> None:
    log = SearchLog(Nobody())
    entry = log.add(Trial("linear-0000", "linear", {}))
    clock[0] += 4
    log.mark_interrupted(entry, "the search was over")
    assert entry.result.fit_s == 0


def test_a_trial_that_dies_for_good_costs_what_its_rungs_took_too(clock: list[float]) -> None:
    log = SearchLog(Nobody())
    trial = begun(log)
    entry = log.entry(trial.trial_id)
    clock[0] += 40
    log.progressed(trial.trial_id, Progress(1, 3, 0.5, 10, fit_s=40.0, cpu_s=30.0))
    clock[0] += 5
    entry.cut_off()
    entry.discard_state()
    log.ended(failed(trial, "its process died"))
    assert (entry.result.fit_s, entry.result.cpu_s) == (45.0, 35.0)
