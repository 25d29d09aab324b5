"""The search on a real local Ray."""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from stacktune.data.folds import make_folds
from stacktune.search.events import Event
from stacktune.search.log import SearchListener
from stacktune.search.nas.events import REWARD, REWARD_OF_RANDOM
from stacktune.search.plan.plan import LAG, ClusterSize, SearchPlan, SourceOptions, make_plan
from stacktune.search.space import load_space
from stacktune.search.tune import engine
from stacktune.search.tune.engine import MAX_LATE_S, Search, share
from stacktune.search.tune.scheduler import FamilyScheduler
from stacktune.trials.climb import Problem
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import COMPLETED, FAILED, TrialResult, load_result
from stacktune.trials.trial import Trial


@dataclass
class Heard(SearchListener):
    """A listener that remembers."""

    started: list[str] = field(default_factory=list)
    progressed: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    rewards: list[Event] = field(default_factory=list)
    updates: list[Event] = field(default_factory=list)
    broke_off: list[tuple[str, bool]] = field(default_factory=list)

    def trial_started(self, trial: Trial) -> None:
        self.started.append(trial.trial_id)

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        self.progressed.append(trial.trial_id)

    def trial_finished(self, result: TrialResult) -> None:
        self.finished.append(result.trial_id)

    def family_set_aside(self, family: str, reason: str) -> None:
        self.set_aside.append(family)

    def tune_broke_off(self, reason: str, told: str, *, goes_on: bool) -> None:
        self.broke_off.append((reason, goes_on))

    def event(self, event: Event) -> None:
        is_reward = {REWARD, REWARD_OF_RANDOM} & event.values.keys()
        (self.rewards if is_reward else self.updates).append(event)


def run_search(
    problem: Problem, plan: SearchPlan, folder: Path, heard: Heard | None = None, made_by: Provenance | None = None
) -> list[TrialResult]:
    search = Search(share(problem), plan, folder, heard or Heard(), made_by=made_by)
    search.start()
    while not search.wait(0.1):
        pass
    results = search.results()
    search.close()
    return results


def outcomes(results: list[TrialResult]) -> list[tuple]:
    return [(result.trial_id, result.status, result.curve, tuple(result.config.items())) for result in results]


@pytest.fixture(scope="session")
def few_rows(problem) -> Problem:
    """A problem on which a trial takes a moment."""
    table = problem.table.take(np.arange(0, problem.table.n_rows, 5)).sealed()
    return replace(problem, table=table, folds=make_folds(table, problem.task, 2, 0))


