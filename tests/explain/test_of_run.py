"""Within a run, each row is explained by models that have not learnt from it."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ended import ended_of
from in_process import Fitted, fit
from planted import VALUES, columns_of, planted, true_mean

from stacktune.data.folds import Folds
from stacktune.data.table import BINARY, Table, Task
from stacktune.ensemble.member import load_member
from stacktune.ensemble.out_of_fold import honest_predictions
from stacktune.explain.columns import raw_columns
from stacktune.explain.explanation import Explanation
from stacktune.explain.held_out import MIN_OF_A_CLASS, is_there, looked_at, open_held_out
from stacktune.explain.importance import importances, scorer_of
from stacktune.explain.of_run import Ended, explain_run
from stacktune.metrics import get_metric
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import load_oof


def frame(n_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return values of two numbers, one with a twin, and levels; the rest is noise."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, n_rows))
    level = random.choice(["low", "mid", "high"], n_rows)
    noise = {f"noise {place}": random.normal(size=n_rows) for place in range(3)}
    target = 3 * a + 2 * b + 2 * (level == "high") + random.normal(size=n_rows)
    twin = a + 0.05 * random.normal(size=n_rows)
    return pd.DataFrame({"a": a, "twin": twin, "b": b, "level": level, **noise, "y": target})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    return fit(frame(), "y", tmp_path_factory.mktemp("run"), ("lightgbm", "linear"), n_folds=3)


@pytest.fixture(scope="module")
def found(fitted) -> Explanation:
    return explain_run(ended_of(fitted), None)


def opened(fitted: Fitted):
    ended = ended_of(fitted)
    return open_held_out(ended.row, ended.trials, ended.folds, fitted.problem.task, ended.looked, math.inf)


@pytest.mark.parametrize("settings", [{"n_folds": 3}, {"n_folds": 1}, {"n_folds": 2, "repeats": 2}])
def of_fold_models(ended: Ended, table: Table) -> dict[str, np.ndarray]:
    """Return trials' predictions of each row by the models of the folds that held it out."""
    found = {}
    for name, trial in ended.trials.items():
        total = np.zeros((table.n_rows, 1))
        for fold in range(ended.folds.n_folds):
            rows = ended.folds.valid_rows(fold)
            (model,) = load_member(trial.place, name, trial.family, (fold,)).predictors
            total[rows] += model.predict(table.take(rows)) / ended.folds.n_repeats
        found[name] = total
    return found


@pytest.mark.parametrize("settings", [{"n_folds": 3}, {"n_folds": 1}, {"n_folds": 2, "repeats": 2}])
def test_each_row_is_predicted_by_its_folds_models_and_a_blend_learnt_without_its_block(tmp_path, settings):
    fitted = fit(frame(200), "y", tmp_path, ("lightgbm", "linear"), **settings)
    for row in fitted.board.rows:
        ended = ended_of(fitted, row=row)
        held_out, table = open_held_out(row, ended.trials, ended.folds, fitted.problem.task, ended.looked, math.inf)
        honest = honest_predictions(row, of_fold_models(ended, fitted.problem.table), ended.folds)[ended.looked.rows]
        np.testing.assert_allclose(held_out.predict(table), honest, atol=1e-6)
        twice = table.take(np.concatenate([np.arange(10, 20), np.arange(5)]))
        np.testing.assert_allclose(held_out.predict(twice), honest[[*range(10, 20), *range(5)]], atol=1e-6)


def test_what_drives_the_target_is_found_and_noise_is_not(found):
    by_name = found.importance.set_index("column")
    assert found.out_of_fold
    assert set(by_name.index[:3]) <= {"a", "b", "a + twin", "twin", "level"}
    assert (by_name.loc[["b", "a + twin"], "p_value"] < 0.01).all()
    noise = by_name.loc[[f"noise {place}" for place in range(3)]]
    assert noise["importance"].abs().max() < 0.1 * by_name["importance"].max()
    assert found.n_rows == found.n_rows_in_all == 400


