"""Whole runs of which every trial had an undefined score."""

import numpy as np
import pandas as pd
import pytest
from in_process import auc, fit

from stacktune.errors import ConfigError


def rare_events(n_rows: int = 20_000, n_positive: int = 20, seed: int = 0) -> pd.DataFrame:
    """Return a table in which `signal` tells the rare class from the other."""
    random = np.random.default_rng(seed)
    y = np.arange(n_rows) < n_positive
    columns = {f"noise{place}": random.normal(size=n_rows) for place in range(3)}
    return pd.DataFrame({**columns, "signal": random.normal(size=n_rows) + 4 * y, "y": np.where(y, "yes", "no")})


def test_a_holdout_with_twenty_positives_has_scores_and_the_better_model_leads(tmp_path):
    """Four positives in five blocks: no trial had a score, and the first by name led."""
    fitted = fit(rare_events(), "y", tmp_path, ("linear", "extra_trees"), n_folds=1)
    folds, target = fitted.problem.folds, fitted.problem.table.target
    assert [int(target[folds.block_rows(block)].sum()) for block in range(folds.n_blocks)] == [2] * 5
    assert all(row.is_scored for row in fitted.board.rows)
    assert fitted.board.leader.score > 0.9
    new = rare_events(20_000, 2_000, seed=1)
    assert auc(new["y"] == "yes", fitted.leader.predict(new)["yes"]) > 0.95


def ratios(least: float) -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=400)
    return pd.DataFrame({"x": x, "z": random.normal(size=400), "y": np.maximum(least, np.expm1(0.4 * x))})


def test_rmsle_scores_targets_between_minus_one_and_zero(tmp_path):
    """All scores were NaN, and the run ended well."""
    fitted = fit(ratios(-0.9), "y", tmp_path, metric="rmsle", n_folds=3)
    assert 0 < fitted.board.leader.score < 0.3


@pytest.mark.parametrize(
    ("metric", "least", "message"),
    [("rmsle", -1.0, r"--metric rmsle needs targets above -1, but"), ("mape", 0.0, r"--metric mape divides by")],
)
def test_a_metric_that_is_undefined_for_the_target_is_refused(tmp_path, metric, least, message):
    frame = ratios(least)
    frame.loc[0, "y"] = least
    with pytest.raises(ConfigError, match=message):
        fit(frame, "y", tmp_path, metric=metric)


def test_a_metric_that_is_undefined_for_the_test_rows_is_refused(tmp_path):
    frame = rare_events(2_000)
    frame[frame["y"] == "no"].head(50).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(ConfigError, match=r"roc_auc needs rows of two classes, but all 50 are of class no"):
        fit(frame, "y", tmp_path, test_data=str(tmp_path / "test.parquet"))
