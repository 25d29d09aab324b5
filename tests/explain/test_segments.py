"""Scores by segment add up to the table, and gaps are those that the field names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted import CLASSES, VALUES

from stacktune.explain.segments import ALL, MISSING, OTHERS, Judged, gaps, parted, segments
from stacktune.metrics import get_metric


def judged(n_rows: int = 1_000, weight=None) -> tuple[Judged, pd.Series]:
    """Return decisions that are right for nine of ten rows of group a, and for six of ten of group b."""
    random = np.random.default_rng(0)
    group = pd.Series(np.where(np.arange(n_rows) % 4 == 0, "b", "a"))
    labels = random.integers(2, size=n_rows)
    is_right = random.random(n_rows) < np.where(group == "a", 0.9, 0.6)
    chance = np.where(is_right, labels, 1 - labels) * 0.6 + 0.2
    prediction = np.column_stack([1 - chance, chance])
    return Judged(CLASSES, get_metric("accuracy", "binary"), 0.5, labels, prediction, weight), group


def test_counts_and_weights_add_up_and_the_whole_table_stands_beside_them():
    of, group = judged(weight=np.where(np.arange(1_000) % 4 == 0, 3.0, 1.0))
    found = segments(of, [("group", group)], 0).set_index("segment")
    assert found["n_rows"].to_dict() == {ALL: 1_000, "a": 750, "b": 250}
    assert found["weight"].to_dict() == pytest.approx({ALL: 1.0, "a": 0.5, "b": 0.5})
    assert found.loc["a", "score"] == pytest.approx(0.9, abs=0.03)
    assert found.loc["b", "score"] == pytest.approx(0.6, abs=0.07)
    assert found.loc[ALL, "score"] == pytest.approx(found.loc[["a", "b"], "score"].mean())
    assert ((found["low"] < found["score"]) & (found["score"] < found["high"])).all()
    assert found.loc["b", "high"] < found.loc["a", "low"]


def test_gaps_of_two_classes_are_those_of_parity_and_odds():
    of, group = judged()
    found = segments(of, [("group", group)], 0)
    chosen = of.prediction[:, 1] >= 0.5
    rates = {
        name: (chosen[own].mean(), chosen[own & (of.labels == 1)].mean(), chosen[own & (of.labels == 0)].mean())
        for name in "ab"
        for own in [(group == name).to_numpy()]
    }
    value = gaps(found, of.metric).set_index("measure")["value"]
    (rate, hits, alarms), (other_rate, other_hits, other_alarms) = rates["a"], rates["b"]
    assert value["demographic parity difference"] == pytest.approx(abs(rate - other_rate))
    assert value["demographic parity ratio"] == pytest.approx(min(rate, other_rate) / max(rate, other_rate))
    assert value["equalized odds difference"] == pytest.approx(max(abs(hits - other_hits), abs(alarms - other_alarms)))


def test_of_values_the_mean_error_tells_who_is_overrated():
    group = pd.Series(["a", "b"] * 100)
    truth = np.random.default_rng(0).normal(size=200)
    prediction = (truth + np.where(group == "a", 1.0, -2.0)).reshape(-1, 1)
    of = Judged(VALUES, get_metric("rmse", "regression"), 0.5, truth, prediction)
    found = segments(of, [("group", group)], 0)
    assert found.set_index("segment")["mean_error"].to_dict() == pytest.approx({ALL: -0.5, "a": 1.0, "b": -2.0})
    measures = gaps(found, of.metric).set_index("measure")["value"].to_dict()
    assert measures == pytest.approx({"rmse difference": 1.0, "mean error difference": 3.0})


def test_a_segment_of_few_rows_or_one_class_says_so_and_is_in_no_gap():
    of, group = judged()
    ranked = Judged(CLASSES, get_metric("roc_auc", "binary"), 0.5, of.labels, of.prediction)
    group[np.flatnonzero(of.labels == 1)[:10]] = "few"
    found = segments(ranked, [("group", group)], 0).set_index("segment")
    assert found.loc["few", "is_small"]
    assert np.isnan(found.loc["few", ["score", "low", "high"]].to_numpy(dtype=float)).all()
    assert not found.loc[["a", "b"], "is_small"].any()
    found = found.reset_index()
    spread = gaps(found, ranked.metric).set_index("measure")["value"]["roc_auc difference"]
    scores = found.set_index("segment")["score"]
    assert spread == pytest.approx(abs(scores["a"] - scores["b"]))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["x"] * 3 + ["y"] * 5 + [None] * 2, ["y", "x", MISSING]),
        ([True, False, True], ["True", "False"]),
        ([1, 2, 2, 3], ["2", "1", "3"]),
        (list(range(100)), ["0 – 19", "20 – 39", "40 – 59", "60 – 79", "80 – 99"]),
        (pd.date_range("2024-01-01", periods=50), ["2024-01-01 – 2024-01-10", "2024-01-11 – 2024-01-20"]),
    ],
)
def test_levels_fifths_and_rows_of_no_value_are_segments(values, names):
    found = parted(pd.Series(values))
    assert [name for name, _ in found][: len(names)] == names
    assert sorted(np.concatenate([rows for _, rows in found]).tolist()) == list(range(len(values)))


def test_rare_levels_are_one_segment():
    found = parted(pd.Series([f"level {place}" for place in range(20)] + ["often"] * 10))
    assert len(found) == 13
    assert (found[0][0], found[-1][0], len(found[-1][1])) == ("often", OTHERS, 9)


def test_a_gap_that_is_undefined_says_why_and_is_not_nought():
    """Groups of one class each have no rates in common: their difference was 0.000, and a ratio of noughts "nan"."""
    labels = np.repeat([0, 1], 50)
    chance = np.full(100, 0.1)
    of = Judged(CLASSES, get_metric("roc_auc", "binary"), 0.5, labels, np.column_stack([1 - chance, chance]))
    found = gaps(segments(of, [("group", pd.Series(["x"] * 50 + ["y"] * 50))], 0), of.metric).set_index("measure")
    assert found["value"].isna().to_dict() == {
        "roc_auc difference": True,
        "demographic parity difference": False,
        "equalized odds difference": True,
        "demographic parity ratio": True,
    }
    assert found["why"].to_dict() == {
        "roc_auc difference": "no score of x, y",
        "demographic parity difference": "",
        "equalized odds difference": "no positives in x; no negatives in y",
        "demographic parity ratio": "no positives predicted in any segment",
    }


def test_a_gap_names_the_segments_that_are_not_in_it():
    of, group = judged()
    group[np.flatnonzero(of.labels == 0)[:40]] = "no yes"
    found = gaps(segments(of, [("group", group)], 0), of.metric).set_index("measure")
    assert found.loc["equalized odds difference", "value"] > 0
    assert found.loc["equalized odds difference", "why"] == "no positives in no yes"
