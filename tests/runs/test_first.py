"""The first model: cheap, whole, and counted like any other trial."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from in_process import write_table
from search.played_search import Nobody, completed, plan_of
from whole_runs import mixed_table

from stacktune.data.dataset import load_dataset
from stacktune.data.folds import make_folds
from stacktune.errors import SearchError
from stacktune.families.base import Family
from stacktune.metrics import get_metric
from stacktune.runs import first
from stacktune.runs.first import FirstModel, first_trial, rows_share
from stacktune.search.journal import Journal, read_journal
from stacktune.search.log import SearchLog
from stacktune.search.replay import replay
from stacktune.search.space import load_space
from stacktune.search.tune.searcher import TRIAL, FamilySearcher
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import TRIALS, RunFolder
from stacktune.trials.climb import Problem
from stacktune.trials.result import COMPLETED, FAILED, TrialResult, load_oof
from stacktune.trials.trial import Trial


@pytest.fixture(scope="module")
def problem(tmp_path_factory) -> Problem:
    path = write_table(mixed_table(), tmp_path_factory.mktemp("table"))
    dataset, _ = load_dataset(Settings(str(path), "diagnosis"))
    folds = make_folds(dataset.table, dataset.task, 3, 0)
    return Problem(dataset.table, dataset.task, folds, get_metric(None, "binary"), 0)


def ended(trial, problem: Problem, folder: Path) -> TrialResult:
    """Return what becomes of a first model, as a log without a journal hears of it."""
    log, model = SearchLog(Nobody()), FirstModel(trial, problem, folder)
    model.tell(log)
    assert model.wait(60)
    (result,) = log.results()
    return result


def test_it_is_a_finished_trial_with_a_prediction_for_every_row_and_a_model_a_fold(problem, tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", lambda: 0.0, pytest.fail)
    log = SearchLog(Nobody(), journal)
    trial = first_trial(("mlp", "lightgbm", "linear"), problem)
    model = FirstModel(trial, problem, tmp_path)
    model.tell(log)
    assert model.wait(60)
    (result,) = log.results()
    assert (result.trial_id, result.status, result.n_rungs) == ("linear-0000", COMPLETED, 3)
    assert load_oof(result).shape == (problem.table.n_rows, 2)
    assert np.isfinite(load_oof(result)).all()
    assert result.score > 0.9
    place = tmp_path / TRIALS / "linear-0000"
    assert {path.name for path in place.iterdir()} == {"oof.npy", "result.json", "fold0", "fold1", "fold2"}
    assert not RunFolder(tmp_path).first_model.exists()
    assert journal.n_models == 1
    # A resumed run takes it from the journal as it takes any trial.
    (entry,) = replay(read_journal(tmp_path / "journal.jsonl"), tmp_path / TRIALS)
    assert entry.result == result
    assert [progress.rung for progress in entry.progress] == [1, 2]


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_search_counts_it_and_tries_its_configuration_again_only_where_it_was_cut_short(is_cut):
    log = SearchLog(Nobody())
    portfolio = load_space("linear").portfolio
    trial = replace(first_trial_of_linear(), rows_share=0.5 if is_cut else 1.0, is_preliminary=is_cut)
    log.add(trial)
    searcher = FamilySearcher(plan_of(["linear"], 3, 60.0), log)
    asked = [log.entry(searcher.suggest("ray")[TRIAL]["trial_id"]).trial for _ in range(2)]
    assert {trial.trial_id[-4:] for trial in asked} == {"0001", "0002"}
    for one in (trial, *asked):
        log.ended(completed(one, 0.5))
    assert searcher.suggest("ray") == "FINISHED"
    n_taken = 0 if is_cut else 1
    assert [trial.config for trial in asked] == list(portfolio[n_taken : n_taken + 2])


def first_trial_of_linear() -> Trial:
    return Trial("linear-0000", "linear", load_space("linear").portfolio[0], must_complete=True)


def test_a_large_table_is_cut_to_rows_that_are_soon_done(problem):
    rows = np.arange(400_000) % problem.table.n_rows
    table = problem.table.take(rows)
    large = replace(problem, table=table)
    share = rows_share(large)
    assert 0 < share * table.n_rows * table.n_features * 3 <= first.MAX_CELLS
    assert first_trial(("linear",), large).is_preliminary
    # However wide the table, some rows are learnt from.
    wide = replace(table, features=np.broadcast_to(np.float32(0), (400_000, 9000)), names=("x",) * 9000)
    assert round(rows_share(replace(problem, table=wide)) * 400_000) == first.MIN_ROWS
    assert rows_share(problem) == 1.0
    assert not first_trial(("linear",), problem).is_preliminary


@pytest.mark.parametrize(
    ("families", "chosen"),
    [(("catboost", "lightgbm", "mlp"), "lightgbm"), (("mlp", "unheard_of"), "mlp"), (("nas", "linear"), "linear")],
)
def test_the_cheapest_of_the_families_that_were_asked_for_is_chosen(problem, families, chosen):
    trial = first_trial(families, problem, n_before=7)
    assert (trial.family, trial.trial_id) == (chosen, f"{chosen}-0007")


def test_a_family_that_was_added_is_not_tried_in_the_process_of_the_run(problem):
    """One that took all memory ended the run, instead of a trial."""
    assert first_trial(("unheard_of",), problem) is None


def test_trees_grow_until_a_clock_says_that_it_is_enough(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(first, "MAX_GROWING_S", 0.0)
    result = ended(first_trial(("lightgbm",), problem), problem, tmp_path)
    assert result.status == COMPLETED
    assert result.n_units == (1, 1, 1)


class Hangs:
    """A family whose fits end when they are told to."""

    def __init__(self):
        self.may_end = threading.Event()
        self.family = Family("hangs", "fit", lambda config: 1, self._start, lambda folder: None)

    def _start(self, job, config):
        self.may_end.wait(60)
        raise RuntimeError("told to end")


def test_one_that_hangs_is_not_waited_for_and_one_that_fails_has_failed(problem, tmp_path, monkeypatch):
    hangs = Hangs()
    monkeypatch.setattr("stacktune.trials.climb.get_family", lambda name: hangs.family)
    log = SearchLog(Nobody())
    model = FirstModel(first_trial_of_linear(), problem, tmp_path)
    model.tell(log)
    assert not model.wait(0.01)
    assert [entry.trial.trial_id for entry in log.entries()] == ["linear-0000"]
    assert log.results() == []
    hangs.may_end.set()
    assert model.wait(60)
    assert [(result.status, result.error.splitlines()[0]) for result in log.results()] == [
        (FAILED, "RuntimeError: told to end")
    ]
    assert not (tmp_path / TRIALS).exists()


def test_where_the_run_fails_it_writes_nothing_more(problem, tmp_path, monkeypatch):
    """A refused run's folder was made again, after it had been removed, by the first model that was still fitted."""
    begun, may_go_on = threading.Event(), threading.Event()
    climb = first.climb

    def slow_climb(*given):
        steps = climb(*given)
        yield next(steps)
        begun.set()
        may_go_on.wait(60)
        return (yield from steps)

    monkeypatch.setattr(first, "climb", slow_climb)

    def fail() -> None:
        with FirstModel(first_trial_of_linear(), problem, tmp_path):
            assert begun.wait(60)
            threading.Timer(0.2, may_go_on.set).start()
            raise SearchError("no cores")

    with pytest.raises(SearchError):
        fail()
    assert may_go_on.is_set()
    assert not list(tmp_path.rglob("*.npz"))


def test_a_disk_that_is_full_fails_it_and_raises_nowhere(problem, tmp_path):
    (tmp_path / TRIALS).touch()
    result = ended(first_trial_of_linear(), problem, tmp_path)
    assert result.status == FAILED
    assert result.error.startswith("OSError: ")


def test_a_folder_that_cannot_be_made_fails_it_and_raises_nowhere(problem, tmp_path):
    """Its thread ended without a word, so that the run waited for a first model that nobody was fitting."""
    (tmp_path / "run").touch()
    model = FirstModel(first_trial_of_linear(), problem, tmp_path / "run")
    log = SearchLog(Nobody(), Journal(tmp_path / "journal.jsonl", lambda: 0.0, pytest.fail))
    model.tell(log)
    assert model.wait(60)
    (result,) = log.results()
    assert result.status == FAILED
    assert result.error.startswith("NotADirectoryError: ")
