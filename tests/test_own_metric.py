"""A metric of the user's: what it is given, what is refused, and that nothing beside it is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from neighbours import set_traps, sprung
from ray import cloudpickle
from sklearn.metrics import brier_score_loss, fbeta_score, log_loss, roc_auc_score

from stacktune.data.table import BINARY, MULTICLASS, REGRESSION, Task
from stacktune.errors import ConfigError
from stacktune.metrics import WORST, Metric, choose_threshold, get_metric
from stacktune.own_metric import load_function, module_of, own_metric, own_notes
from stacktune.runs.metric import chosen_metric
from stacktune.search.cluster.own_code import carried_by_value
from stacktune.settings.read import load_settings

TWO, THREE = Task(BINARY, ("ok", "fraud"), ("ok", "fraud")), Task(MULTICLASS, ("b", "a", "c"), ("b", "a", "c"))
VALUES = Task(REGRESSION)

HOUSE = """
import csv
import numpy as np
from sklearn.metrics import brier_score_loss, fbeta_score, log_loss, make_scorer, roc_auc_score

def f2(y_true, y_pred, sample_weight=None):
    return fbeta_score(y_true, y_pred, beta=2, sample_weight=sample_weight)

def f2_unweighted(y_true, y_pred):
    return fbeta_score(y_true, y_pred, beta=2)

def brier(y_true, y_prob):
    return brier_score_loss(y_true, y_prob)
brier.greater_is_better, brier.needs_proba = False, True

def entropy(y_true, y_prob):
    return log_loss(y_true, y_prob)
entropy.greater_is_better, entropy.needs_proba = False, True

def share_of_a(y_true, y_pred):
    return np.mean((y_true == "a") == (y_pred == "a"))

def dear(y_true, y_pred):
    gap = y_true - y_pred
    return _mean(np.where(gap > 0, 10 * gap, -gap))
dear.greater_is_better = False

def _mean(values):
    return values.mean()

f2_scorer = make_scorer(fbeta_score, beta=2)
auc_scorer = make_scorer(roc_auc_score, response_method=("decision_function", "predict_proba"))
brier_scorer = make_scorer(brier_score_loss, greater_is_better=False, response_method="predict_proba")

def loss_by_mistake(y_true, y_pred):
    return np.mean(y_true != y_pred)

def by_name(y_true, y_pred):
    return np.mean((y_true == "fraud") & (y_pred == "fraud"))

def raises(y_true, y_pred):
    raise KeyError("amount")

def nothing(y_true, y_pred):
    pass

def nan(y_true, y_pred):
    return float("nan")

def lonely(y_true):
    return 1

def late(y_true, y_pred):
    if len(y_true) < 50:
        raise RuntimeError("too few")
    return np.mean(y_true == y_pred)

rate = 3
"""


@pytest.fixture
def desk(tmp_path) -> Path:
    """A user's folder, with files beside the module that stand in the place of others."""
    set_traps(tmp_path, "csv", "random", "json")
    (tmp_path / "house.py").write_text(HOUSE)
    return tmp_path


def target_of(task: Task) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, task.n_outputs, 300) if task.is_classification else rng.normal(size=300)


def metric_of(name: str, task: Task, desk: Path) -> Metric:
    return own_metric(f"house:{name}", task, target_of(task), [desk])


