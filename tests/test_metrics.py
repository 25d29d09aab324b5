"""Our metrics equal scikit-learn's, weights and ties included, and never raise."""

import pickle

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.errors import ConfigError
from stacktune.metrics import (
    METRICS,
    WORST,
    check_domain,
    choose_threshold,
    decide,
    get_metric,
    metrics_for,
    threshold_counts,
)


def _sample(seed, n, k, n_levels, weighted):
    """Draw (target, prediction, weight) in which every class occurs and scores tie on `n_levels` levels."""
    random = np.random.default_rng(seed)
    target = np.concatenate((np.arange(k), random.integers(k, size=n - k))).astype(np.int32)
    raw = random.integers(1, n_levels + 1, size=(n, k)) / n_levels
    raw[np.arange(n), target] += 0.3 * random.random()
    weight = random.integers(1, 5, size=n).astype(np.float32) if weighted else None
    return target, raw / raw.sum(axis=1, keepdims=True), weight


samples = st.tuples(
    st.integers(0, 10_000),
    st.integers(12, 60),
    st.sampled_from([2, 3, 4]),
    st.sampled_from([2, 5, 10**6]),
    st.booleans(),
)
TWO_CLASSES = {
    "roc_auc": lambda y, p, w: reference.roc_auc_score(y, p[:, 1], sample_weight=w),
    "average_precision": lambda y, p, w: reference.average_precision_score(y, p[:, 1], sample_weight=w),
    "f1": lambda y, p, w: reference.f1_score(y, p[:, 1] >= 0.5, sample_weight=w, zero_division=0),
}
MANY_CLASSES = {
    "roc_auc": lambda y, p, w: np.mean(
        [reference.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in range(p.shape[1])]
    ),
    "average_precision": lambda y, p, w: np.mean(
        [reference.average_precision_score(y == c, p[:, c], sample_weight=w) for c in range(p.shape[1])]
    ),
    "f1": lambda y, p, w: reference.f1_score(y, p.argmax(1), average="macro", sample_weight=w, zero_division=0),
}
ANY_CLASSES = {
    "log_loss": lambda y, p, w: reference.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])),
    "accuracy": lambda y, p, w: reference.accuracy_score(y, decide(p), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: reference.balanced_accuracy_score(y, decide(p), sample_weight=w),
    "mcc": lambda y, p, w: reference.matthews_corrcoef(y, decide(p), sample_weight=w),
}
VALUES = {
    "rmse": lambda y, p, w: reference.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: reference.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: reference.r2_score(y, p, sample_weight=w),
    "rmsle": lambda y, p, w: reference.root_mean_squared_log_error(y, p, sample_weight=w),
    "mape": lambda y, p, w: reference.mean_absolute_percentage_error(y, p, sample_weight=w),
}


@given(samples)
@settings(max_examples=150, deadline=None)
def test_classification_metrics_equal_scikit_learns(drawn):
    target, prediction, weight = _sample(*drawn)
    rank_and_f1 = TWO_CLASSES if prediction.shape[1] == 2 else MANY_CLASSES
    for name, expected in (rank_and_f1 | ANY_CLASSES).items():
        metric = METRICS[name]
        shown = metric.shown(metric.score(target, prediction, weight))
        assert shown == pytest.approx(expected(target, prediction, weight), abs=1e-9), name


@given(st.integers(0, 10_000), st.integers(3, 60), st.booleans())
@settings(max_examples=50, deadline=None)
def test_regression_metrics_equal_scikit_learns(seed, n, weighted):
    random = np.random.default_rng(seed)
    target, values = random.exponential(10, size=n), random.exponential(10, size=n)
    weight = random.integers(1, 5, size=n).astype(np.float32) if weighted else None
    for name, expected in VALUES.items():
        metric = METRICS[name]
        shown = metric.shown(metric.score(target, values[:, None], weight))
        assert shown == pytest.approx(expected(target, values, weight), rel=1e-7), name


def test_every_metric_of_the_issue_is_there():
    spelled = "roc_auc average_precision f1 log_loss accuracy balanced_accuracy mcc rmse mae r2 rmsle mape"
    assert set(METRICS) == set(spelled.split())
    assert set(METRICS) == TWO_CLASSES.keys() | ANY_CLASSES.keys() | VALUES.keys()


@pytest.mark.parametrize("name", METRICS)
def test_it_travels_between_processes(name):
    assert pickle.loads(pickle.dumps(METRICS[name])) == METRICS[name]


@pytest.mark.parametrize("name", METRICS)
def test_a_better_prediction_scores_higher(name):
    metric = METRICS[name]
    if "regression" in metric.tasks:
        target = np.array([1.0, 2.0, 3.0, 4.0])
        good, bad = target[:, None] + 0.1, target[::-1, None]
    else:
        target = np.array([0, 0, 1, 1])
        good = np.where(target[:, None] == np.arange(2), 0.9, 0.1)
        bad = good[::-1]
    assert metric.score(target, good) > metric.score(target, bad)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_single_precision_and_column_order_change_no_score(dtype):
    target, prediction, _ = _sample(3, 500, 2, 20, False)
    for metric in metrics_for("binary"):
        turned = np.asfortranarray(prediction.astype(dtype))
        assert metric.score(target, turned) == pytest.approx(metric.score(target, prediction), abs=1e-6), metric.name


