"""`leaderboard --on`: what a finished run's models score on another table."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from rich.console import Console

from stacktune.ensemble.blend import SINGLE, Blend
from stacktune.ensemble.leader import Leader
from stacktune.ensemble.member import load_member
from stacktune.errors import ConfigError, DataError
from stacktune.report.results import Results
from stacktune.report.summary import ON_SCORE, leaderboard_table, on_column, sorted_by
from stacktune.runs.on_table import scored_on
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader


def frame(seed, n_rows=300):
    random = np.random.default_rng(seed)
    x = random.normal(size=n_rows)
    y = np.where(x + random.normal(size=n_rows) > 0.7, "yes", "no")
    return pd.DataFrame({"x": x, "t": np.arange(n_rows), "w": random.integers(1, 4, n_rows), "y": y})


@pytest.fixture(scope="module", params=[{}, {"time": "t", "keep": ("t",)}], ids=["at random", "later rows"])
def finished(request, tmp_path_factory) -> tuple[Results, pd.DataFrame]:
    """A run's folder with two trials and their ensembles, and the scores that its test table should have."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "trials").mkdir()
    frame(1).to_parquet(folder / "test.parquet")
    settings = {"metric": "f1", "weight": "w", "test_data": str(folder / "test.parquet"), "n_folds": 3}
    fitted = fit(frame(0), "y", folder / "trials", ("lightgbm", "linear"), **settings, **request.param)
    shutil.move(folder / "trials" / "leader", folder / "leader")
    lines = [
        "data: table.parquet",
        "target: y",
        "metric: f1",
        "weight: w",
        *(f"time: {name}" for key, name in request.param.items() if key == "time"),
    ]
    RunFolder(folder).config.write_text("\n".join(lines) + "\n")
    facts = {"leader": fitted.board.leader.name, "metric": "f1"}
    return Results(folder, facts, fitted.board.to_frame()), fitted.board.to_frame()


def test_trials_and_the_leader_score_as_on_the_runs_own_test_table(finished):
    results, expected = finished
    scored, notes = scored_on(results, str(results.folder / "test.parquet"))
    board = scored.leaderboard.set_index("name")
    kept = [name for name in board.index if board["kind"][name] == "trial" or name == results.facts["leader"]]
    pd.testing.assert_series_equal(
        board.loc[kept, ON_SCORE], expected.set_index("name").loc[kept, "test_score"], check_names=False
    )
    assert board[ON_SCORE].dropna().is_monotonic_decreasing
    n_lost = len(board) - len(kept)
    assert (f"no score on the table for {n_lost} ensembles that do not lead" in " ".join(notes)) == (n_lost > 0)
    assert sorted_by(scored, ON_SCORE)["name"].tolist()[0] == scored.leaderboard["name"].tolist()[0]


def test_the_table_of_80_columns_shows_both_scores(finished):
    results, _ = finished
    scored, _ = scored_on(results, str(results.folder / "test.parquet"))
    console = Console(width=80, record=True)
    console.print(leaderboard_table(scored, scored.leaderboard))
    shown = console.export_text()
    assert "on table" in shown
    assert "…" not in shown


def test_a_table_in_memory_scores_as_the_same_in_a_file(finished):
    results, _ = finished
    from_file, _ = scored_on(results, str(results.folder / "test.parquet"))
    in_memory, _ = scored_on(results, frame(1))
    pd.testing.assert_frame_equal(in_memory.leaderboard, from_file.leaderboard)


def test_costs_are_the_metric_on_another_table_too(finished, tmp_path):
    results, _ = finished
    shutil.copytree(results.folder, tmp_path / "run")
    config = RunFolder(tmp_path / "run").config
    config.write_text(config.read_text().replace("metric: f1", "cost: [fn=3, fp=1]"))
    facts = results.facts | {"metric": "cost", "greater_is_better": False}
    scored, _ = scored_on(replace(results, folder=tmp_path / "run", facts=facts), frame(1))
    scores = scored.leaderboard[ON_SCORE].dropna()
    assert scores.is_monotonic_increasing
    assert scores.between(0, 3).all()


def test_the_metric_that_is_asked_for_is_that_of_the_table(finished, capsys):
    """It sorted by the run's own values, and did not say so."""
    results, _ = finished
    scored, _ = scored_on(results, frame(3), "accuracy")
    column = on_column(scored, "accuracy")
    trial = "lightgbm-0000"
    alone = replace(
        Leader.load(find_leader(results.folder)),
        blend=Blend(SINGLE, (1.0,)),
        members=(load_member(results.folder / "trials" / trial, trial, "lightgbm"),),
        threshold=float(results.leaderboard.set_index("name")["threshold"][trial]),
    )
    said = alone.predict(frame(3))["prediction"]
    share = np.average(said == frame(3)["y"], weights=frame(3)["w"])
    assert scored.leaderboard.set_index("name")[column][trial] == pytest.approx(share)
    by_it = sorted_by(scored, column)[column].dropna()
    assert by_it.is_monotonic_decreasing
    Console(width=80).print(leaderboard_table(scored, sorted_by(scored, column), column))
    assert "accuracy on table" in capsys.readouterr().out
    assert on_column(scored, results.metric) == ON_SCORE
    assert on_column(scored, "fit_s") == "fit_s"


def test_trials_whose_models_are_gone_are_counted(finished, tmp_path):
    results, _ = finished
    shutil.copytree(results.folder, tmp_path / "run")
    trial = TrialFolder(tmp_path / "run" / "trials" / "linear-0000")
    for models in {*trial.folds(), *trial.models()}:
        shutil.rmtree(models)
    scored, notes = scored_on(replace(results, folder=tmp_path / "run"), str(results.folder / "test.parquet"))
    assert "1 trials whose models were not kept" in " ".join(notes)
    assert scored.leaderboard.set_index("name")[ON_SCORE].isna()["linear-0000"]


def test_a_table_that_is_not_the_models_is_refused(finished, tmp_path):
    results, _ = finished
    frame(2).drop(columns="y").to_parquet(tmp_path / "unlabelled.parquet")
    with pytest.raises(DataError, match=r"has no target column 'y'"):
        scored_on(results, str(tmp_path / "unlabelled.parquet"))
    frame(2).drop(columns="x").to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"'x'"):
        scored_on(results, str(tmp_path / "other.parquet"))
    with pytest.raises(ConfigError, match=r"the leader of .* is gone"):
        scored_on(replace(results, folder=tmp_path), str(results.folder / "test.parquet"))
