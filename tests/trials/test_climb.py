"""One trial's life, in-process, on small real tables."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from stacktune.data.folds import make_folds
from stacktune.data.table import Table, Task
from stacktune.families.registry import get_family
from stacktune.metrics import get_metric
from stacktune.search.space import load_space
from stacktune.trials import climb as climb_module
from stacktune.trials.attempt import Attempt
from stacktune.trials.climb import Problem, TrialResources, climb
from stacktune.trials.provenance import Provenance
from stacktune.trials.result import COMPLETED, FAILED, STOPPED, TrialResult, load_oof, load_result
from stacktune.trials.trial import Progress, Resume, Trial


def problem_of(kind: str, metric: str | None = None) -> Problem:
    features, target = (load_breast_cancer if kind == "binary" else load_diabetes)(return_X_y=True)
    task = Task(kind, ("malignant", "benign") if kind == "binary" else ())
    target = target.astype(np.int32 if kind == "binary" else np.float64)
    names = tuple(f"x{place}" for place in range(features.shape[1]))
    table = Table(np.ascontiguousarray(features, dtype=np.float32), names, target=target).sealed()
    return Problem(table, task, make_folds(table, task, 3, 0), get_metric(metric, kind), seed=0)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problem_of("binary")


def first_trial(family: str, **changes) -> Trial:
    return replace(Trial(f"{family}-0000", family, load_space(family).portfolio[0]), **changes)


def resources_in(folder: Path, **changes) -> TrialResources:
    folder.mkdir(exist_ok=True)
    return replace(TrialResources(folder=folder, states=folder / "states"), **changes)


def finish(generator) -> tuple[list[Progress], TrialResult]:
    seen = []
    while True:
        try:
            seen.append(next(generator))
        except StopIteration as end:
            return seen, end.value


@pytest.mark.parametrize(("family", "scheduler", "n_rungs"), [("lightgbm", "asha", 2), ("mlp", "pbt", 4)])
def test_a_trial_on_a_holdout_is_not_compared_once_its_only_fold_is_fitted(
    problem, tmp_path, family, scheduler, n_rungs
):
    held_out = replace(problem, folds=make_folds(problem.table, problem.task, 1, 0))
    trial = first_trial(family, scheduler=scheduler)
    seen, result = finish(climb(trial, held_out, resources_in(tmp_path / "x")))
    assert [progress.rung for progress in seen] == list(range(1, n_rungs))
    assert (result.status, result.rungs_reached, result.n_rungs) == (COMPLETED, n_rungs, n_rungs)


@pytest.mark.parametrize("family", ["lightgbm", "linear"])
def test_a_trial_climbs_every_rung_and_owns_its_predictions(problem, tmp_path, family):
    seen, result = finish(climb(first_trial(family), problem, resources_in(tmp_path)))
    assert [progress.rung for progress in seen] == [1, 2]
    assert result.status == COMPLETED
    assert result.rungs_reached == result.n_rungs == 3
    assert len(result.fold_scores) == 3
    assert result.curve[-1] == pytest.approx(np.mean(result.fold_scores))
    oof = load_oof(result)
    assert oof.shape == (problem.table.n_rows, 2)
    np.testing.assert_allclose(oof.sum(axis=1), 1)
    assert result.score > 0.98


@pytest.mark.parametrize("family", ["linear", "lightgbm"])
def test_the_saved_fold_models_are_close_to_what_made_the_out_of_fold_predictions(problem, tmp_path, family):
    """A part of a fold is predicted at the units that other rows chose, the model keeps those that all rows chose."""
    _, result = finish(climb(first_trial(family), problem, resources_in(tmp_path)))
    oof = load_oof(result)
    for fold in range(problem.folds.n_folds):
        rows = problem.folds.valid_rows(fold)
        said = get_family(family).load(tmp_path / f"fold{fold}").predict(problem.table.take(rows))
        if family == "linear":
            np.testing.assert_allclose(said, oof[rows], rtol=1e-6)
        else:
            assert np.corrcoef(said[:, 1], oof[rows, 1])[0, 1] > 0.99


@pytest.mark.parametrize("family", ["lightgbm", "linear"])
def test_levels_that_a_fold_has_not_seen_are_judged_as_they_are_predicted(tmp_path, family):
    """Their out-of-fold predictions were those of a missing value: .60 where the model says .37, and .24 is true."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 300).astype(np.float32)
    codes[rng.random(300) < 0.2] = np.nan
    codes[:6] = np.arange(4, 10)  # in one row each, so that no training rows of its fold have it
    target = np.where(np.isnan(codes), 1, rng.random(300) < 0.2).astype(np.int32)
    table = Table(np.column_stack([rng.normal(size=300), codes]).astype(np.float32), ("x", "c"), (10,), target).sealed()
    task = Task("binary", ("0", "1"))
    problem = Problem(table, task, make_folds(table, task, 3, 0), get_metric(None, "binary"), 0)
    _, result = finish(climb(first_trial(family), problem, resources_in(tmp_path)))
    for row in range(6):
        model = get_family(family).load(tmp_path / f"fold{problem.folds.assignment[row]}")
        np.testing.assert_allclose(load_oof(result)[[row]], model.predict(table.take(np.array([row]))), rtol=1e-6)


