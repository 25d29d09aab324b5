"""Classes that weigh more while models learn: probabilities are those of the table as it is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from in_process import auc, fit

from stacktune.data.dataset import load_dataset
from stacktune.data.table import BINARY, Table, Task
from stacktune.errors import ConfigError, DataError
from stacktune.families._class_weights import CLASS_WEIGHTS_FILE, ClassWeights
from stacktune.families.base import Job
from stacktune.families.registry import all_families, get_family
from stacktune.metrics import METRICS, get_metric
from stacktune.runs.posed import check_models, holding, posed_task
from stacktune.search.space import load_space
from stacktune.settings.read import load_settings
from stacktune.trials.result import load_oof


def rare(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """A table of which one row in ten is bad."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    bad = rng.random(n) < 1 / (1 + np.exp(3.1 - 2 * x[:, 0] - x[:, 1]))
    town = rng.choice(["north", "south", "west"], n)
    return pd.DataFrame(x, columns=list("abc")).assign(town=town, y=np.where(bad, "bad", "ok"))


def test_odds_are_divided_by_what_the_classes_weighed():
    """A class of weight w is learnt with w times the odds, which is the only thing that is put right."""
    true = np.array([[0.9, 0.1], [0.5, 0.5], [0.999, 0.001], [1.0, 0.0]])
    weights = ClassWeights(np.array([2.0, 30.0]))
    learnt = true * weights.factors
    assert weights.corrected(learnt / learnt.sum(axis=1, keepdims=True)) == pytest.approx(true)
    three = np.array([[0.2, 0.3, 0.5]])
    of_three = ClassWeights(np.array([1.0, 4.0, 0.5]))
    learnt = three * of_three.factors
    assert of_three.corrected(learnt / learnt.sum()) == pytest.approx(three)


def test_the_mean_prediction_becomes_the_share_of_each_class():
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet([1, 2, 3], 500)
    shares = np.array([0.7, 0.25, 0.05])
    found = ClassWeights(np.array([1.0, 4.0, 9.0])).matched(prediction, None, shares)
    assert found.corrected(prediction).mean(axis=0) == pytest.approx(shares, rel=2e-3)
    order = np.argsort(prediction[:, 2] / prediction[:, 0])
    odds = found.corrected(prediction)[:, 2] / found.corrected(prediction)[:, 0]
    assert (np.argsort(odds) == order).all(), "rows keep their order"
    assert ClassWeights(np.ones(2)).matched(np.empty((0, 2)), None, np.array([0.5, 0.5])).factors.tolist() == [1, 1]


def test_a_row_weighs_what_it_did_times_its_class():
    table = Table(np.zeros((4, 1), np.float32), ("x",), target=np.array([0, 1, 1, 0], np.int32))
    weight = ClassWeights(np.array([1.0, 3.0])).weighed(table).weight
    assert weight.tolist() == pytest.approx([0.5, 1.5, 1.5, 0.5])
    table = Table(table.features, table.names, target=table.target, weight=np.array([2, 1, 1, 2], np.float32))
    assert ClassWeights(np.array([1.0, 2.0])).weighed(table).weight.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("family", sorted(all_families()))
def test_every_family_learns_with_them_and_says_what_is_so(family, tmp_path):
    """The mean probability is the share of the class, where it would be four times as much uncorrected."""
    frame, answers = rare(), {}
    for name, weights in (("plain", ()), ("weighed", ("bad=10",))):
        (tmp_path / name).mkdir()
        fitted = fit(frame, "y", tmp_path / name, (family,), n_folds=2, positive="bad", class_weights=weights)
        oof = load_oof(fitted.results[0])[:, 1]
        truth = fitted.dataset.table.target
        assert oof.mean() == pytest.approx(truth.mean(), abs=0.035)
        assert auc(truth, oof) > 0.75
        loaded = fitted.leader.load(tmp_path / name / "leader").predict(frame)["bad"]
        assert loaded.to_numpy() == pytest.approx(fitted.leader.predict(frame)["bad"].to_numpy(), abs=1e-6)
        assert loaded.mean() == pytest.approx(truth.mean(), abs=0.035)
        answers[name] = oof
    assert np.abs(answers["plain"] - answers["weighed"]).max() > 0.01, "the weights change what is learnt"


