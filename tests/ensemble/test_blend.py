"""Blends combine as their formulas say."""

import json

import numpy as np
import pytest

from stacktune.ensemble.blend import MIN_PROBABILITY, Blend

EVEN, SURE = np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]])


def test_an_average_is_the_weighted_mean():
    assert Blend("average", (0.25, 0.75)).combine([EVEN, SURE]) == pytest.approx(np.array([[0.125, 0.875]]))


def test_a_stack_of_two_classes_sums_logits():
    first, second = np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])
    logit = 0.5 * np.log(4) + 2 * np.log(2 / 3) + 0.3
    stacked = Blend("stack", (0.5, 2.0), (-0.15, 0.15)).combine([first, second])
    assert stacked[0, 1] == pytest.approx(1 / (1 + np.exp(-logit)))
    assert stacked.sum() == pytest.approx(1)


def test_a_stack_of_values_is_linear():
    stacked = Blend("stack", (2.0, 1.0), (0.5,)).combine([np.array([[1.0]]), np.array([[3.0]])])
    assert stacked.tolist() == [[5.5]]


def test_one_member_that_is_certain_does_not_outvote_all():
    stacked = Blend("stack", (0.5, 0.5), (0.0, 0.0)).combine([np.array([[0.999, 0.001]]), SURE])
    assert 0.5 < stacked[0, 1] < 1 - MIN_PROBABILITY


def test_members_that_weigh_nothing_are_neither_asked_nor_kept():
    blend = Blend("average", (0.0, 1.0))
    assert blend.combine([np.full((1, 2), np.nan), EVEN]).tolist() == EVEN.tolist()
    assert blend.n_members == 1
    assert blend.compact() == ([1], Blend("single", (1.0,)))
    assert Blend("stack", (0.0, 0.5), (0.1,)).compact() == ([1], Blend("stack", (0.5,), (0.1,)))


def test_a_prediction_per_member_is_asked_for():
    with pytest.raises(ValueError, match="shorter"):
        Blend("average", (0.5, 0.5)).combine([EVEN])


def test_it_survives_json():
    blend = Blend("stack", (0.1, 1 / 3), (0.25, -0.25))
    assert Blend.from_dict(json.loads(json.dumps(blend.to_dict()))) == blend


def test_a_stack_of_logarithms_of_values_survives_json_and_the_loss_of_members():
    blend = Blend("stack", (0.5, 0.0, 1.0), (0.25,), is_log=True)
    kept, compact = blend.compact()
    assert kept == [0, 2]
    assert Blend.from_dict(json.loads(json.dumps(compact.to_dict()))) == compact
    first, third = np.array([[1.0]]), np.array([[3.0]])
    assert compact.combine([first, third])[0, 0] == pytest.approx(np.sqrt(2) * 4 * np.exp(0.25) - 1)
