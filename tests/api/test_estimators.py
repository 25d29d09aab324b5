"""AutoML by scikit-learn's conventions, beside a Ray of the program's."""

from __future__ import annotations

import json
import os
import pickle
import re
import runpy
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import ray
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from whole_runs import programs_ray

from stacktune import AutoMLClassifier, AutoMLRegressor, ConfigError, DataError
from stacktune.api.parameters import NAMES
from stacktune.api.tables import as_frame, joined
from stacktune.settings.groups import SETTINGS

TINY = {"max_trials": 2, "families": ["linear"], "folds": 2, "cpus": 1}
# Of scikit-learn's checks those that fit nothing; `tests/benchmarks/estimator_checks.py` runs all.
WITHOUT_FIT = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_mixin_order",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimators_unfitted",
)


@pytest.fixture(scope="module", autouse=True)
def _desk(tmp_path_factory) -> Iterator[None]:
    """A folder of this module's for its runs, and a Ray that is there before them and after."""
    with pytest.MonkeyPatch.context() as patch, programs_ray(1):
        patch.chdir(tmp_path_factory.mktemp("desk"))
        yield
        assert ray.is_initialized()


@pytest.fixture(scope="module")
def flowers() -> tuple[pd.DataFrame, pd.Series]:
    features, target = load_iris(return_X_y=True, as_frame=True)
    kinds = np.array(["setosa", "versicolor", "virginica"])
    order = np.random.default_rng(0).permutation(len(target))
    return features.iloc[order], pd.Series(kinds[target], target.index, name="kind").iloc[order]


@pytest.fixture(scope="module")
def classifier(flowers) -> AutoMLClassifier:
    """One that was fitted on a thread, as in a program with others."""
    features, target = flowers
    model = AutoMLClassifier(**TINY)
    thread = threading.Thread(target=model.fit, args=(features[:100], target[:100]))
    thread.start()
    thread.join()
    return model