def test_a_learner_without_them_is_the_familys_own(tmp_path):
    dataset, _ = load_dataset(load_settings({"data": "demo"}))
    job = Job(dataset.table, dataset.task, np.arange(300), np.arange(300, 500), "fold0")
    learner = get_family("linear").start(job, load_space("linear").portfolio[0])
    learner.advance(1)
    learner.save(tmp_path)
    assert not (tmp_path / CLASS_WEIGHTS_FILE).exists()


def test_a_file_of_weights_that_are_none_is_refused(tmp_path):
    np.savez(tmp_path / CLASS_WEIGHTS_FILE, **{"class_weights.factors": np.array([1.0, 0.0])})
    dataset, _ = load_dataset(load_settings({"data": "demo"}))
    task = Task(BINARY, dataset.task.classes, class_weights=(1.0, 2.0))
    job = Job(dataset.table, task, np.arange(300), np.arange(300, 500), "fold0")
    learner = get_family("linear").start(job, load_space("linear").portfolio[0])
    learner.advance(1)
    (tmp_path / "whole").mkdir()
    learner.save(tmp_path / "whole")
    (tmp_path / CLASS_WEIGHTS_FILE).rename(tmp_path / "whole" / CLASS_WEIGHTS_FILE)
    with pytest.raises(DataError, match="a class weighs nothing"):
        get_family("linear").load(tmp_path / "whole")


def test_balanced_classes_weigh_the_same_together_and_it_is_said(tmp_path):
    rare().to_parquet(tmp_path / "t.parquet")
    config = load_settings({"data": str(tmp_path / "t.parquet"), "target": "y", "balance": True})
    dataset, _ = load_dataset(config)
    task = posed_task(config, dataset, get_metric(None, BINARY))
    sizes = np.bincount(dataset.table.target)
    assert sizes * task.class_weights == pytest.approx([len(dataset.table.target) / 2] * 2)
    assert holding(["linear"], task)[1][0].startswith("models learn with class weights (ok 0.5")


def test_a_class_is_known_however_it_is_spelled(tmp_path):
    frame = rare()
    frame.assign(y=(frame["y"] == "bad").astype(float)).to_parquet(tmp_path / "t.parquet")
    for given in ("1=10", {1: 10}, {1.0: 10}, ["1.0=10"]):
        config = load_settings({"data": str(tmp_path / "t.parquet"), "target": "y", "class_weights": given})
        assert posed_task(config, load_dataset(config)[0], METRICS["log_loss"]).class_weights == (1.0, 10.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"class_weights": "bda=10"}, "--class-weights names 'bda', which is no class of the target 'y'"),
        ({"class_weights": "bad=0"}, "--class-weights gives 'bad' 0: a factor must be above 0"),
        ({"class_weights": "bad=2", "target": "a"}, "--class-weights weighs classes, and 'a' is a regression target"),
        ({"balance": True, "target": "a"}, "--balance weighs classes, and 'a' is a regression target"),
        ({"balance": True, "class_weights": "bad=2"}, "--balance and --class-weights bad=2 exclude each other"),
    ],
)
def test_weights_that_make_no_sense_are_refused_by_name(given, message, tmp_path):
    rare().to_parquet(tmp_path / "t.parquet")
    config = load_settings({"data": str(tmp_path / "t.parquet"), "target": "y", **given})
    dataset, _ = load_dataset(config)
    refuse = check_models if "exclude" in message else partial(posed_task, dataset=dataset, metric=METRICS["log_loss"])
    with pytest.raises(ConfigError, match=message):
        refuse(config)
