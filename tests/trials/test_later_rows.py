"""A whole run, but for Ray and MLflow, whose folds lie in the order of time or keep groups together."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, completed_trial, fit

from stacktune.families._encode import encode_target
from stacktune.families.registry import get_family
from stacktune.storage.run_folder import ALL_ROWS, TrialFolder
from stacktune.trials.all_rows import fit_on_all_rows
from stacktune.trials.checkpoint import Checkpoint
from stacktune.trials.climb import TrialResources, climb
from stacktune.trials.result import load_oof
from stacktune.trials.stopping import parts_of
from stacktune.trials.trial import Trial

N_ROWS = 600


def drifting(n_rows=N_ROWS) -> pd.DataFrame:
    """A value that follows x, and a level that rises with time in steps that no row before it tells."""
    random = np.random.default_rng(0)
    time = random.permutation(n_rows)
    level = 10.0 * (time // 75)
    return pd.DataFrame({"x": random.normal(size=n_rows), "t": time, "y": level + random.normal(size=n_rows)})


@pytest.fixture(scope="module")
def ordered(tmp_path_factory) -> Fitted:
    folder = tmp_path_factory.mktemp("ordered")
    return fit(drifting(), "y", folder, ("lightgbm", "linear"), time="t", keep=("t",), n_folds=4, weight=None)


def test_rows_before_the_first_window_have_no_prediction_and_count_nowhere(ordered):
    judged = ordered.problem.folds.judged_rows
    for result in ordered.results:
        oof = load_oof(result)
        assert np.isfinite(oof[judged]).all()
        assert np.isnan(np.delete(oof, judged, axis=0)).all()
        assert np.isfinite(result.fold_scores).all()
        errors = oof[judged, 0] - ordered.problem.table.target[judged]
        assert -result.metrics["mae"] == pytest.approx(np.abs(errors).mean(), rel=0.05)
    assert len(judged) == N_ROWS // 2
    assert all(row.is_scored for row in ordered.board.rows)
    assert {row.kind for row in ordered.board.rows} == {"trial", "ensemble"}


def test_the_leader_is_made_of_models_that_have_seen_the_newest_rows(ordered):
    assert ordered.problem.folds.models == (ALL_ROWS,)
    assert all(folds == (ALL_ROWS,) for row in ordered.board.rows for folds in row.folds)
    member = next(one for one in ordered.leader.members if one.family == "lightgbm")
    assert len(member.predictors) == 1
    trial = next(result for result in ordered.results if result.family == "lightgbm")
    newest = ordered.problem.folds.valid_rows(0)  # of a level that no row before them has
    true = ordered.problem.table.target[newest]
    by_leader = member.predictors[0].predict(ordered.problem.table.take(newest))[:, 0]
    by_fold = load_oof(trial)[newest, 0]
    assert abs(by_leader - true).mean() < 2.5 < 8 < abs(by_fold - true).mean()


def test_the_score_is_of_later_rows_where_random_folds_would_flatter(ordered, tmp_path):
    at_random = fit(drifting(), "y", tmp_path, ("lightgbm",), keep=("t",), n_folds=4)
    later, flattered = (
        next(one for one in fitted.results if one.family == "lightgbm") for fitted in (ordered, at_random)
    )
    assert -later.score > 5 * -flattered.score


def test_what_is_gone_on_with_is_the_same_as_what_was_done_at_once(ordered, tmp_path, monkeypatch):
    monkeypatch.setattr("stacktune.trials.climb.WORTH_KEEPING_S", 0.0)
    whole = ordered.results[0]
    trial = Trial(whole.trial_id, whole.family, whole.config)
    steps = climb(trial, ordered.problem, TrialResources(tmp_path, tmp_path / "states"))
    saved = Checkpoint.save

    def cut_off(self, folder, predicted, made_by):
        saved(self, folder, predicted, made_by)
        if len(self.n_units) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", cut_off)
        with pytest.raises(KeyboardInterrupt):
            list(steps)
    assert len(json.loads((tmp_path / "checkpoint.json").read_text())["n_units"]) == 3
    with pytest.raises(StopIteration) as ended:
        next(climb(trial, ordered.problem, TrialResources(tmp_path, tmp_path / "states")))
    result = ended.value.value
    assert result.fold_scores == whole.fold_scores
    np.testing.assert_array_equal(load_oof(result), load_oof(whole))
    names = [TrialFolder(Path(place)).fold(ALL_ROWS) for place in (result.folder, whole.folder)]
    assert len({(name / "model.txt").read_bytes() for name in names}) == 1


def test_the_parts_by_which_a_fit_stops_are_pieces_of_time(ordered):
    problem = ordered.problem
    rows = problem.folds.valid_rows(0)
    parts = parts_of(problem.table, problem.task, problem.folds, 0, 0)
    assert (np.diff(parts[np.argsort(problem.folds.moments[rows])]) >= 0).all()


def grouped(n_groups=40) -> pd.DataFrame:
    """A value that a group has for itself, beside columns by which the group can be told."""
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(n_groups), 15)
    own, fingerprint = random.normal(size=n_groups) * 5, random.normal(size=n_groups)
    return pd.DataFrame(
        {
            "g": [f"g{one}" for one in group],
            "f": fingerprint[group],
            "level": [f"v{one}" for one in group],
            "x": random.normal(size=len(group)),
            "y": own[group] + random.normal(size=len(group)),
        }
    )


def test_models_of_grouped_folds_know_nothing_of_a_group_that_they_are_judged_on(tmp_path):
    table = grouped()
    (tmp_path / "random").mkdir(), (tmp_path / "grouped").mkdir()
    at_random = fit(table, "y", tmp_path / "random", ("lightgbm",), n_folds=4)
    ours = fit(table, "y", tmp_path / "grouped", ("lightgbm", "linear"), group="g", n_folds=4)
    assert ours.board.leader.score > 2 * at_random.board.leader.score
    parts = parts_of(ours.problem.table, ours.problem.task, ours.problem.folds, 0, 0)
    groups = ours.problem.folds.groups[ours.problem.folds.valid_rows(0)]
    assert all(len(np.unique(parts[groups == group])) == 1 for group in np.unique(groups))


def test_a_row_of_a_group_is_not_encoded_by_the_targets_of_its_group(tmp_path):
    ours = fit(grouped(), "y", tmp_path, ("lightgbm",), group="g", n_folds=4).problem.table
    signals = np.asarray(ours.target).reshape(-1, 1)
    columns = np.array([0])
    _, features = encode_target(ours, columns, signals, 1.0)
    # Each level is a group of its own, so nothing of it is known elsewhere: all see the mean of the other folds.
    assert len(np.unique(features[:, 0].round(5))) <= 5


@pytest.mark.parametrize("settings", [{"time": "t", "keep": ("t",)}, {"group": "g"}, {"fold_column": "part"}])
@pytest.mark.parametrize("family", ["lightgbm", "linear", "extra_trees"])
def test_two_runs_with_a_seed_are_the_same(tmp_path, settings, family):
    table = drifting(200).assign(g=np.arange(200) // 8, part=np.arange(200) % 3, y=lambda own: own["x"] > own["y"] % 1)
    boards = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        fitted = fit(table, "y", tmp_path / name, (family,), **settings)
        again = completed_trial(family, fitted.problem, tmp_path / name, 1)
        boards.append([fitted.results[0].fold_scores, again.fold_scores])
    assert boards[0] == boards[1]


def test_a_row_that_is_held_out_twice_has_the_mean_of_two_predictions(tmp_path):
    (tmp_path / "once").mkdir(), (tmp_path / "twice").mkdir()
    table = drifting(200)
    once = fit(table, "y", tmp_path / "once", ("linear",), n_folds=3)
    twice = fit(table, "y", tmp_path / "twice", ("linear",), n_folds=3, repeats=2)
    result, folds = twice.results[0], twice.problem.folds
    means = np.zeros(200)
    for fold in range(6):
        rows, models = folds.valid_rows(fold), TrialFolder(Path(result.folder)).fold(fold)
        means[rows] += get_family("linear").load(models).predict(twice.problem.table.take(rows))[:, 0] / 2
    np.testing.assert_allclose(load_oof(result)[:, 0], means, rtol=1e-6)
    assert len(result.fold_scores) == 3
    assert twice.board.leader.folds == (tuple(range(6)),)
    assert not np.array_equal(load_oof(result), load_oof(once.results[0]))


class Recorder:
    """A learner that writes down what it is told."""

    def __init__(self, config):
        self.n_units, self.told = 0, [("start", config)]

    def advance(self, units):
        self.n_units += units
        self.told.append(("advance", units))

    def adjust(self, config):
        self.told.append(("adjust", config))

    def warm_start(self, folders):
        self.told.append(("warm start", folders))


def recorded(lineage, n_units, deadline=float("inf"), donors=()):
    family = SimpleNamespace(start=lambda job, config: Recorder(config), chunk=10)
    return fit_on_all_rows(family, None, lineage, n_units, donors, deadline).told


def test_on_all_rows_a_model_lives_through_the_lineage_of_its_trial():
    told = recorded([(0, "a"), (15, "b"), (30, "c")], 25, donors=["folder"])
    assert told[:2] == [("start", "a"), ("warm start", ["folder"])]
    assert told[2:] == [("advance", 10), ("advance", 5), ("adjust", "b"), ("advance", 10), ("adjust", "c")]


def test_on_all_rows_something_is_grown_though_the_time_is_up():
    assert recorded([(0, "a")], 25, deadline=0.0) == [("start", "a"), ("advance", 10)]
