"""--refit: a model of all rows predicts, and scores stay those of the folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.data.split_notes import window_notes
from stacktune.storage.run_folder import ALL_ROWS, TrialFolder
from stacktune.trials.result import load_oof

FAMILIES = ("lightgbm", "linear")


def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    return pd.DataFrame(x, columns=list("abc")).assign(y=x[:, 0] + random.normal(size=400))


@pytest.fixture(scope="module", params=[3, 1], ids=["folds", "held-out rows"])
def both(request, tmp_path_factory) -> tuple[Fitted, Fitted]:
    """The same run without and with --refit."""
    without, refitted = (
        fit(table(), "y", tmp_path_factory.mktemp("run"), FAMILIES, n_folds=request.param, refit=refit)
        for refit in (False, True)
    )
    return without, refitted


def test_scores_are_those_of_the_folds(both):
    without, refitted = both
    for before, after in zip(without.results, refitted.results, strict=True):
        assert (after.fold_scores, after.n_units) == (before.fold_scores, before.n_units)
        np.testing.assert_array_equal(load_oof(after), load_oof(before))


def test_one_model_a_trial_predicts_and_has_seen_all_rows(both):
    without, refitted = both
    assert refitted.problem.folds.models == (ALL_ROWS,)
    assert all(folds == (ALL_ROWS,) for row in refitted.board.rows for folds in row.folds)
    assert all(len(member.predictors) == 1 for member in refitted.leader.members)
    rows, target = refitted.problem.table, refitted.problem.table.target

    def error(fitted: Fitted) -> float:
        return float(np.square(fitted.leader.predict_table(rows)[:, 0] - target).mean())

    # Of rows that it has learnt from it errs less than models that a fold was held out from.
    assert error(refitted) < error(without)


def test_it_grows_as_far_as_folds_did_on_average(both):
    _, refitted = both
    trial = next(one for one in refitted.results if one.family == "lightgbm")
    model = (TrialFolder(trial.place).fold(ALL_ROWS) / "model.txt").read_text()
    assert model.count("\nTree=") == round(np.mean(trial.n_units))


def test_the_run_says_so(both):
    without, refitted = both
    notes = [window_notes(one.problem.folds, one.dataset.split) for one in (without, refitted)]
    assert notes[0] == []
    assert "is fitted once more, on all rows" in notes[1][0]
