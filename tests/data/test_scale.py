"""Numbers of any size become float32 features that tell the same rows apart."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import auc, fit

from stacktune.data.scale import Scale, scale_of
from stacktune.data.schema import infer_schema


def encoded(values):
    frame = pd.DataFrame({"c": values})
    return infer_schema(frame, set())[0].encode(frame).features[:, 0]


def order_of(values):
    return np.argsort(values, kind="stable").tolist()


NORMAL = np.random.default_rng(0).normal(size=400)


@given(st.integers(-300, 300), st.floats(-100, 100))
@settings(max_examples=200)
def test_a_power_of_ten_or_a_shift_changes_no_order(power, shift):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = (NORMAL + shift) * 10.0**power
        features = encoded(values)
    assert np.isfinite(features).all()
    # What float64 holds apart float32 may round together, but never the other way about.
    assert (np.diff(features[order_of(values)]) >= 0).all()
    assert len(np.unique(features)) > 395
    plain = encoded(NORMAL)
    assert np.corrcoef(features.astype(float), plain)[0, 1] > 1 - 1e-9


@given(st.integers(-300, 300))
def test_scaling_by_powers_of_two_is_exact(power):
    scale, n_zero = scale_of(NORMAL * 10.0**power)
    assert n_zero == 0
    assert np.frexp(scale.factor)[0] == 0.5
    if scale.factor != 1:
        assert 1 <= np.abs(scale.apply(NORMAL * 10.0**power)).max() < 2


def test_numbers_of_usual_size_are_left_as_they_are():
    for values in (NORMAL, NORMAL * 1e25, NORMAL * 1e-3, np.array([0.0, 1.0, 1e-20])):
        assert scale_of(values) == (Scale(), 0)


@pytest.mark.parametrize(
    "values",
    [
        10.0 ** -np.linspace(0, 300, 400),
        -(10.0 ** np.linspace(-300, 300, 400)),
        np.array([1e308, -1e308, 1e-308, 5e-324, 0.0, 1.0, np.nan] * 20),
        np.append(NORMAL, 1e300),
    ],
)
def test_numbers_over_hundreds_of_decades_keep_their_order(values):
    features = encoded(values)
    np.testing.assert_array_equal(np.isnan(features), np.isnan(values))
    known = np.isfinite(values)
    assert len(np.unique(features[known])) == len(np.unique(values[known]))
    assert order_of(features[known]) == order_of(values[known])
    assert (np.sign(features[known]) == np.sign(values[known])).all()


def test_what_is_left_over_from_subtractions_becomes_zero_and_is_said():
    values = np.append(NORMAL, [1e-60, -1e-200])
    schema, notes = infer_schema(pd.DataFrame({"c": values}), set())
    assert schema.columns[0].scale == Scale()
    assert notes == ["took 2 of the numbers in c for 0, since they are next to nothing beside others"]


def test_a_zero_for_not_known_does_not_blur_numbers_far_from_zero():
    values = np.append(1.7e9 + np.arange(400.0), np.zeros(40))
    assert len(np.unique(encoded(np.random.default_rng(0).permutation(values)))) == 401


@pytest.mark.parametrize("family", ["lightgbm", "extra_trees", "linear"])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-12, 0.0), (1e-9, 1.0), (1e-49, 0.0), (1e200, 3e201)])
def test_a_leader_learns_alike_from_columns_of_any_scale(scale, shift, family, tmp_path):
    """Features at 1e-49 were zeros of float32: AUC .500 for .97. At 1e-12 they were all the same to forests."""
    random = np.random.default_rng(1)
    x = random.normal(size=(600, 2))
    y = x[:, 0] + x[:, 1] + 0.3 * random.normal(size=600) > 0
    frame = pd.DataFrame({"a": x[:, 0] * scale + shift, "b": x[:, 1] * scale, "y": y})
    fitted = fit(frame[:400], "y", tmp_path, (family,))
    assert auc(y[400:], fitted.leader.predict(frame[400:])["True"]) > 0.95


@pytest.mark.parametrize(
    "scale", [Scale(), Scale(offset=1e9), Scale(factor=2.0**40), Scale(3.0, 0.25), Scale(log_from=1e-300)]
)
def test_what_is_scaled_can_be_had_back(scale):
    values = np.array([-2.5, 0.0, 1e-3, 7.0, 1e6, np.nan])
    np.testing.assert_allclose(scale.undo(scale.apply(values)), values, rtol=1e-9, atol=1e-6)
