"""A sample of rows stands for all of them."""

import numpy as np
import pytest

from stacktune.ensemble.subsample import rows_to_learn_on
from stacktune.metrics import METRICS


def test_few_rows_are_all_taken():
    rows, stands_for = rows_to_learn_on(np.zeros(100), None, 0, most=100)
    assert rows.tolist() == list(range(100))
    assert stands_for is None


@pytest.mark.parametrize("share", [None, 0.3])
def test_many_plain_rows_are_sampled_evenly(share):
    target = np.arange(100_000) % 10 < 3
    rows, stands_for = rows_to_learn_on(target, None if share is None else target * share, 0)
    assert stands_for is None
    assert len(rows) == 24_000
    assert (np.diff(rows) > 0).all()
    assert target[rows].mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("rare", [0, 1])
def test_a_rare_class_is_kept_whole_and_scores_stay_what_they_are(rare):
    random = np.random.default_rng(0)
    target = (random.random(200_000) < 0.005).astype(int)
    chance = 1 / (1 + np.exp(-random.normal(-5 + 3 * target, 1)))
    if rare == 0:
        target, chance = 1 - target, 1 - chance
    rows, stands_for = rows_to_learn_on(target, chance, 0)
    assert len(rows) == 24_000
    assert (target[rows] == rare).sum() == (target == rare).sum()
    assert stands_for.sum() == pytest.approx(200_000)
    prediction = np.column_stack((1 - chance, chance))
    for name in ("roc_auc", "average_precision", "log_loss"):
        metric = METRICS[name]
        sampled = metric.score(target[rows], prediction[rows], stands_for)
        assert sampled == pytest.approx(metric.score(target, prediction), abs=0.002), name


def test_the_same_seed_draws_the_same_rows():
    target = np.zeros(50_000)
    assert (rows_to_learn_on(target, None, 3)[0] == rows_to_learn_on(target, None, 3)[0]).all()
    assert (rows_to_learn_on(target, None, 3)[0] != rows_to_learn_on(target, None, 4)[0]).any()