def test_a_column_that_no_model_saw_has_an_importance_of_exactly_zero(fitted):
    held_out, table = opened(fitted)
    place = table.names.index("noise 0")

    def without(rows: Table) -> np.ndarray:
        blind = rows.features.copy()
        blind[:, place] = 0
        return held_out.predict(replace(rows, features=blind))

    columns = [one for one in raw_columns(fitted.leader.schema) if one.name == "noise 0"]
    scorer = scorer_of(table, fitted.problem.task, fitted.problem.metric, 0.5, 0)
    (one,) = importances(without, scorer, columns, 3, 0)
    assert (one.importance, one.low, one.high, one.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_values_are_shuffled_among_rows_of_one_fold(fitted):
    """Of another fold's rows, the model has seen the values with their targets."""
    _, table = opened(fitted)
    numbers = replace(table, features=np.arange(table.features.size, dtype=np.float32).reshape(table.features.shape))
    group_of = dict(zip(numbers.features[:, 0].tolist(), numbers.groups.tolist(), strict=True))
    asked: list[Table] = []

    def note(rows: Table) -> np.ndarray:
        asked.append(rows)
        return np.zeros((rows.n_rows, 1))

    scorer = scorer_of(numbers, fitted.problem.task, fitted.problem.metric, 0.5, 0)
    importances(note, scorer, raw_columns(fitted.leader.schema)[:1], 1, 0)
    shuffled = asked[-1]
    assert [group_of[value] for value in shuffled.features[:, 0].tolist()] == shuffled.groups.tolist()
    assert not np.array_equal(shuffled.features[:, 0], numbers.features[:, 0])


def test_of_folds_of_few_rows_values_are_shuffled_all_the_same():
    """With a hundred folds, or three dealings of five, there are as many kinds of rows as rows."""
    table = planted(400)
    table = replace(table, groups=np.arange(400) // 2)
    scorer = scorer_of(table, VALUES, get_metric("rmse", "regression"), 0.5, 0)
    found = {one.column: one.importance for one in importances(true_mean, scorer, columns_of(table), 2, 0)}
    assert found["a"] > 2


def test_where_a_prediction_takes_too_long_it_is_not_begun(fitted):
    row = replace(fitted.board.leader, predict_us=1e6)
    began_at = time.monotonic()
    found = explain_run(ended_of(fitted, row=row), 5.0)
    assert time.monotonic() - began_at < 2
    assert found.importance.empty
    assert found.notes[0].startswith("columns were not shuffled, as time was up")


def test_the_worst_rows_are_of_all_that_were_held_out_by_their_number_in_the_table(found, fitted):
    oof = {name: load_oof(one) for name, one in ended_of(fitted).trials.items()}
    honest = honest_predictions(fitted.board.leader, oof, fitted.problem.folds)[:, 0]
    loss = np.abs(honest - fitted.problem.table.labels)
    expected = fitted.dataset.row_numbers[np.argsort(-loss, kind="stable")[:20]]
    assert found.worst["row"].tolist() == expected.tolist()


def test_levels_are_told_by_their_text_and_lines_average_to_the_dependence(found):
    of_level = found.dependence[found.dependence["column"] == "level"]
    assert set(of_level["value"]) == {"low", "mid", "high"}
    assert of_level["number"].isna().all()
    assert set(found.dependence["column"]) == set(found.ice["column"])
    assert found.ice.groupby("column")["row"].nunique().eq(30).all()
    assert found.ice["row"].between(0, 399).all()


def test_without_a_budget_it_is_the_same_each_time(found, fitted):
    again = explain_run(ended_of(fitted), None)
    pd.testing.assert_frame_equal(again.importance, found.importance)
    pd.testing.assert_frame_equal(again.ice, found.ice)
    pd.testing.assert_frame_equal(again.members, found.members)


def test_in_no_time_nothing_is_shuffled_and_that_is_said(fitted):
    quick = explain_run(ended_of(fitted), 1e-6)
    assert quick.importance.empty
    assert len(quick.worst) == 20
    assert any("stacktune explain" in note for note in quick.notes)


@pytest.mark.parametrize("test_size", [0.25, None])
def test_where_folds_models_are_gone_test_rows_stand_in_or_it_says_why_not(tmp_path, test_size):
    fitted = fit(frame(200), "y", tmp_path, ("lightgbm",), n_folds=2, test_size=test_size)
    ended = ended_of(fitted)
    assert is_there(ended.row, ended.trials, ended.folds)
    shutil.rmtree(TrialFolder(ended.trials["lightgbm-0000"].place).fold(1))
    assert not is_there(ended.row, ended.trials, ended.folds)
    found = explain_run(ended, None)
    assert not found.out_of_fold or found.importance.empty
    assert "models of single folds were not kept" in found.notes[0]
    assert len(found.importance) == (0 if test_size is None else 8)
    assert found.n_rows == (0 if test_size is None else 50)


def test_of_a_rare_class_enough_rows_are_looked_at_and_weigh_as_much_less():
    n_rows = 20_000
    target = (np.arange(n_rows) % 200 == 0).astype(np.int32)
    table = Table(np.zeros((n_rows, 2), np.float32), ("a", "b"), (), target)
    parts = (np.arange(n_rows) // 3 % 5).astype(np.int8)
    looked = looked_at(table, Task(BINARY, ("no", "yes")), Folds(parts, 5, parts, 5), 0)
    chosen = looked.table
    assert chosen.labels.sum() == MIN_OF_A_CLASS
    assert np.average(chosen.labels, weights=chosen.weight) == pytest.approx(target.mean(), rel=1e-3)
    np.testing.assert_array_equal(target[looked.rows], chosen.labels)


def test_classes_and_targets_of_any_name_and_columns_of_no_value_are_explained(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    table = pd.DataFrame({"x": x, "void": np.where(np.arange(200) < 3, 1.0, np.nan)})
    table["loss"] = np.where(x + random.normal(size=200) > 0, "row", "loss")
    fitted = fit(table, "loss", tmp_path, ("linear",), n_folds=2)
    found = explain_run(ended_of(fitted), None)
    assert list(found.worst) == ["row", "prediction", "loss", "row_", "loss_", "loss__"]
    assert found.worst["loss__"].is_monotonic_decreasing
    assert found.importance["column"][0] == "x"
