"""A booster asked part by part says what it says as a whole."""

import lightgbm
import numpy as np
import pytest

from stacktune.data.table import Table
from stacktune.families import lightgbm as family
from stacktune.families._output import Output

KINDS = ("binary", "multiclass", "regression")


def _booster(kind, n_trees):
    random = np.random.default_rng(0)
    features = random.normal(size=(500, 4)).astype(np.float32)
    signal = features[:, 0] + features[:, 1] * features[:, 2]
    target = {"binary": signal > 0, "multiclass": np.digitize(signal, [-0.5, 0.5]), "regression": signal}[kind]
    options = {"objective": family.OBJECTIVES[kind], "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    options |= {"num_class": 3} if kind == "multiclass" else {}
    booster = lightgbm.Booster(options, lightgbm.Dataset(features, np.asarray(target, dtype=float)))
    for _ in range(n_trees):
        booster.update()
    return booster, features


@pytest.mark.parametrize("leaves_at_once", [1, 50, 10_000])
@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_add_up_to_the_whole(kind, leaves_at_once, monkeypatch):
    monkeypatch.setattr(family, "LEAVES_AT_ONCE", leaves_at_once)
    booster, features = _booster(kind, 25)
    output = Output(kind, {"binary": 2, "multiclass": 3, "regression": 1}[kind])
    predictor = family.LightGBMPredictor(booster, output, None, 1)
    table = Table(features, tuple("wxyz"))
    assert predictor.predict(table) == pytest.approx(output.prediction(booster.predict(features)), abs=1e-12)
    assert predictor.predict(table.take(np.arange(3))) == pytest.approx(predictor.predict(table)[:3], abs=1e-12)


@pytest.mark.parametrize("n_rows", [1, 500])
def test_a_booster_without_a_tree_predicts_all_the_same(n_rows):
    booster, features = _booster("regression", 0)
    predictor = family.LightGBMPredictor(booster, Output("regression", 1, mean=2.0), None, 1)
    assert predictor.predict(Table(features[:n_rows], tuple("wxyz"))).tolist() == [[2.0]] * n_rows
