"""A search that is cut off goes on as if nothing had happened; closed-form results, no Ray."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from played_search import Nobody, completed, height, plan_of
from ray.tune.search import Searcher

from stacktune.search.journal import Journal, elapsed_in, read_journal
from stacktune.search.log import STATES, Entry, SearchLog
from stacktune.search.plan.plan import SearchPlan
from stacktune.search.replay import finished_since, replay
from stacktune.search.tune.scheduler import FamilyScheduler
from stacktune.search.tune.searcher import TRIAL, FamilySearcher
from stacktune.trials.provenance import NO_RUN, Provenance, keep_state
from stacktune.trials.result import COMPLETED, STOPPED, TrialResult
from stacktune.trials.trial import Progress, Resume, Trial, trial_from

N_TRIALS, N_AT_ONCE = 30, 3
FAMILIES = ["lightgbm", "linear"]


def play(plan: SearchPlan, folder: Path, stop_after: int | None = None) -> list[Trial]:
    """Search, or go on, until all trials have ended or the journal has `stop_after` lines; return what was asked."""
    journal = Journal(folder / "journal.jsonl", lambda: 0.0, print)
    log = SearchLog(Nobody(), journal)
    log.restore(replay(read_journal(folder / "journal.jsonl"), folder))
    searcher, running = FamilySearcher(plan, log), []
    try:
        while stop_after is None or sum(1 for _ in read_journal(folder / "journal.jsonl")) < stop_after:
            suggestion = searcher.suggest("ray-id") if len(running) < N_AT_ONCE else None
            if isinstance(suggestion, dict):
                running.append(trial_from(suggestion[TRIAL]))
            elif running:
                end(running.pop(len(log.entries()) % len(running)), log, folder)
            elif suggestion == Searcher.FINISHED:
                break
    finally:
        journal.close()
    return [entry.trial for entry in log.entries()]


def end(trial: Trial, log: SearchLog, folder: Path) -> None:
    """Complete two in three trials, stop the third at its first rung."""
    score = height(trial)
    if log.entry(trial.trial_id).index % 3 == 2:
        log.ended(replace(completed(trial, score), status=STOPPED, rungs_reached=1, fold_scores=()))
        return
    result = completed(trial, score)
    (folder / trial.trial_id).mkdir(exist_ok=True)
    result.save(folder / trial.trial_id)
    log.ended(replace(result, folder=str(folder / trial.trial_id)))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> list[Trial]:
    trials = play(plan_of(FAMILIES, N_TRIALS), tmp_path_factory.mktemp("whole"))
    assert len(trials) == N_TRIALS
    return trials


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 2 * N_TRIALS), max_size=5).map(sorted), n_torn=st.integers(0, 40))
def test_a_search_cut_off_anywhere_asks_what_it_would_have_asked(uninterrupted, tmp_path_factory, cuts, n_torn):
    folder = tmp_path_factory.mktemp("cut")
    for lines in cuts:
        play(plan_of(FAMILIES, N_TRIALS), folder, stop_after=lines)
        journal = folder / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[: journal.stat().st_size - n_torn] if lines else b"")
    assert play(plan_of(FAMILIES, N_TRIALS), folder) == uninterrupted


def test_more_trials_go_on_where_fewer_ended(uninterrupted, tmp_path):
    play(plan_of(FAMILIES, N_TRIALS - 10), tmp_path)
    assert play(plan_of(FAMILIES, N_TRIALS), tmp_path) == uninterrupted


def test_the_time_that_was_taken_is_that_of_the_last_event(tmp_path):
    clock = iter((0.0, 3.0, 7.5))
    journal = Journal(tmp_path / "journal.jsonl", lambda: next(clock), print)
    journal.asked(Trial("linear-0000", "linear", {}))
    journal.asked(Trial("linear-0001", "linear", {}))
    journal.close()
    assert elapsed_in(tmp_path / "journal.jsonl") == 7.5
    assert elapsed_in(tmp_path / "nowhere.jsonl") == 0.0


class TestPopulation:
    """What members of a population did is remembered, and they go on from the states that are still there."""

    first, second = Trial("mlp-0000", "mlp", {"lr": 1.0}, "pbt"), Trial("mlp-0001", "mlp", {"lr": 2.0}, "pbt")

    def progress(self, folder: Path, trial: Trial, rung: int, score: float) -> Progress:
        state = keep_state(folder / STATES, trial.trial_id, rung, lambda place: None, NO_RUN)
        return Progress(rung, 5, score, 3, 7.0, 6.0, f"/elsewhere/{state.name}", ((0, dict(trial.config)),))

    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
        log = SearchLog(Nobody(), journal)
        for trial in (self.first, self.second):
            log.add(trial)
        donor = self.progress(tmp_path, self.first, 1, 0.9)
        log.progressed("mlp-0000", donor)
        log.progressed("mlp-0001", self.progress(tmp_path, self.second, 1, 0.5))
        taken = Resume(str(tmp_path / STATES / Path(donor.state).name), 1, ((0, {"lr": 1.0}),))
        log.took_up("mlp-0001", replace(self.second, config={"lr": 1.25}, resume=taken))
        journal.close()
        return tmp_path

    def entries(self, folder: Path) -> list:
        return replay(read_journal(folder / "journal.jsonl"), folder)

    def test_a_member_goes_on_from_its_last_state_and_pays_for_it_once(self, folder):
        first, second = self.entries(folder)
        assert first.trial.resume == Resume(first.progress[-1].state, 1, ((0, {"lr": 1.0}),))
        assert first.trial.resume.folder.startswith("/elsewhere/mlp-0000-1-")
        assert (first.discarded_fit_s, first.discarded_cpu_s) == (7.0, 6.0)
        assert second.trial.config == {"lr": 1.25}
        assert second.trial.resume.rung == 1
        assert second.discarded_fit_s == 7.0

    def test_a_member_whose_states_are_gone_begins_anew(self, folder):
        for state in (folder / STATES).iterdir():
            state.rmdir()
        first, second = self.entries(folder)
        assert first.trial == self.first
        assert second.trial.resume is None
        for entry in (first, second):
            entry.reached(replace(entry.progress[0], score=0.7))
            assert [progress.score for progress in entry.progress] == [0.7]

    def test_a_member_does_not_go_on_from_a_state_that_another_run_left_under_its_name(self, folder):
        for state in (folder / STATES).iterdir():
            (state / "state.npz").write_bytes(b"of another run")
        assert [entry.trial.resume for entry in self.entries(folder)] == [None, None]

    def test_the_population_compares_newcomers_with_those_before(self, folder):
        log = SearchLog(Nobody())
        log.restore(self.entries(folder))
        plan = plan_of(["mlp"], None, 60.0)
        scheduler = FamilyScheduler(plan, log, folder)
        mlp = scheduler._scheduler_of("mlp")
        snapshots = mlp._population._snapshots[1]
        assert {name: snapshot.score for name, snapshot in snapshots.items()} == {"mlp-0000": 0.9, "mlp-0001": 0.5}
        assert mlp._halving._rungs.peers(1, 5, None) == [0.9, 0.5]


def test_a_trial_completed_after_the_last_line_counts(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
    log = SearchLog(Nobody(), journal)
    trial = Trial("linear-0000", "linear", {"alpha": 1.0})
    log.add(trial)
    journal.close()
    (tmp_path / "linear-0000").mkdir()
    completed(trial, 0.5).save(tmp_path / "linear-0000")
    entries = replay(read_journal(tmp_path / "journal.jsonl"), tmp_path)
    (found,) = finished_since(entries, tmp_path)
    assert (found.status, found.folder) == (COMPLETED, str(tmp_path / "linear-0000"))


def test_a_completed_trial_whose_folder_is_gone_runs_again(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
    log = SearchLog(Nobody(), journal)
    trial = Trial("linear-0000", "linear", {"alpha": 1.0})
    log.add(trial)
    log.ended(completed(trial, 0.5))
    journal.close()
    (entry,) = replay(read_journal(tmp_path / "journal.jsonl"), tmp_path)
    assert entry.result is None


def test_results_of_a_folder_that_moved_are_found(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
    log = SearchLog(Nobody(), journal)
    trial = Trial("linear-0000", "linear", {"alpha": 1.0})
    log.add(trial)
    log.ended(replace(completed(trial, 0.5), folder="/elsewhere/linear-0000"))
    journal.close()
    (tmp_path / "linear-0000").mkdir()
    completed(trial, 0.5).save(tmp_path / "linear-0000")
    (entry,) = replay(read_journal(tmp_path / "journal.jsonl"), tmp_path)
    assert entry.result == replace(completed(trial, 0.5), folder=str(tmp_path / "linear-0000"))
    assert isinstance(entry.result, TrialResult)


OURS, OTHERS = Provenance("ours", "rows"), Provenance("others", "rows")


@pytest.fixture
def open_trial() -> Entry:
    return Entry(0, Trial("linear-0000", "linear", {"alpha": 1.0}))


@pytest.mark.parametrize(
    "made_by", [OTHERS, replace(OURS, digest="other rows"), NO_RUN], ids=["another run", "other rows", "unknown"]
)
def test_a_completed_trial_of_another_run_is_not_taken_in(tmp_path, open_trial, made_by):
    (tmp_path / "linear-0000").mkdir()
    completed(open_trial.trial, 1.0).save(tmp_path / "linear-0000", made_by)
    assert finished_since([open_trial], tmp_path, OURS) == []


def test_a_completed_trial_of_this_run_is_taken_in_if_it_is_the_one_that_was_asked_for(tmp_path, open_trial):
    (tmp_path / "linear-0000").mkdir()
    completed(open_trial.trial, 0.5).save(tmp_path / "linear-0000", OURS)
    assert [result.score for result in finished_since([open_trial], tmp_path, OURS)] == [0.5]
    open_trial.trial = replace(open_trial.trial, config={"alpha": 2.0})
    assert finished_since([open_trial], tmp_path, OURS) == []


@pytest.mark.parametrize("damage", ["torn", "link", "other scores", "other predictions", "cut off"])
def test_a_noted_trial_whose_folder_is_not_what_it_left_runs_again(tmp_path, damage):
    trial = Trial("linear-0000", "linear", {"alpha": 1.0})
    journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, print)
    log = SearchLog(Nobody(), journal)
    log.add(trial)
    log.ended(completed(trial, 0.5))
    journal.close()
    place = tmp_path / "linear-0000"
    place.mkdir()
    (place / "oof.npy").write_bytes(b"predictions")
    completed(trial, 0.9 if damage == "other scores" else 0.5).save(place, OURS)
    if damage == "torn":
        (place / "result.json").write_bytes((place / "result.json").read_bytes()[:40])
    elif damage == "link":
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    elif damage == "other predictions":
        (place / "oof.npy").write_bytes(b"the truth")
    elif damage == "cut off":
        (place / "oof.npy").write_bytes(b"")
    (entry,) = replay(read_journal(tmp_path / "journal.jsonl"), tmp_path, OURS)
    assert entry.result is None
    assert entry.is_lost
