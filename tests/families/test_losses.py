"""Scales, weights and notes of the losses that metrics ask for."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacktune.data.table import REGRESSION, Table, Task
from stacktune.families._output import Output, weight_of
from stacktune.families.base import Job
from stacktune.families.losses import inverse_size, scaled, unit_of, unscaled, weighted_median
from stacktune.families.registry import all_families, loss_notes
from stacktune.metrics import METRICS
from stacktune.objectives import ABSOLUTE, PERCENTAGE, SQUARED, SQUARED_LOG

VALUES = st.lists(st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6), min_size=2, max_size=30)


@pytest.mark.parametrize(
    ("metric", "loss"), [("mae", ABSOLUTE), ("mape", PERCENTAGE), ("rmsle", SQUARED_LOG), ("rmse", SQUARED)]
)
def test_a_metric_names_the_loss_under_which_it_is_best(metric, loss):
    assert METRICS[metric].loss == loss
    assert METRICS["r2"].loss == SQUARED


@given(VALUES, st.sampled_from([SQUARED, ABSOLUTE, PERCENTAGE, SQUARED_LOG]))
def test_scales_are_turned_back_and_keep_the_order(values, loss):
    values = np.sort(np.array(values))
    if loss == SQUARED_LOG:
        values = np.abs(values)
        values.sort()
    unit = unit_of(values, loss)
    assert unit > 0
    on_scale = scaled(values, loss, unit)
    assert (np.diff(on_scale) >= 0).all()
    np.testing.assert_allclose(unscaled(on_scale, loss, unit), values, rtol=1e-9, atol=1e-9)


@given(VALUES, st.sampled_from([SQUARED, ABSOLUTE, PERCENTAGE, SQUARED_LOG]))
def test_labels_are_turned_back_to_targets_also_when_read_again(tmp_path_factory, values, loss):
    target = np.abs(np.array(values)) if loss == SQUARED_LOG else np.array(values)
    folder = tmp_path_factory.mktemp("output")
    Output.of(Task(REGRESSION, loss=loss), target, None).save(folder)
    json.loads((folder / "output.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    output = Output.load(folder)
    back = output.prediction(output.label(target))[:, 0]
    on_scale = scaled(target, loss, output.unit)
    np.testing.assert_allclose(scaled(back, loss, output.unit), on_scale, rtol=1e-5, atol=1e-5 * output.spread)


def test_the_centre_of_absolute_errors_is_the_weighted_median():
    target, weight = np.array([0.0, 1.0, 2.0, 1e9]), np.array([1.0, 1.0, 3.0, 1.0])
    assert Output.of(Task(REGRESSION, loss=ABSOLUTE), target, weight).mean == 2.0
    assert weighted_median(target, None) == 1.5


def test_a_prediction_on_a_scale_of_logarithms_stays_near_the_range_of_training():
    output = Output.of(Task(REGRESSION, loss=SQUARED_LOG), np.array([1.0, 10.0, 100.0]), None)
    said = output.prediction(np.array([-1e9, 0.0, 1e9]))[:, 0]
    assert np.isfinite(said).all()
    assert said[0] > -1
    assert 100 < said[2] < 1000


def test_weights_make_errors_shares_of_the_target_and_zero_weighs_no_more_than_a_hundred_medians():
    target = np.array([0.0, 0.5, 1.0, 1.0, 4.0, -2.0])
    rows = np.arange(6)
    table = Table(np.zeros((6, 1), np.float32), ("a",), target=target)
    job = Job(table, Task(REGRESSION, loss=PERCENTAGE), rows, rows[:0], "all")
    weight = weight_of(job)
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_allclose(weight / weight[2], [100, 2, 1, 1, 0.25, 0.5], rtol=1e-5)
    given_too = replace(job, table=replace(table, weight=np.array([1, 1, 1, 3, 1, 1], np.float32)))
    assert weight_of(given_too)[3] == pytest.approx(3 * weight_of(given_too)[2])
    assert weight_of(replace(job, task=Task(REGRESSION))) is None


def test_squares_under_inverse_sizes_are_sizes():
    gap = np.array([-3.0, 0.5, 0.0, 1e-9])
    np.testing.assert_allclose(gap**2 * inverse_size(gap, 1e-6), np.abs(gap), atol=1e-6)


def test_a_note_says_what_is_fitted_and_who_cannot():
    names, target = sorted(all_families()), np.array([0.0, 1.0, 2.0])
    assert loss_notes(METRICS["rmse"], names, target) == []
    assert loss_notes(METRICS["roc_auc"], names, target) == []
    assert "absolute errors" in loss_notes(METRICS["mae"], names, target)[0]
    assert "1 target is nearer to zero" in loss_notes(METRICS["mape"], names, target)[0]
    assert "log(1 + target)" in loss_notes(METRICS["rmsle"], names, target)[0]


def test_a_note_names_the_families_that_fit_squared_errors_all_the_same(monkeypatch):
    import stacktune.families.registry as registry

    linear = all_families()["linear"]
    plain = replace(linear, losses=linear.losses - {ABSOLUTE})
    monkeypatch.setattr(registry, "get_family", lambda name: plain if name == "linear" else all_families()[name])
    assert "squared errors by linear" in loss_notes(METRICS["mae"], ["lightgbm", "linear"], np.ones(3))[0]
