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
from in_process import fit

from stacktune.ensemble.leader import Leader
from stacktune.errors import UserError


def leader_of(table: Hostile, folder: Path, families: tuple[str, ...]) -> Leader:
    """Do all that a run does, but for Ray and MLflow."""
    return fit(table.frame, table.target, folder, families).leader


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
            decided = predicted.pop(leader.task.prediction_name)
            if leader.task.is_classification:
                assert decided.isin(leader.task.labels).all(), (table.what, how)
                np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6, err_msg=f"{table.what} {how}")
            else:
                assert np.isfinite(decided).all(), (table.what, how)


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
    assert np.isfinite(leader.predict_table(leader.schema.encode(table.frame))).all()


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
    assert leader.predict(frame.head(10)).shape == (10, 1001)
