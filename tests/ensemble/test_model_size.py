"""A leader that may take only so much of the disk, alone and beside a budget for predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from closed_form import Closed, closed, predictions

from stacktune.ensemble.leaderboard import build_leaderboard
from stacktune.ensemble.rows import Leaderboard
from stacktune.runs import watch
from stacktune.storage.run_folder import TrialFolder

FAMILIES = ("lightgbm", "linear", "mlp")


@pytest.fixture
def world(tmp_path) -> Closed:
    """Six trials whose every fold model takes 10 kB, 20 kB and so on, in two files; the largest is the cheapest."""
    made = closed("binary", "log_loss")
    for place, prediction in enumerate(predictions(made, 6)):
        name = f"{FAMILIES[place % 3]}-{place:04d}"
        made.add(name, prediction, predict_us=60.0 - 10 * place)
        for fold in range(made.folds.n_folds):
            inner = TrialFolder(tmp_path / name).fold(fold) / "inner"
            inner.mkdir(parents=True)
            for file in (inner / "a", inner.parent / "b"):
                file.write_bytes(b"\0" * 5_000 * (place + 1))
        made.results[-1] = replace(made.results[-1], folder=str(tmp_path / name))
    return made


def board_of(world: Closed, **options: float) -> Leaderboard:
    table = world.table
    return build_leaderboard(
        world.results, world.oof, table.target, table.weight, world.folds, world.task, world.metric, **options
    )


@pytest.mark.parametrize(("limit_mb", "n_members"), [(0.01, 1), (0.03, 2), (0.1, 4), (10.0, 6)])
def test_the_leader_is_the_best_that_is_no_larger(world, limit_mb, n_members):
    board = board_of(world, max_model_mb=limit_mb)
    is_within = [row.n_bytes <= limit_mb * 1e6 for row in board.rows]
    assert is_within == sorted(is_within, reverse=True), "the larger rank below"
    assert len(board.leader.members) <= n_members
    assert all(row.n_bytes <= limit_mb * 1e6 for row in board.rows if row.kind == "ensemble")
    assert board.n_too_large == len(is_within) - sum(is_within)
    assert board.to_frame()["model_mb"].iloc[0] == board.leader.n_bytes / 1e6 > 0


def test_a_row_takes_what_the_models_take_that_are_asked(world):
    sizes = {result.trial_id: 10_000 * (place + 1) for place, result in enumerate(world.results)}
    for row in board_of(world, max_model_mb=0.1).rows:
        assert row.n_bytes == sum(sizes[name] * len(folds) for name, folds in zip(row.members, row.folds, strict=True))


def test_where_all_are_too_large_the_smallest_leads(world):
    board = board_of(world, max_model_mb=0.001)
    assert (board.leader.name, board.leader.n_bytes, board.n_too_large) == ("lightgbm-0000", 10_000, 6)
    assert [row.kind for row in board.rows] == ["trial"] * 6


def test_size_and_time_are_both_kept(world):
    """The cheapest to ask is the largest."""
    board = board_of(world, max_model_mb=0.045, predict_budget_us=9.0)
    for row in board.rows:
        if not row.is_dear:
            assert row.n_bytes <= 45_000
            assert row.predict_us <= 9.0
    assert not board.leader.is_dear
    assert {row.name for row in board.rows if row.is_dear} >= {"lightgbm-0000", "mlp-0005"}


def test_a_limit_that_nothing_reaches_changes_no_rank(world):
    free, wide = board_of(world), board_of(world, max_model_mb=1e6)
    assert [(row.name, row.folds, row.score) for row in free.rows] == [
        (row.name, row.folds, row.score) for row in wide.rows
    ]
    assert (free.n_too_large, free.leader.n_bytes) == (0, None)
    assert "model_mb" not in free.to_frame()


@pytest.mark.parametrize("limit", ["predict_budget_us", "max_model_mb"])
def test_no_model_is_dropped_where_a_limit_may_yet_make_it_lead(monkeypatch, limit):
    monkeypatch.setattr(watch, "drop_models", pytest.fail)
    limits = {"predict_budget_us": None, "max_model_mb": None, limit: 1.0}
    watch._drop_losers(SimpleNamespace(config=SimpleNamespace(**limits)), [])


def test_sizes_are_those_of_the_disk(world, tmp_path):
    (Path(world.results[0].folder) / "fold2" / "b").unlink()
    row = next(row for row in board_of(world, max_model_mb=1.0).rows if row.name == "lightgbm-0000")
    assert row.n_bytes == 10_000 * len(row.folds[0]) - (5_000 if 2 in row.folds[0] else 0)