def noisy(task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A target, predictions of it that are often right, and weights."""
    rng, target = np.random.default_rng(1), target_of(task)
    if not task.is_classification:
        return target, (target + rng.normal(size=300)).reshape(-1, 1), rng.random(300)
    prediction = rng.random((300, task.n_outputs))
    prediction[np.arange(300), target] += 0.5
    return target, prediction / prediction.sum(axis=1, keepdims=True), rng.random(300)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f2", lambda y, p, w: fbeta_score(y, p[:, 1] >= 0.5, beta=2, sample_weight=w)),
        ("f2_unweighted", lambda y, p, w: fbeta_score(y, p[:, 1] >= 0.5, beta=2)),
        ("f2_scorer", lambda y, p, w: fbeta_score(y, p[:, 1] >= 0.5, beta=2, sample_weight=w)),
        ("brier", lambda y, p, w: brier_score_loss(y, p[:, 1])),
        ("brier_scorer", lambda y, p, w: -brier_score_loss(y, p[:, 1], sample_weight=w)),
        ("auc_scorer", lambda y, p, w: roc_auc_score(y, p[:, 1], sample_weight=w)),
    ],
)
def test_of_two_classes_a_function_is_given_one_for_the_positive_class(name, expected, desk):
    target, prediction, weight = noisy(TWO)
    metric = metric_of(name, TWO, desk)
    assert metric.shown(metric.score(target, prediction, weight)) == pytest.approx(expected(target, prediction, weight))
    assert metric.needs_threshold == name.startswith("f2")


def test_of_more_classes_a_function_is_given_those_of_the_target_in_their_sorted_order(desk):
    target, prediction, _ = noisy(THREE)
    labels = np.array(THREE.labels)
    entropy, share = metric_of("entropy", THREE, desk), metric_of("share_of_a", THREE, desk)
    right = log_loss(labels[target], prediction[:, [1, 0, 2]])
    assert entropy.shown(entropy.score(target, prediction)) == pytest.approx(right)
    assert right == pytest.approx(-get_metric("log_loss", MULTICLASS).score(target, prediction))
    decided = prediction.argmax(axis=1)
    assert share.score(target, prediction) == pytest.approx(np.mean((target == 1) == (decided == 1)))


def test_of_values_less_may_be_better(desk):
    target, prediction, _ = noisy(VALUES)
    metric = metric_of("dear", VALUES, desk)
    gap = target - prediction[:, 0]
    assert metric.score(target, prediction) == pytest.approx(-np.where(gap > 0, 10 * gap, -gap).mean())
    assert metric.name == "house.dear"
    assert own_notes(metric, is_weighted=True) == [
        "house:dear is the metric: it is given values, and less is better",
        "house:dear takes no sample_weight, so that all rows weigh the same in its scores",
    ]


@pytest.mark.parametrize("name", ["f2", "f2_unweighted", "f2_scorer"])
def test_the_threshold_is_where_the_function_is_best(name, desk):
    target, prediction, _ = noisy(TWO)
    metric = metric_of(name, TWO, desk)
    best = choose_threshold(metric, target, prediction)
    at = {one: metric.score(target, prediction, None, one) for one in (best, *np.linspace(0.02, 0.98, 49))}
    assert at[best] >= max(at.values()) - 0.01
    assert at[best] > at[0.5] if 0.5 in at else best < 0.5, "recall counts more than precision"


def test_a_process_that_cannot_import_the_module_gets_the_function_whole(desk):
    metric = metric_of("f2", TWO, desk)
    target, prediction, weight = noisy(TWO)
    score = metric.score(target, prediction, weight)
    with carried_by_value(module_of(metric)):
        carried = cloudpickle.dumps(metric)
    del sys.modules["house"]
    assert cloudpickle.loads(carried).score(target, prediction, weight) == score
    assert "house" not in sys.modules
    assert sprung(desk) == []


def test_a_package_finds_its_own_modules_and_its_neighbours_stay_unread(tmp_path):
    set_traps(tmp_path, "random", "json")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "tools.py").write_text("def same(a, b): return (a == b).mean()")
    (tmp_path / "shop" / "scores.py").write_text(
        "import random, json\nfrom shop.tools import same\nfrom . import tools\ndef hits(y, p): return same(y, p)"
    )
    metric = own_metric("shop.scores:hits", TWO, target_of(TWO), [tmp_path])
    target, prediction, _ = noisy(TWO)
    with carried_by_value(module_of(metric)):
        carried = cloudpickle.dumps(metric)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]
    assert cloudpickle.loads(carried).score(target, prediction) == metric.score(target, prediction) > 0.5
    assert metric.name == "scores.hits"
    assert sprung(tmp_path) == []


def test_a_function_that_was_changed_is_another_metric(desk):
    before = load_function("house:f2", [desk])[1]
    assert load_function("house:brier", [desk])[1] == before
    (desk / "house.py").write_text(HOUSE.replace("beta=2", "beta=3"))
    function, after = load_function("house:f2", [desk])
    assert after != before
    assert function([1, 0, 1], [1, 1, 0]) == pytest.approx(fbeta_score([1, 0, 1], [1, 1, 0], beta=3))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hose:f2", r"there is no module 'hose' in .*Did you mean 'house'"),
        ("house:f3", r"'f3' is not there in house\. Valid names: brier, by_name, dear,"),
        ("house:rate", "'rate' is no function in house"),
        ("house:", "must name a module and a function"),
        (":f2", "must name a module and a function"),
        ("house.inner:f2", "cannot be imported: ModuleNotFoundError"),
        ("random:f2", r"random.py' has the name of a module of Python or of a library"),
        ("house:raises", "raises on made-up predictions: KeyError: 'amount'"),
        ("house:nothing", "raises on made-up predictions: TypeError"),
        ("house:nan", "returns nan for made-up predictions: it must return a number"),
        ("house:lonely", "must take y_true and y_pred"),
        ("house:loss_by_mistake", r"is 0 for predictions that are right and 1 for .* set greater_is_better = False"),
        ("house:by_name", r"is 0 for predictions that are right and 0 .* It is given 1 for 'fraud' and 0 for 'ok'"),
        ("broken:f", "cannot be imported: SyntaxError"),
        ("script:f", "cannot be imported: SystemExit: 2"),
        ("sibling:f", "cannot be imported: ModuleNotFoundError: No module named 'house'"),
    ],
)
def test_what_is_no_metric_is_refused_in_one_line(name, message, desk):
    (desk / "broken.py").write_text("def f(:")
    (desk / "script.py").write_text("import sys\nsys.exit(2)")
    (desk / "sibling.py").write_text("import house\nf = house.f2")
    with pytest.raises(ConfigError, match=message) as refused:
        own_metric(name, TWO, target_of(TWO), [desk])
    assert "\n" not in str(refused.value)
    assert sprung(desk) == []
    assert not {"broken", "script", "sibling"} & set(sys.modules)


def test_rows_on_which_a_function_raises_later_have_no_score(desk, caplog):
    metric = metric_of("late", TWO, desk)
    target, prediction, _ = noisy(TWO)
    assert metric.score(target, prediction) > 0.5
    assert metric.score(target[:40], prediction[:40]) == WORST
    assert "house:late: RuntimeError: too few, on 40 rows" in caplog.text


@pytest.mark.parametrize("name", ["f2", "brier"])
def test_a_run_is_judged_by_it(name, desk, monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.normal(size=500)
    chosen = np.where(x + rng.normal(size=500) > 1, "fraud", "ok")
    frame = pd.DataFrame({"x": x, "z": rng.normal(size=500), "y": chosen})
    monkeypatch.chdir(desk)
    families = ("linear",) if name == "f2" else ("linear", "lightgbm")
    fitted = fit(frame, "y", desk, families, metric=f"house:{name}", test_size=0.2)
    board = fitted.board.to_frame()
    assert name == "f2" or board["score"][0] == board["score"].min(), "less is better"
    leader = fitted.leader
    assert leader.metric_name == f"house.{name}"
    assert (leader.threshold < 0.45) if name == "f2" else (leader.threshold == 0.5)
    truth, shown = fitted.test.target, leader.predict_table(fitted.test)
    decided = shown[:, 1] >= leader.threshold
    expected = fbeta_score(truth, decided, beta=2) if name == "f2" else brier_score_loss(truth, shown[:, 1])
    assert board["test_score"][0] == pytest.approx(expected)


def net_gain(y_true, y_pred):
    return 50 * np.mean((y_true == 1) & (y_pred == 1)) - np.mean((y_true == 0) & (y_pred == 1))


def same_as(y_true, y_pred):
    return np.mean(y_true == y_pred)


def test_a_function_that_a_program_hands_over_is_the_metric():
    """Also one without a name, as in a notebook."""
    table = {"data": "t.parquet", "target": "y", "max_trials": 5}
    target = np.arange(60) % 2
    sure = np.column_stack([1 - target, target]).astype(float)
    metrics = []
    for function, shown in (
        (net_gain, "test_own_metric.net_gain"),
        (same_as, "test_own_metric.same_as"),
        (lambda y, p: np.mean(y == p), ".lambda"),
    ):
        metric = chosen_metric(load_settings({**table, "metric": function}), TWO, target)
        assert metric.name.endswith(shown)
        carried = cloudpickle.loads(cloudpickle.dumps(metric))
        assert carried.score(target, sure) == metric.score(target, sure) > metric.score(target, sure[::-1])
        metrics.append(metric)
    assert len({metric.version for metric in metrics}) == 3
