"""Every family's model says in a graph what it says itself, on every task and under every loss."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from stacktune.data.table import BINARY, REGRESSION, Table
from stacktune.errors import ConfigError
from stacktune.export.onnx.catboost import Counts
from stacktune.export.onnx.check import TOLERANCE, opened
from stacktune.export.onnx.encodings import Encoded, with_wrappers
from stacktune.export.onnx.graph import Graph
from stacktune.export.onnx.leader import FORMS
from stacktune.families.losses import ALL_LOSSES, USUAL_LOSSES
from stacktune.families.registry import all_families
from stacktune.objectives import QUANTILE, TWEEDIE
from stacktune.testing.learners import grown, make_job
from stacktune.testing.subject import subject_of
from stacktune.testing.tables import TASKS, make_table

LEVELS = {QUANTILE: "quantile:0.8", TWEEDIE: "tweedie:1.5"}


def with_odd_rows(table: Table) -> np.ndarray:
    """Return the table's features, rows that miss all, and rows of levels never seen, some of them all at once."""
    features = np.vstack([table.features, np.full((1, table.n_features), np.nan, np.float32)])
    unseen = table.features[:20].copy()
    for place, cardinality in enumerate(table.cardinalities):
        unseen[place::3, table.n_numeric + place] = cardinality
        unseen[-1, table.n_numeric + place] = cardinality
    unseen[:2, : table.n_numeric] = [[1e30] * table.n_numeric, [-1e30] * table.n_numeric]
    return np.vstack([features, unseen]).astype(np.float32)


def largest_gap(family: str, job, tmp_path, config=None) -> float:
    """Return how far the graph of a model of few units is off, as a share of what is allowed."""
    learner = grown(subject_of(family), job, config)
    folder = tmp_path / "fold0"
    folder.mkdir()
    learner.save(folder)
    features = with_odd_rows(job.table)
    expected = all_families()[family].load(folder).predict(replace(job.table, features=features, target=None))
    graph = Graph()
    table = Encoded(
        graph.input("features", np.float32, features.shape[1]), job.table.n_numeric, job.table.cardinalities
    )
    answer = with_wrappers(graph, folder, table, partial(FORMS[family], graph, folder))
    graph.output("prediction", answer, np.float64, job.task.n_outputs)
    graph.write(tmp_path / "model.onnx", family, {})
    given = opened(tmp_path / "model.onnx").run(None, {"features": features})[0]
    assert given.shape == expected.shape
    return float((np.abs(given - expected) / (TOLERANCE * (1 + np.abs(expected)))).max())


def test_every_family_has_a_form():
    assert set(FORMS) == set(all_families())


@pytest.mark.parametrize("kind", list(TASKS))
@pytest.mark.parametrize("family", list(all_families()))
def test_a_model_says_the_same_in_a_graph(family, kind, tmp_path):
    assert largest_gap(family, make_job(kind), tmp_path) < 1


@pytest.mark.parametrize("loss", sorted(ALL_LOSSES - {"squared"}))
@pytest.mark.parametrize("family", ["catboost", "extra_trees", "lightgbm", "linear", "mlp", "xgboost"])
def test_a_model_says_the_same_under_another_loss(family, loss, tmp_path):
    task = replace(TASKS[REGRESSION], loss=LEVELS.get(loss, loss))
    assert largest_gap(family, make_job(REGRESSION, task=task), tmp_path) < 1
    assert loss in all_families()[family].losses | USUAL_LOSSES


@pytest.mark.parametrize("family", ["lightgbm", "xgboost", "linear", "extra_trees"])
def test_pairs_of_columns_and_class_weights_go_along(family, tmp_path):
    subject = subject_of(family)
    crossed = {"cross_levels": True, "high_cardinality": "crossed", "cross": True}
    config = {name: crossed.get(name, value) for name, value in subject.default.items()}
    job = make_job(BINARY, task=replace(TASKS[BINARY], class_weights=(1.0, 5.0)))
    assert config != subject.default or family == "extra_trees"
    assert largest_gap(family, job, tmp_path, config) < 1


@pytest.mark.parametrize("architecture", range(4))
def test_layers_of_every_kind_go_along(architecture, tmp_path):
    layers = [
        "dense-16-relu-layer-0(x) glu-8-silu-none-0(x,1)",
        "residual-12-selu-layer-0(x) residual-12-relu-none-0(1)",
        "attention-10-silu-layer-0(x) dense-8-selu-none-0(x,1)",
        "cross-12-relu-none-0(x) cross-9-silu-layer-0(x,1) dense-7-relu-none-0(x)",
    ]
    config = {**subject_of("nas").default, "architecture": layers[architecture]}
    assert largest_gap("nas", make_job(BINARY), tmp_path, config) < 1


@pytest.mark.parametrize(
    "changed",
    [
        {"one_hot_max_size": 50},
        {"max_ctr_complexity": 4, "one_hot_max_size": 2},
        {"max_ctr_complexity": 2, "grow_policy": "Depthwise"},
        {"simple_ctr": ["Buckets", "Counter", "BinarizedTargetMeanValue"], "max_ctr_complexity": 1},
    ],
)
@pytest.mark.parametrize("kind", [BINARY, REGRESSION])
def test_what_catboost_counts_goes_along(changed, kind, tmp_path):
    """Levels one by one, levels of several columns and splits of numbers together, and other counts than the usual."""
    table = make_table(kind)
    wide = Table(table.features[:, [0, 2, 4, 5, 6]].copy(), tuple("abcde"), table.cardinalities, table.target)
    config = {**subject_of("catboost").default, **changed}
    assert largest_gap("catboost", make_job(kind, wide), tmp_path, config) < 1


def test_what_catboost_counts_in_another_way_is_refused():
    document = {
        "features_info": {"ctrs": [{"ctr_type": "New", "identifier": "x", "elements": []}]},
        "ctr_data": {"x": {}},
    }
    with pytest.raises(ConfigError, match="CatBoost counts levels by New"):
        Counts(Graph(), document, Encoded("features", 0, ()), [])
