"""Halving at rungs: who survives, and who is compared with whom."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stacktune.search.asha import REDUCTION, Rungs, survives

scores = st.floats(-1e6, 1e6)


@given(st.lists(scores, min_size=3, max_size=60, unique=True))
def test_among_all_that_came_one_in_three_survives_in_hindsight(arrived):
    kept = [score for score in arrived if survives(score, [other for other in arrived if other != score])]
    assert len(kept) == math.ceil(len(arrived) / REDUCTION)


def test_random_arrivals_keep_about_a_third():
    rng = np.random.default_rng(0)
    arrived = rng.normal(size=600)
    kept = sum(survives(score, list(arrived[:position])) for position, score in enumerate(arrived))
    assert 0.30 < kept / len(arrived) < 0.38


def test_worsening_scores_do_not_survive():
    assert [survives(-float(place), [-float(before) for before in range(place)]) for place in range(3)] == [
        True,
        False,
        False,
    ]


@given(st.permutations(range(20)), st.integers(1, 8))
def test_with_a_lag_the_order_of_arrival_does_not_matter(order, lag):
    rungs = Rungs()
    for index in order:
        rungs.record(1, index, float(index))
    assert rungs.peers(1, index=15, lag=lag) == [float(index) for index in range(15 - lag + 1)]