def test_negative_scores_are_ranked_too():
    target = np.array([0, 1, 0, 1])
    prediction = np.array([[0.0, -3.0], [0.0, -1.0], [0.0, -2.0], [0.0, 5.0]])
    assert METRICS["roc_auc"].score(target, prediction) == 1.0
    assert METRICS["roc_auc"].score(target, -prediction) == 0.0


def test_signed_zeros_tie():
    target, zeros = np.array([0, 1]), np.array([[1.0, 0.0], [1.0, -0.0]])
    assert METRICS["roc_auc"].score(target, zeros) == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", METRICS)
def test_predictions_that_are_not_finite_are_worst(name, bad):
    regression = "regression" in METRICS[name].tasks
    target = np.array([0.0, 1.0]) if regression else np.array([0, 1])
    prediction = np.full((2, 1 if regression else 2), bad)
    assert METRICS[name].score(target, prediction) == WORST
    assert np.isnan(METRICS[name].shown(WORST))


@pytest.mark.parametrize("name", [metric.name for metric in metrics_for("binary")])
@pytest.mark.parametrize("target", [np.zeros(3, int), np.ones(3, int), np.zeros(0, int)])
def test_a_class_that_is_missing_gives_a_finite_score(name, target):
    score = METRICS[name].score(target, np.full((len(target), 2), 0.5))
    assert np.isfinite(score)
    undefined = len(target) == 0 or name == "roc_auc" or (name == "average_precision" and not target.any())
    assert (score == WORST) == undefined


def test_a_missing_class_of_many_is_left_out_of_the_mean():
    target, prediction, _ = _sample(1, 60, 3, 1000, False)
    seen = target < 2
    expected = np.mean([reference.roc_auc_score(target[seen] == c, prediction[seen, c]) for c in (0, 1)])
    assert METRICS["roc_auc"].score(target[seen], prediction[seen]) == pytest.approx(expected)


def test_overflow_is_worst_and_its_sums_stay_finite():
    assert METRICS["rmse"].score(np.zeros(2), np.full((2, 1), 1e200)) == WORST
    assert np.isfinite(np.std([WORST, 0.0, WORST], ddof=1))


def test_rmsle_counts_negative_predictions_as_zero_and_is_undefined_at_minus_one():
    rmsle = METRICS["rmsle"]
    assert rmsle.score(np.zeros(2), np.array([[-1.0], [0.0]])) == 0
    assert rmsle.score(np.array([-1.0, 1.0]), np.zeros((2, 1))) == WORST


@given(st.integers(0, 10_000), st.integers(3, 60), st.booleans())
def test_rmsle_of_targets_between_minus_one_and_zero_equals_scikit_learns(seed, n, weighted):
    """Its logarithm is defined there, and every score was NaN."""
    random = np.random.default_rng(seed)
    target = random.uniform(-0.99, 2, n)
    values = np.maximum(random.uniform(-0.99, 2, n), min(0, target.min()))
    weight = random.integers(1, 5, size=n).astype(np.float32) if weighted else None
    shown = METRICS["rmsle"].shown(METRICS["rmsle"].score(target, values[:, None], weight))
    assert shown == pytest.approx(VALUES["rmsle"](target, values, weight), rel=1e-7)


@pytest.mark.parametrize(
    ("name", "target", "classes", "message"),
    [
        (
            "roc_auc",
            [1, 1, 1],
            "no yes",
            "roc_auc needs rows of two classes, but all 3 are of class yes, of the rows\\.",
        ),
        ("roc_auc", [2, 2], "a b c", "all 2 are of class c, .* Choose average_precision, f1, "),
        ("average_precision", [0, 0], "no yes", "needs rows of class yes, but all 2 are of class no"),
        (
            "rmsle",
            [-2.5, -1, 3],
            "",
            "needs targets above -1, but 2 of 3 are not, down to -2.5, .* Choose rmse, mae, r2 or",
        ),
        (
            "mape",
            [0.0, 5, 1e-300],
            "",
            "divides by the target, but 1 of 3 is zero, .* Choose rmse, mae, r2 or rmsle\\.",
        ),
    ],
)
def test_what_a_metric_is_undefined_for_is_refused(name, target, classes, message):
    with pytest.raises(ConfigError, match=message):
        check_domain(METRICS[name], np.array(target), tuple(classes.split()), "the rows")


@given(
    st.sampled_from(sorted(METRICS)),
    st.integers(2, 3),
    st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 1e-3, 1.0, 2.0]), min_size=1, max_size=8),
)
def test_a_metric_has_a_problem_exactly_where_its_score_is_undefined(name, n_classes, drawn):
    metric = METRICS[name]
    is_regression = "regression" in metric.tasks
    target = np.array(drawn) if is_regression else (np.abs(drawn) * 10).astype(int) % n_classes
    classes = () if is_regression else tuple("abc"[:n_classes])
    prediction = np.full((len(target), 1 if is_regression else n_classes), 0.25)
    assert (metric.problem(target, classes) is not None) == (metric.score(target, prediction) == WORST)