@pytest.mark.parametrize("family", ["lightgbm", "xgboost", "catboost", "extra_trees", "mlp"])
def test_the_out_of_fold_score_of_pure_noise_is_chance(tmp_path, family):
    """Early stopping on the rows that were scored gave .548 on 400 rows of noise, where fresh rows gave .496."""
    scores = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        table = Table(rng.normal(size=(400, 5)).astype(np.float32), tuple("abcde"), target=rng.permutation(400) % 2)
        task = Task("binary", ("0", "1"))
        problem = Problem(table.sealed(), task, make_folds(table, task, 4, seed), get_metric("roc_auc", "binary"), seed)
        _, result = finish(climb(first_trial(family), problem, resources_in(tmp_path / str(seed))))
        scores.append(result.score)
    # The standard error of an area under the curve of 400 rows is .029 (Hanley and McNeil 1982); of six, .012.
    assert abs(np.mean(scores) - 0.5) < 2.5 * 0.012


def test_closing_the_generator_stops_the_trial_early(problem, tmp_path):
    generator = climb(first_trial("lightgbm"), problem, resources_in(tmp_path))
    next(generator)
    generator.close()
    assert not (tmp_path / "fold1").exists()
    with pytest.raises(StopIteration):
        next(generator)


def test_the_first_rung_costs_less_than_the_first_fold(problem, tmp_path):
    seen, _ = finish(climb(first_trial("lightgbm"), problem, resources_in(tmp_path)))
    assert seen[0].n_units <= seen[1].n_units / 2


def test_a_trial_out_of_time_stops_before_the_other_folds(problem, tmp_path):
    resources = resources_in(tmp_path, deadline=time.monotonic())
    _, result = finish(climb(first_trial("lightgbm"), problem, resources))
    assert (result.status, result.rungs_reached) == (STOPPED, 2)
    assert "no time" in result.error


def test_on_a_holdout_a_trial_out_of_time_is_complete_with_what_it_has(problem, tmp_path):
    """Nets and CatBoost that had used up their time on 330,000 rows were stopped, though nothing was left to fit."""
    holdout = replace(problem, folds=make_folds(problem.table, problem.task, 1, 0))
    _, result = finish(climb(first_trial("lightgbm"), holdout, resources_in(tmp_path, deadline=time.monotonic())))
    assert result.status == COMPLETED
    assert len(result.n_units) == 1
    assert len(result.fold_scores) == holdout.folds.n_blocks
    assert np.isnan(load_oof(result)[holdout.folds.train_rows(0)]).all()
    assert np.allclose(load_oof(result)[holdout.folds.judged_rows].sum(axis=1), 1)


