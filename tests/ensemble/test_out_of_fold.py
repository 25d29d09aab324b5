"""The leader's out-of-fold predictions, of a finished run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import fit

from stacktune.ensemble.out_of_fold import (
    honest_predictions,
    judged_in,
    keep_out_of_fold,
    read_out_of_fold,
    trials_behind,
)
from stacktune.ensemble.temperature import calibrated
from stacktune.errors import ConfigError
from stacktune.storage.run_folder import RunFolder
from stacktune.trials.result import load_oof

N_ROWS = 300


def table() -> pd.DataFrame:
    """Rows whose number is in their column `a`; each tenth has no target."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": np.arange(N_ROWS) / 100, "b": random.normal(size=N_ROWS)})
    frame["y"] = np.where(frame["b"] + random.normal(size=N_ROWS) > 0, "yes", "no")
    frame.loc[::10, "y"] = None
    return frame


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder, and the run, of which a quarter of the rows tests."""
    places = RunFolder(tmp_path_factory.mktemp("run"))
    places.trials.mkdir()
    fitted = fit(table(), "y", places.trials, ("lightgbm", "linear"), n_folds=3, test_size=0.25)
    return places, fitted


def kept(places: RunFolder, fitted, row):
    """Keep a board of one row, which so leads."""
    board = replace(fitted.board, rows=(row,))
    keep_out_of_fold(places.out_of_fold, board, fitted.problem.folds, fitted.dataset.row_numbers, fitted.problem.table)
    return read_out_of_fold(places.path)


def honest(fitted, row) -> np.ndarray:
    trials = {one.trial_id: load_oof(one) for one in fitted.results}
    return honest_predictions(row, {name: trials[name] for name in trials_behind(row)}, fitted.problem.folds)


def test_it_is_of_the_rows_that_were_judged_in_the_tables_order(finished):
    places, fitted = finished
    for row in fitted.board.rows:
        numbers, predicted = kept(places, fitted, row)
        assert (np.diff(numbers) > 0).all()
        assert len(numbers) == fitted.dataset.table.n_rows < 0.75 * 0.9 * N_ROWS + 1
        assert not set(numbers) & set(range(0, N_ROWS, 10))
        order = np.argsort(fitted.dataset.row_numbers)
        np.testing.assert_allclose(fitted.dataset.table.features[order, 0] * 100, numbers, rtol=1e-6)
        np.testing.assert_array_equal(predicted, honest(fitted, row)[order])


def test_it_is_at_the_leaders_temperature(finished):
    places, fitted = finished
    row = fitted.board.leader
    board, found = calibrated(fitted.board, honest(fitted, row) ** 3, fitted.problem.table, fitted.problem.folds)
    assert found.temperature != 1
    before, after = (kept(places, fitted, one)[1] for one in (row, board.leader))
    assert not np.allclose(before, after)
    np.testing.assert_array_equal(before[:, 1] > 0.5, after[:, 1] > 0.5)


def test_what_is_gone_is_told(finished, tmp_path):
    with pytest.raises(ConfigError, match=r"the out-of-fold predictions are not in .* any more"):
        read_out_of_fold(tmp_path)


def test_it_knows_targets_and_what_other_blends_predict(finished):
    places, fitted = finished
    for row in fitted.board.rows:
        kept(places, fitted, row)
        judged = judged_in(places.path)
        order = np.argsort(fitted.dataset.row_numbers)
        np.testing.assert_array_equal(judged.target, fitted.problem.table.labels[order])
        assert judged.weight is None
        if judged.nested:
            first = replace(judged.nested[0], weights=(1.0, *(0.0 for _ in judged.nested[0].weights[1:])))
            alone = judged.predicted_by([first] * len(judged.nested))
            np.testing.assert_array_equal(alone, first.combine(judged.parts))