def _processes(title: str) -> set[int]:
    """Return the processes under this one that live under such a title."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if title in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def twelve_trials(cluster: ClusterSize) -> SearchPlan:
    return make_plan(["lightgbm", "linear", "xgboost"], cluster, 1, 12, None, time.monotonic())


@dataclass
class Watcher(Heard):
    """A listener that remembers in which processes the first trials were."""

    at_work: set[int] = field(default_factory=set)

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        if not self.at_work:  # later, Tune may have ended an actor for which it had no trial, and begun another
            self.at_work = _processes("TrialTrainable")


@dataclass(frozen=True)
class Undisturbed:
    """What those trials come to where nothing happens to them, on two cores. waiting: processes, before they began."""

    results: list[TrialResult]
    heard: Watcher
    waiting: set[int]
    folder: Path
    made_by: Provenance


@pytest.fixture(scope="module")
def undisturbed(cluster, few_rows, tmp_path_factory) -> Undisturbed:
    patience_ends = time.monotonic() + 30
    while len(waiting := _processes("ray::IDLE")) < cluster.n_cpus and time.monotonic() < patience_ends:
        time.sleep(0.1)
    folder, heard, made_by = tmp_path_factory.mktemp("undisturbed"), Watcher(), Provenance("ours", "rows")
    results = run_search(few_rows, twelve_trials(cluster), folder, heard, made_by)
    return Undisturbed(results, heard, waiting, folder, made_by)


def test_first_trials_start_in_the_processes_that_were_waiting_for_them(cluster, undisturbed):
    """Tune's actors had processes of their own started, and a run's first trial waited four seconds for its imports."""
    assert len(undisturbed.waiting) == cluster.n_cpus
    assert undisturbed.heard.at_work
    assert undisturbed.heard.at_work <= undisturbed.waiting


def test_every_trial_is_heard_of_once_and_completed_ones_leave_whole_folders(undisturbed):
    ids = [result.trial_id for result in undisturbed.results]
    assert sorted(undisturbed.heard.started) == sorted(undisturbed.heard.finished) == sorted(ids)
    completed = [result for result in undisturbed.results if result.status == COMPLETED]
    assert all(load_result(Path(result.folder), undisturbed.made_by) == result for result in completed)
    assert {path.name for path in undisturbed.folder.iterdir()} == {result.trial_id for result in completed}


def test_a_search_that_tune_breaks_off_goes_on_with_another_and_ends_the_same_on_one_core_and_on_two(
    cluster, few_rows, undisturbed, tmp_path, monkeypatch
):
    chooses, heard = FamilyScheduler.choose_trial_to_run, Heard()

    def breaks_once(self: FamilyScheduler, controller: object) -> object:
        if len(heard.finished) >= 5 and not heard.broke_off:
            raise LookupError("no such rung")
        return chooses(self, controller)

    monkeypatch.setattr(FamilyScheduler, "choose_trial_to_run", breaks_once)
    broken = run_search(few_rows, replace(twelve_trials(cluster), n_slots=1), tmp_path, heard)
    assert heard.broke_off == [("LookupError: no such rung", True)]
    assert len(broken) == 12
    assert outcomes(broken) == outcomes(undisturbed.results)
    assert {result.status for result in broken} >= {COMPLETED, "stopped"}
    assert sorted(heard.started) == sorted(heard.finished) == sorted(result.trial_id for result in broken)


def test_a_private_ray_has_no_process_that_only_clusters_use(cluster):
    assert _processes("raylet")
    assert not _processes("dashboard.py")
    assert not _processes("monitor.py")


def test_an_architecture_search_gives_the_same_children_on_one_core_and_on_two(cluster, few_rows, tmp_path):
    plan = make_plan(["nas"], cluster, 0, 10, None, time.monotonic())
    heard = Heard()
    both = run_search(few_rows, plan, tmp_path / "two", heard)
    one = run_search(few_rows, replace(plan, n_slots=1), tmp_path / "one")
    assert outcomes(one) == outcomes(both)
    assert [update.step for update in heard.updates] == list(range(len(heard.updates)))
    assert heard.updates
    # The rewards of the last children too, which teach no later one.
    assert [reward.step for reward in heard.rewards] == list(range(len(load_space("nas").portfolio), 10))


def test_a_controller_of_many_processes_teaches_a_search(cluster, few_rows, tmp_path):
    heard = Heard()
    plan = make_plan(["nas"], cluster, 0, 8, 600.0, time.monotonic(), options=SourceOptions(controller=(1, 2, 2)))
    results = run_search(few_rows, replace(plan, n_slots=1), tmp_path, heard)
    assert len(results) == 8
    assert any(result.status == COMPLETED for result in results)
    assert not (tmp_path / ".controller").exists()


def test_a_budget_is_kept_whoever_sets_the_clock(cluster, few_rows, tmp_path, monkeypatch):
    """Set back ten minutes, a run of 22 s searched on at 50 s."""
    began = time.monotonic()
    plan = replace(make_plan(["linear"], cluster, 0, 2, None, time.monotonic()), n_slots=1)
    run_search(few_rows, plan, tmp_path / "measured")
    # Twice what two trials of it take here, so that there is a first model in it on any machine.
    plan = make_plan(["linear"], cluster, 0, None, 2 * (time.monotonic() - began), time.monotonic())
    plan = replace(plan, n_slots=1)
    search = Search(share(few_rows), plan, tmp_path / "budgeted", Heard())
    search.start()
    time_of_day = time.time
    monkeypatch.setattr(time, "time", lambda: time_of_day() - 600)
    looks = [time.monotonic()]
    while not search.wait(0.1):
        looks.append(time.monotonic())
    looks.append(time.monotonic())
    late_s = time.monotonic() - plan.deadline
    results = search.results()
    search.close()
    assert any(result.status == COMPLETED for result in results)
    # A trial may be in a library call for as long as the grace; the rest is what this machine takes to look once.
    assert late_s < MAX_LATE_S + 2 * max(later - sooner for sooner, later in pairwise(looks))


def test_populations_copy_their_best(cluster, few_rows, tmp_path):
    results = run_search(few_rows, make_plan(["mlp"], cluster, 0, 12, 600.0, time.monotonic()), tmp_path)
    assert {result.scheduler for result in results} == {"pbt"}
    assert any(result.status == COMPLETED for result in results)
    # Of (first unit, configuration) pairs, a member that took up another's state has that one's beside its own.
    assert any(len(result.lineage) > 1 for result in results)


def test_a_budget_too_small_for_anything_still_delivers_a_model(cluster, problem, tmp_path):
    plan = make_plan(["lightgbm", "linear"], cluster, 0, None, 0.5, time.monotonic())
    assert any(result.status == COMPLETED for result in run_search(problem, plan, tmp_path))


class Killer(Heard):
    """Kills every process at work when it hears of a rung, so many times."""

    def __init__(self, n_times: int):
        super().__init__()
        self.n_left = n_times

    def trial_progress(self, trial: Trial, rung: int, score: float) -> None:
        workers = _processes("TrialTrainable") if self.n_left else set()
        self.n_left -= bool(workers)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)


def test_trials_whose_processes_are_killed_run_again_with_the_same_results(cluster, few_rows, undisturbed, tmp_path):
    killer = Killer(2)
    results = run_search(few_rows, twelve_trials(cluster), tmp_path, killer)
    assert killer.n_left == 0
    assert outcomes(results) == outcomes(undisturbed.results)
    assert sorted(killer.finished) == sorted(result.trial_id for result in results)


def test_a_trial_whose_process_dies_too_often_fails_alone(cluster, problem, tmp_path):
    plan = make_plan(["lightgbm", "linear"], cluster, 0, 5, None, time.monotonic(), max_failures=0)
    results = run_search(problem, plan, tmp_path, Killer(1))
    assert any(result.status == FAILED for result in results)
    assert any(result.status == COMPLETED for result in results)


def test_a_search_that_is_given_up_ends_soon_and_before_ray(cluster, problem, tmp_path, monkeypatch):
    """As on Ctrl-C: Ray would end the process if it were shut down under a Tune that still runs."""
    monkeypatch.setattr(engine, "MAX_TUNE_ENDING_S", 300.0)
    plan = make_plan(["extra_trees", "random_forest"], cluster, 0, None, 600.0, time.monotonic())
    search = Search(share(problem), plan, tmp_path, Heard())
    search.start()
    while not any(entry.is_running for entry in search.log.entries()):
        time.sleep(0.1)
    assert not search.close(patience_s=0)
    started = time.monotonic()
    assert search.close()
    assert time.monotonic() - started < 300, "Tune did not end, and was no longer waited for"
    assert search.log.is_idle.is_set()


class TestPlan:
    """Plain decisions, no Ray."""

    @pytest.fixture(autouse=True)
    def _size(self, cluster):
        self.size = cluster

    def test_a_reproducible_plan_knows_no_clock_and_no_core_count(self):
        plans = [
            make_plan(["lightgbm", "mlp"], replace(self.size, n_cpus=n_cpus), 0, 5, None, time.monotonic())
            for n_cpus in (1, 64)
        ]
        assert {plan.n_threads for plan in plans} == {1}
        assert {plan.lag for plan in plans} == {LAG}
        assert all(math.isinf(plan.deadline) and plan.n_slots <= LAG for plan in plans)
        assert all(plan.scheduler_of("mlp") == "asha" for plan in plans)

    def test_a_budgeted_plan_uses_every_core(self):
        for n_cpus in (1, 2, 8, 16, 64):
            plan = make_plan(["lightgbm"], replace(self.size, n_cpus=n_cpus), 0, None, 60.0, time.monotonic())
            assert plan.n_threads * plan.n_slots == n_cpus