def test_a_trial_that_must_complete_does_so_with_a_little_of_each_fold(problem, tmp_path):
    resources = resources_in(tmp_path, deadline=time.monotonic())
    _, result = finish(climb(first_trial("lightgbm", must_complete=True), problem, resources))
    assert result.status == COMPLETED
    assert max(result.n_units) <= get_family("lightgbm").chunk


def test_same_seed_same_out_of_fold_predictions(problem, tmp_path):
    runs = [finish(climb(first_trial("lightgbm"), problem, resources_in(tmp_path / name)))[1] for name in "ab"]
    np.testing.assert_array_equal(load_oof(runs[0]), load_oof(runs[1]))


def test_a_decision_metric_is_scored_at_thresholds_from_other_folds(tmp_path):
    problem = problem_of("binary", "f1")
    _, result = finish(climb(first_trial("linear"), problem, resources_in(tmp_path)))
    assert 0.9 < result.score <= 1


def test_regression_has_one_column_of_values(tmp_path):
    problem = problem_of("regression")
    trial = first_trial("linear", config=load_space("linear").portfolio[1])
    _, result = finish(climb(trial, problem, resources_in(tmp_path)))
    assert load_oof(result).shape == (problem.table.n_rows, 1)
    assert -65 < result.score < -50
    assert result.metrics["r2"] > 0.4


def test_a_member_takes_up_anothers_state_and_replays_its_lineage_on_the_other_folds(problem, tmp_path):
    space = load_space("mlp")
    donor = climb(first_trial("mlp", scheduler="pbt"), problem, resources_in(tmp_path / "donor"))
    progress = next(donor)
    config = {**space.portfolio[0], "lr": space.portfolio[0]["lr"] / 2}
    resume = Resume(progress.state, progress.rung, progress.lineage)
    trial = Trial("mlp-0001", "mlp", config, "pbt", resume=resume)
    seen, result = finish(climb(trial, problem, resources_in(tmp_path / "copy")))
    assert [step.rung for step in seen] == [2, 3, 4]
    assert seen[0].n_units > progress.n_units
    assert [unit for unit, _ in result.lineage] == [0, progress.n_units]
    assert result.lineage[1][1]["lr"] == config["lr"]
    assert result.status == COMPLETED


def test_an_exception_fails_the_trial_and_keeps_the_traceback(problem, tmp_path):
    trial = first_trial("lightgbm", config={"learning_rate": "fast"})
    outcome = Attempt(trial, lambda: climb(trial, problem, resources_in(tmp_path))).advance()
    assert outcome.status == FAILED
    assert "Traceback" in outcome.error
    assert outcome.trial_id == "lightgbm-0000"


def test_a_trial_that_fails_says_what_it_took(problem, tmp_path, monkeypatch):
    """Failed trials counted as if they had cost nothing."""

    def breaks(*_):
        sum(range(2_000_000))
        raise PowerCutError("dark")

    monkeypatch.setattr(climb_module, "FoldFit", breaks)
    trial = first_trial("linear")
    outcome = Attempt(trial, lambda: climb(trial, problem, resources_in(tmp_path))).advance()
    assert outcome.status == FAILED
    assert min(outcome.fit_s, outcome.cpu_s) > 0


def test_a_result_survives_its_file(problem, tmp_path):
    _, result = finish(climb(first_trial("linear"), problem, resources_in(tmp_path)))
    result.save(tmp_path)
    assert load_result(tmp_path) == result


class PowerCutError(Exception):
    """What a killed process has no time to raise."""


