"""What decisions cost: the metric, the threshold that follows, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from in_process import fit

from stacktune.costs import cost_metric
from stacktune.data.table import BINARY, Task
from stacktune.errors import ConfigError
from stacktune.metrics import METRICS, choose_threshold, metrics_for
from stacktune.runs.metric import chosen_metric
from stacktune.settings.read import load_settings, to_yaml


def chances(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities of two classes, and a target drawn from them."""
    rng = np.random.default_rng(seed)
    positive = rng.beta(1, 4, n)
    return (rng.random(n) < positive).astype(np.int64), np.column_stack([1 - positive, positive])


@pytest.mark.parametrize(("fn", "fp"), [(10.0, 1.0), (1.0, 1.0), (1.0, 4.0)])
def test_the_threshold_is_where_calibrated_probabilities_cost_least(fn, fp):
    """It is fp / (fn + fp) by theory (Elkan 2001), which F1's threshold has nothing to do with."""
    target, prediction = chances(40_000)
    threshold = choose_threshold(cost_metric({"fn": fn, "fp": fp}, BINARY), target, prediction)
    assert threshold == pytest.approx(fp / (fn + fp), abs=0.06)


def test_the_cost_is_the_mean_of_the_outcomes_own():
    metric = cost_metric({"fn": 10.0, "fp": 1.0, "tp": -2.0}, BINARY)
    target, right = np.array([1, 1, 0, 0, 1]), np.array([0.9, 0.2, 0.7, 0.1, 0.8])
    prediction = np.column_stack([1 - right, right])
    assert metric.shown(metric.score(target, prediction)) == pytest.approx((-2 + 10 + 1 + 0 - 2) / 5)
    weight = np.array([1, 0.5, 1, 1, 1])
    assert metric.shown(metric.score(target, prediction, weight)) == pytest.approx((-2 + 5 + 1 - 2) / 4.5)


def test_a_threshold_for_costs_stands_beside_a_metric_that_ranks():
    config = load_settings({"data": "t", "target": "y", "metric": "roc_auc", "cost": "fn=10,fp=1"})
    metric = chosen_metric(config, Task(BINARY, ("no", "yes")), np.arange(2))
    assert (metric.name, metric.decides.name) == ("roc_auc", "cost")
    assert [one.name for one in metrics_for(BINARY, metric)] == [*(m.name for m in metrics_for(BINARY)), "cost"]
    assert not METRICS["roc_auc"].threshold_by


def test_costs_come_back_from_the_file_that_a_run_writes(tmp_path):
    for given in ("fn=10,fp=0.1", {"fn": 10, "fp": 0.1}, ["fn=10", "fp=0.1"]):
        settings = load_settings({"data": "t", "target": "y", "cost": given})
        assert settings.cost == ("fn=10", "fp=0.1")
    (tmp_path / "config.yaml").write_text(to_yaml(settings))
    assert load_settings({}, str(tmp_path / "config.yaml")) == settings


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"cost": "fn=10,fb=1"}, BINARY, "'fb', which is no outcome of a decision. Valid names: fn, fp"),
        ({"cost": "fn=10"}, BINARY, "fp=0 and tn=0, but a wrong decision must cost more"),
        ({"cost": "fn=10,fp=1"}, "multiclass", "this is a multiclass task"),
        ({"cost": "fn=10,fp=1"}, "regression", "this is a regression task"),
        ({"cost": "fn=10,fp=1", "metric": "f1"}, BINARY, "--metric f1 chooses a threshold of its own"),
        ({"metric": "cost"}, BINARY, "--metric cost needs to know what decisions cost"),
    ],
)
def test_costs_that_say_nothing_are_refused_by_name(given, kind, message):
    config = load_settings({"data": "t", "target": "y"} | given)
    with pytest.raises(ConfigError, match=message):
        chosen_metric(config, Task(kind, ("a", "b", "c")[: 2 if kind == BINARY else 3]), np.arange(3))


@pytest.mark.parametrize("given", ["fn", "fn=", "fn=ten", "=3", "fn=1,fn=2", "fn=inf", "", ["fn=1", 3], 7])
def test_costs_that_are_none_are_refused_with_the_rule(given):
    with pytest.raises(ConfigError, match="--cost must be names with a number each, as in fn=10,fp=1"):
        load_settings({"data": "t", "target": "y", "cost": given})


def test_a_leader_decides_where_costs_are_least_and_the_leaderboard_says_them(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    frame = pd.DataFrame({"x": x, "z": rng.normal(size=600), "y": np.where(x + rng.normal(size=600) > 1, "bad", "ok")})
    for name, more in (("cost", {}), ("auc", {"metric": "roc_auc"})):
        (tmp_path / name).mkdir()
        fitted = fit(frame, "y", tmp_path / name, ("linear",), cost=("fn=10", "fp=1"), positive="bad", **more)
        assert 0.02 < fitted.leader.threshold < 0.3, "about 1/11, and not the 0.5 of roc_auc"
        board = fitted.board.to_frame()
        cost = board["score" if name == "cost" else "cost"][0]
        decided = (fitted.leader.predict(frame)["prediction"] == "bad").to_numpy()
        bad = (frame["y"] == "bad").to_numpy()
        assert cost == pytest.approx((10 * (bad & ~decided) + (~bad & decided)).mean(), rel=0.35)