def test_defaults_and_refusals():
    assert [get_metric(None, kind).name for kind in ("binary", "multiclass", "regression")] == [
        "roc_auc",
        "log_loss",
        "rmse",
    ]
    with pytest.raises(ConfigError, match=r"no metric 'roc_acu'\. Did you mean 'roc_auc'"):
        get_metric("roc_acu", "binary")
    with pytest.raises(ConfigError, match=r"'rmse' does not suit a binary task\. Metrics that do: roc_auc"):
        get_metric("rmse", "binary")


@given(st.integers(0, 10_000), st.integers(4, 80), st.sampled_from([3, 10**6]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_chosen_threshold_is_the_best_of_all_on_few_rows(seed, n, n_levels, weighted):
    target, prediction, weight = _sample(seed, n, 2, n_levels, weighted)
    tried = np.append(np.unique(prediction[:, 1]), 1.1)
    for metric in metrics_for("binary"):
        if metric.needs_threshold:
            best = max(metric.score(target, prediction, weight, threshold) for threshold in tried)
            chosen = choose_threshold(metric, target, prediction, weight)
            assert metric.score(target, prediction, weight, chosen) == pytest.approx(best), metric.name


def test_the_threshold_of_a_rare_event_is_found():
    random = np.random.default_rng(0)
    target = (random.random(200_000) < 0.001).astype(int)
    rare = np.exp(random.normal(-9 + 4 * target, 1))
    prediction = np.column_stack((1 - rare, rare)).clip(0, 1)
    f1 = METRICS["f1"]
    threshold = choose_threshold(f1, target, prediction)
    precision, recall, _ = reference.precision_recall_curve(target, prediction[:, 1])
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert f1.score(target, prediction, None, threshold) > 0.99 * best
    assert f1.score(target, prediction) < 0.5 * best
    assert len(threshold_counts(target, prediction)[0]) < 1_100


def test_no_threshold_is_chosen_where_none_is_called_for():
    target, prediction, _ = _sample(0, 50, 3, 100, False)
    assert choose_threshold(METRICS["f1"], target, prediction) == 0.5
    assert choose_threshold(METRICS["roc_auc"], target % 2, prediction[:, :2]) == 0.5
    assert choose_threshold(METRICS["f1"], np.array([0, 1]), np.full((2, 2), np.nan)) == 0.5


def test_undecided_rows_go_to_the_second_class_and_ties_to_the_threshold_nearest_a_half():
    assert decide(np.array([[0.5, 0.5], [0.6, 0.4]])).tolist() == [1, 0]
    assert decide(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]
    target, prediction = np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]])
    assert choose_threshold(METRICS["accuracy"], target, prediction) == pytest.approx(0.35)


OF_LEVELS = {
    "pinball:0.9": lambda y, p, w: reference.mean_pinball_loss(y, p, sample_weight=w, alpha=0.9),
    "poisson_deviance": lambda y, p, w: reference.mean_poisson_deviance(y, p, sample_weight=w),
    "tweedie_deviance:1.5": lambda y, p, w: reference.mean_tweedie_deviance(y, p, sample_weight=w, power=1.5),
}


@pytest.mark.parametrize("name", OF_LEVELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_losses_equal_scikit_learns_and_are_a_column_only_where_chosen(name, weighted):
    random = np.random.default_rng(3)
    target, values = random.poisson(2, size=80).astype(float), random.exponential(2, size=80)
    weight = random.integers(1, 5, size=80).astype(np.float32) if weighted else None
    metric = get_metric(name, "regression")
    shown = metric.shown(metric.score(target, values[:, None], weight))
    assert shown == pytest.approx(OF_LEVELS[name](target, values, weight))
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert metric in metrics_for("regression", metric)
    assert metric not in metrics_for("regression")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pinball", "needs a quantile above 0 and below 1, which is missing: e.g. --metric pinball:0.9"),
        ("pinball:1", "above 0 and below 1, not '1'"),
        ("tweedie_deviance:2", "needs a power above 1 and below 2, not '2'"),
        ("pinbal:0.9", "Did you mean 'pinball'"),
        ("poisson_deviance:1", "there is no metric"),
    ],
)
def test_a_level_out_of_bounds_is_refused(name, said):
    with pytest.raises(ConfigError, match=said):
        get_metric(name, "regression")


def test_a_deviance_of_targets_below_zero_is_undefined_and_refused():
    metric = get_metric("poisson_deviance", "regression")
    assert metric.score(np.array([1.0, -1.0]), np.ones((2, 1))) == WORST
    with pytest.raises(ConfigError, match="needs targets of at least 0, but 1 of 2 is below, down to -1"):
        check_domain(metric, np.array([1.0, -1.0]), (), "the rows")
    with pytest.raises(ConfigError, match="needs a target above 0, but all 2 are zero"):
        check_domain(metric, np.zeros(2), (), "the rows")