@pytest.mark.parametrize("n_folds_done", [1, 2])
def test_a_trial_that_died_goes_on_after_the_folds_that_it_had_finished(problem, tmp_path, monkeypatch, n_folds_done):
    monkeypatch.setattr(climb_module, "WORTH_KEEPING_S", 0.0)
    trial = first_trial("lightgbm")
    _, whole = finish(climb(trial, problem, resources_in(tmp_path / "whole")))
    resources, started = resources_in(tmp_path / "cut"), []
    fold_fit = climb_module.FoldFit

    def dying(*words):
        started.append(words)
        if len(started) > n_folds_done:
            raise PowerCutError("dark")
        return fold_fit(*words)

    monkeypatch.setattr(climb_module, "FoldFit", dying)
    with pytest.raises(PowerCutError):
        finish(climb(trial, problem, resources))
    (resources.folder / f"fold{n_folds_done}").mkdir()  # half written
    monkeypatch.setattr(climb_module, "FoldFit", fold_fit)
    seen, result = finish(climb(trial, problem, resources))
    assert seen == []
    timed = {"fit_s": 0, "cpu_s": 0, "predict_us": 0, "folder": None}
    assert replace(result, **timed) == replace(whole, **timed)
    np.testing.assert_array_equal(load_oof(result), load_oof(whole))
    assert {path.name for path in resources.folder.iterdir()} == {"oof.npy", "fold0", "fold1", "fold2"}


@pytest.fixture(scope="module")
def cut_trial(problem, tmp_path_factory) -> Path:
    """What a trial of the run `ours` leaves that died in its last fold."""
    folder, started, fold_fit = tmp_path_factory.mktemp("cut"), [], climb_module.FoldFit

    def dying(*words):
        started.append(words)
        if len(started) == problem.folds.n_folds:
            raise PowerCutError("dark")
        return fold_fit(*words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(climb_module, "WORTH_KEEPING_S", 0.0)
        patch.setattr(climb_module, "FoldFit", dying)
        with pytest.raises(PowerCutError):
            finish(climb(first_trial("linear"), problem, resources_in(folder, made_by=Provenance("ours", "rows"))))
    return folder


def n_begun(monkeypatch, trial, problem, resources) -> int:
    """Return how many folds a trial fits that finds `resources.folder`."""
    begun, fold_fit = [], climb_module.FoldFit

    def counting(*words):
        begun.append(words)
        return fold_fit(*words)

    monkeypatch.setattr(climb_module, "FoldFit", counting)
    _, result = finish(climb(trial, problem, resources))
    assert result.score < 1
    return len(begun)


@pytest.mark.parametrize(
    ("changes", "n_fits"),
    [
        ({}, 2),
        ({"run": "others"}, 4),
        ({"digest": "other rows"}, 4),
        ({"config": {"penalty": 1}}, 4),
        ({"rows_share": 0.5}, 4),
        ({"predicted": "the truth"}, 4),
        ({"model": "of another"}, 4),
        ({"link": True}, 4),
        ({"checkpoint": "{"}, 4),
        ({"checkpoint": "[1]"}, 4),
    ],
    ids=str,
)
def test_only_a_checkpoint_of_the_same_run_and_trial_is_gone_on_from(
    problem, cut_trial, tmp_path, monkeypatch, changes, n_fits
):
    """A planted one was, and a score of 1.0000 was registered. Linear trials fit once more, for a first rung."""
    folder = shutil.copytree(cut_trial, tmp_path / "left")
    made_by = Provenance(changes.get("run", "ours"), changes.get("digest", "rows"))
    trial = first_trial("linear", rows_share=changes.get("rows_share", 1.0))
    if "config" in changes:
        trial = replace(trial, config=load_space("linear").portfolio[2])
    if "predicted" in changes:
        truth = np.column_stack([1 - problem.table.target, problem.table.target]).astype(float)
        np.save(folder / "oof.part.npy", truth[:, -np.load(folder / "oof.part.npy").shape[1] :])
    if "model" in changes:
        next(path for path in (folder / "fold0").rglob("*") if path.is_file()).write_bytes(b"of another")
    if "link" in changes:
        (folder / "checkpoint.json").rename(tmp_path / "checkpoint.json")
        (folder / "checkpoint.json").symlink_to(tmp_path / "checkpoint.json")
    if "checkpoint" in changes:
        (folder / "checkpoint.json").write_text(changes["checkpoint"])
    assert n_begun(monkeypatch, trial, problem, resources_in(folder, made_by=made_by)) == n_fits
