"""Whatever the table: a leader whose predictions are whole, or one message that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hostile import COLUMNS, TARGETS, Hostile, hostile_table, spoilt
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import RunConfig
from pipeline.data.dataset import load_dataset
from pipeline.data.folds import make_folds
from pipeline.ensemble.leader import Leader, build_leader
from pipeline.ensemble.leaderboard import build_leaderboard
from pipeline.errors import UserError
from pipeline.metrics import get_metric
from pipeline.search.plan import ClusterSize, plan_for_size
from pipeline.search.space import load_space
from pipeline.trials.attempt import Attempt
from pipeline.trials.climb import Arena, Means, climb
from pipeline.trials.result import COMPLETED, TrialResult, load_oof
from pipeline.trials.trial import Trial


def completed_trial(family: str, arena: Arena, folder: Path) -> TrialResult:
    trial = Trial(f"{family}-0000", family, load_space(family).portfolio[0])
    (folder / trial.trial_id).mkdir(parents=True)
    attempt = Attempt(trial, lambda: climb(trial, arena, Means(folder / trial.trial_id, folder / "states")))
    while not isinstance(outcome := attempt.advance(), TrialResult):
        pass
    assert outcome.status == COMPLETED, outcome.error
    return outcome


def leader_of(table: Hostile, folder: Path, families: tuple[str, ...]) -> Leader:
    """Do all that a run does, but for Ray and MLflow."""
    table.frame.to_parquet(folder / "table.parquet", index=False)
    dataset, _ = load_dataset(RunConfig(str(folder / "table.parquet"), table.target))
    plan = plan_for_size(dataset.table, dataset.task, ClusterSize(2, 0), 60.0)
    folds = make_folds(dataset.table, dataset.task, plan.n_folds, 0)
    metric = get_metric(None, dataset.task.kind)
    arena = Arena(dataset.table, dataset.task, folds, metric, 0)
    results = [completed_trial(family, arena, folder) for family in families]
    oof = {result.trial_id: load_oof(result) for result in results}
    board = build_leaderboard(results, oof, dataset.table.target, None, folds, dataset.task, metric)
    return build_leader(board, results, dataset, metric, folder / "leader")


def check(table: Hostile, families: tuple[str, ...] = ("lightgbm", "linear")) -> None:
    with TemporaryDirectory() as name:
        try:
            leader = leader_of(table, Path(name), families)
        except UserError as refused:
            leader, message = None, str(refused)
        if leader is None:
            assert 20 < len(message) < 600, table.what
            return
        for how in ("as it was", "text", "missing", "reversed"):
            frame = spoilt(table.frame, how)
            predicted = leader.predict(frame.drop(columns=table.target))
            assert len(predicted) == len(frame)
            assert np.isfinite(predicted.to_numpy()).all(), (table.what, how)
            if leader.task.is_classification:
                np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6, err_msg=f"{table.what} {how}")


@settings(max_examples=40, deadline=None)
@given(
    target=st.sampled_from(sorted(TARGETS)),
    columns=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=8),
    n_rows=st.sampled_from([1, 2, 3, 10, 40, 150]),
    seed=st.integers(0, 99),
)
def test_any_table_ends_in_a_leader_or_in_one_message(target, columns, n_rows, seed):
    check(hostile_table(target, columns, n_rows, seed))


@pytest.mark.parametrize("target", sorted(TARGETS.keys() - {"all equal", "huge", "tiny"}))
def test_every_target_beside_every_column_has_a_leader(target, tmp_path):
    table = hostile_table(target, list(COLUMNS), 200, 1)
    leader = leader_of(table, tmp_path, ("linear",))
    assert np.isfinite(leader.predict(table.frame).to_numpy()).all()


def test_a_hundred_thousand_categories_are_learnt_from(tmp_path):
    random = np.random.default_rng(0)
    codes = random.integers(0, 100_000, 120_000)
    frame = pd.DataFrame({"code": pd.Series(codes).map("c{}".format), "y": codes % 2 == 0})
    frame.loc[: len(frame) // 2, "y"] = random.random(len(frame) // 2 + 1) < 0.5
    leader = leader_of(Hostile(frame, "y", "many categories"), tmp_path, ("lightgbm",))
    assert len(leader.predict(frame.head(1000))) == 1000


def test_a_thousand_classes_are_learnt_from(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=4_000), "y": [f"class {place % 1000}" for place in range(4_000)]})
    leader = leader_of(Hostile(frame, "y", "a thousand classes"), tmp_path, ("linear",))
    assert leader.predict(frame.head(10)).shape == (10, 1000)