def test_a_classifier_predicts_as_scikit_learns_do(classifier, flowers):
    features, target = flowers
    assert classifier.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    chances = classifier.predict_proba(features[100:])
    assert chances.shape == (50, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (classifier.classes_[chances.argmax(axis=1)] == classifier.predict(features[100:])).all()
    assert classifier.score(features[100:], target[100:]) > 0.85
    assert (classifier.n_features_in_, list(classifier.feature_names_in_)) == (4, list(features.columns))
    assert (classifier.threshold_, classifier.positive_) == (None, None)


def test_it_is_the_run_that_the_command_makes(classifier):
    folder = Path(classifier.folder_)
    assert folder.parent.name == "stacktune-runs"
    assert json.loads((folder / "run.json").read_text())["leader"] == classifier.summary_.leader
    pd.testing.assert_frame_equal(classifier.leaderboard_, pd.read_parquet(folder / "leaderboard.parquet"))
    best = classifier.best_model("linear", by=classifier.summary_.metric)
    assert best.leader_.task == classifier.leader_.task
    assert re.search(r"\) of linear-\d{4}, \w+ -?[\d.]+$", repr(best)), "which trial it is could not be seen"
    assert " of " not in repr(classifier)
    assert len(best.leader_.members) == 1
    assert "importance" in classifier.report_.read_text()
    assert {"began", "asked", "completed", "leader chosen"} <= {event["event"] for event in classifier.events_}
    assert (folder.parent / "mlflow.db").is_file()


def test_the_best_model_of_a_family_is_saved_and_pickled_as_any_other(classifier, flowers, tmp_path):
    """It lay in the trial's folder, which is no leader's: neither came back."""
    best, (features, _) = classifier.best_model("linear"), flowers
    expected = best.predict_proba(features)
    for kept in (pickle.loads(pickle.dumps(best)), AutoMLClassifier.load(best.save(tmp_path / "saved"))):
        np.testing.assert_array_equal(kept.predict_proba(features), expected)


@pytest.mark.parametrize(
    ("family", "by", "message"),
    [("linaer", "score", "Did you mean 'linear'"), (None, "predict_ms", "Did you mean 'predict_us'")],
)
def test_the_best_of_what_is_not_there_is_refused(classifier, family, by, message):
    with pytest.raises(ConfigError, match=message):
        classifier.best_model(family, by)


def test_the_most_important_columns_are_those_of_petals_which_say_the_same(classifier, flowers):
    features, target = flowers
    found = classifier.explain(features[100:], target[100:], rows=[0], seconds=20)
    assert {"petal length (cm)", "petal width (cm)"} <= set(found.importance["column"][0].split(" + "))
    assert found.rows["column"].tolist() == list(features.columns)
    assert any("say nearly the same" in note for note in found.notes)
    table = pd.concat([features, target], axis=1)[100:]
    pd.testing.assert_frame_equal(classifier.feature_importance(table, seconds=20), found.importance)


def test_every_copy_predicts_the_same(classifier, flowers, tmp_path):
    features, _ = flowers
    expected = classifier.predict_proba(features)
    copies = [
        pickle.loads(pickle.dumps(classifier)),
        AutoMLClassifier.load(classifier.save(tmp_path / "kept")),
        AutoMLClassifier.load(classifier.folder_),
    ]
    for one in copies:
        np.testing.assert_array_equal(one.predict_proba(features), expected)
        assert one.classes_.tolist() == classifier.classes_.tolist()
        assert one.summary_.leader == classifier.summary_.leader
        assert list(one.feature_names_in_) == list(classifier.feature_names_in_)
    with pytest.raises(ConfigError, match=r"AutoMLClassifier\.load reads it"):
        AutoMLRegressor.load(tmp_path / "kept")
    with pytest.raises(ConfigError, match="is there already"):
        classifier.save(tmp_path / "kept")


def test_a_secret_is_not_saved(classifier, tmp_path):
    """As config.yaml has stars for it."""
    told = clone(classifier).set_params(tracking_uri="https://me:very-secret@host/")
    told.__setstate__(classifier.__getstate__() | {"tracking_uri": told.tracking_uri})
    assert "very-secret" not in (told.save(tmp_path / "kept") / "estimator.json").read_text()


def test_arrow_is_predicted_as_frames_are(classifier, flowers):
    features, _ = flowers
    table = pa.Table.from_pandas(features, preserve_index=False)
    np.testing.assert_array_equal(classifier.predict_proba(table), classifier.predict_proba(features))


def test_its_html_tells_the_outcome(classifier):
    shown = classifier._repr_html_()
    assert f"{classifier.summary_.leader} leads with log_loss" in shown
    assert "linear-0000" in shown


def test_rows_that_were_learnt_from_are_predicted_by_models_that_had_not_seen_them(classifier, flowers):
    _, target = flowers
    predicted = classifier.out_of_fold_
    assert predicted.index.tolist() == list(range(100))
    assert list(predicted.columns) == ["prediction", *classifier.classes_]
    assert (predicted["prediction"].to_numpy() == target[:100].to_numpy()).mean() > 0.85


def test_another_table_has_a_leaderboard(classifier, flowers):
    features, target = flowers
    board = classifier.leaderboard(pd.concat([features, target], axis=1)[100:])
    assert board["on_score"].notna().any()
    assert board["on_score"].dropna().is_monotonic_increasing


@pytest.fixture(scope="module")
def regressor(tmp_path_factory) -> AutoMLRegressor:
    """One that was fitted on a table at a path."""
    path = tmp_path_factory.mktemp("table") / "diabetes.parquet"
    load_diabetes(as_frame=True).frame.to_parquet(path)
    return AutoMLRegressor(**TINY, output="runs/one", interval=0.8, refit=True).fit(path, target="target")


def test_a_table_may_be_at_a_path(regressor):
    features, target = load_diabetes(return_X_y=True, as_frame=True)
    assert regressor.score(features, target) > 0.4
    assert regressor.leader_.target_name == "target"
    assert regressor.n_features_in_ == len(regressor.feature_names_in_) == 10


def test_intervals_hold_what_they_say(regressor, classifier):
    features, target = load_diabetes(return_X_y=True, as_frame=True)
    ends = regressor.predict_interval(features)
    held = target.between(ends["lower"], ends["upper"]).mean()
    assert 0.7 < regressor.summary_.interval["coverage"] < 0.9 > held - 0.1
    assert all(len(member.predictors) == 1 for member in regressor.leader_.members)
    without = AutoMLRegressor.load(regressor.folder_)
    without.leader_ = replace(without.leader_, interval=None)
    with pytest.raises(ConfigError, match=r"fit it with interval=0\.9"):
        without.predict_interval(features)


def test_a_run_that_has_ended_takes_more_trials_and_families(regressor):
    n_before = (regressor.leaderboard_["kind"] == "trial").sum()
    assert regressor.resume(max_trials=3, families=["extra_trees"]) is regressor
    board = regressor.leaderboard_
    assert (board["kind"] == "trial").sum() == n_before + 1
    assert set(board["family"]) == {"linear", "extra_trees", "ensemble"}
    with pytest.raises(ConfigError, match="Did you mean 'max_trials'"):
        regressor.resume(max_trails=5)


def test_the_tutorial_runs_from_the_first_cell_to_the_last(monkeypatch, tmp_path, capsys):
    """On a table of the same columns, of which one payment in twelve is fraud."""
    random = np.random.default_rng(0)
    n_rows = 600
    is_fraud = (random.random(n_rows) < 1 / 12).astype(np.int64)
    parts = {f"V{place}": random.normal(size=n_rows) + is_fraud * 5 / place for place in range(1, 29)}
    paid = random.lognormal(3, 1, n_rows)
    frame = pd.DataFrame({"Time": np.arange(n_rows) * 60.0, **parts, "Amount": paid, "Class": is_fraud})
    frame.to_parquet(tmp_path / "payments.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["credit_card.py", "payments.parquet", "2", "10m"])
    script = Path(__file__).parents[1] / "tutorial" / "credit_card.py"
    cells = runpy.run_path(str(script))
    assert cells["f1"] > 0.7
    assert (tmp_path / "amounts.png").stat().st_size > 10_000
    assert cells["finer"].summary_.gain["start_score"] > 0.5
    assert "f1 of new payments" in capsys.readouterr().out


def test_it_is_a_step_of_pipelines_and_of_searches(flowers):
    features, target = flowers
    pipeline = make_pipeline(StandardScaler(), AutoMLClassifier(**{**TINY, "max_trials": 1, "no_report": True}))
    one_split = [(np.arange(90), np.arange(90, 150))]
    assert cross_val_score(pipeline, features, target, cv=one_split)[0] > 0.85
    grid = GridSearchCV(pipeline, {"automlclassifier__seed": [3]}, cv=one_split, refit=False).fit(features, target)
    assert grid.cv_results_["mean_test_score"][0] > 0.85


@pytest.mark.parametrize("kind", ["str", "object", "string", "category"])
def test_rows_without_a_class_are_left_out_by_the_run(kind):
    """Missing classes were scikit-learn's TypeErrors."""
    target = pd.Series(["a", None, "b"] * 30).astype(kind)
    assert AutoMLClassifier()._checked_target(target) is target
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        AutoMLClassifier()._checked_target(pd.Series([0.5, None, 0.7]))


def test_arrays_of_any_kind_are_tables():
    rows = [[1.0, np.nan], [2.0, 3.0]]
    frame = as_frame(rows, "AutoML")
    assert frame.columns.tolist() == ["x0", "x1"]
    for table in (np.array(rows), pa.table({"x0": [1.0, 2.0], "x1": [None, 3.0]})):
        pd.testing.assert_frame_equal(as_frame(table, "AutoML"), frame)
    mixed = as_frame(np.array([[1, "a"], [2, "b"]], dtype=object), "AutoML")
    assert mixed["x0"].dtype == np.int64


def test_names_of_features_stay_theirs():
    table = joined(pd.DataFrame({"target": [1, 2], "weight": [3, 4]}), [0, 1], [1.0, 2.0])
    assert (table.target, table.weight) == ("target_", "weight_")
    assert table.frame.columns.tolist() == ["target", "weight", "target_", "weight_"]


def test_a_column_of_weights_in_the_table_is_not_forgotten():
    """Without `sample_weight` the setting was dropped in silence."""
    model = AutoMLClassifier(**TINY, weight="no such column")
    with pytest.raises(DataError, match="no such column"):
        model.fit(pd.DataFrame({"a": range(9)}), [0, 1, 1] * 3)


def test_every_setting_is_a_parameter():
    assert {setting.key for setting in SETTINGS} - set(NAMES) == {"data", "task"}
    assert set(AutoMLClassifier().get_params()) == {*NAMES, "verbose"}
    assert clone(AutoMLRegressor(seed=3)).get_params()["seed"] == 3
    with pytest.raises(TypeError, match=r"has no parameter 'max_trails'\. Did you mean 'max_trials'"):
        AutoMLClassifier(max_trails=3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda model: model.fit([[1.0], [2.0]]), ConfigError, "requires y to be passed"),
        (lambda model: model.fit([[1.0], [2.0]], [1, 1]), DataError, "has one value only"),
        (lambda model: model.fit([[1.0], [2.0]], [0]), ValueError, "inconsistent numbers of samples"),
        (lambda model: model.fit("t.parquet", [0, 1]), ConfigError, "name the columns"),
        (lambda model: model.fit([[1.0], [2.0]], [0, 1], target="b"), ConfigError, "target='b' is a column of a table"),
        (lambda model: model.fit(pd.DataFrame({"a": [1, 2]})), ConfigError, r"or fit\(table, target=…\)"),
        (lambda model: model.set_params(group=np.arange(999)).fit([[1.0]] * 9, [0, 1, 0] * 3), ConfigError, "…"),
        (lambda model: model.set_params(metric="rmse").fit([[1.0], [2.0]] * 9, [0, 1] * 9), ConfigError, "rmse"),
        (lambda model: model.predict([[1.0]]), NotFittedError, "not fitted"),
    ],
)
def test_a_mistake_is_a_value_error_and_leaves_nothing(call, kind, message):
    before = set(os.listdir("."))
    with pytest.raises(kind, match=message) as caught:
        call(AutoMLClassifier(**TINY))
    assert isinstance(caught.value, ValueError)
    assert set(os.listdir(".")) == before


@pytest.mark.parametrize("model", [AutoMLClassifier(**TINY), AutoMLRegressor(**TINY)], ids=["classifier", "regressor"])
def test_scikit_learns_checks_that_fit_nothing_pass(model):
    checks = {check.func.__name__: check for _, check in estimator_checks_generator(model)}
    for name in WITHOUT_FIT:
        checks[name](model)
