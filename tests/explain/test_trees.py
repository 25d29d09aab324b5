"""Trees' own Shapley values sum to their raw scores, in raw columns; a leader of trees alone is explained exactly."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from scipy.special import expit, softmax

from stacktune.data.table import Table, Task
from stacktune.explain.columns import raw_columns
from stacktune.explain.progress import silent
from stacktune.explain.shapley import BY_PATHS, of_leader
from stacktune.explain.trees import Part, column_order, members_say
from stacktune.families.base import Attributing, Job
from stacktune.families.registry import all_families, get_family
from stacktune.search.space import load_space

TREES = [name for name in ("xgboost", "lightgbm", "catboost") if name in all_families()]


def table(task: Task, n_rows: int = 300) -> Table:
    """Return numbers, few levels and many levels, with a few missing values and a level that training does not have."""
    random = np.random.default_rng(0)
    x, few, many = random.normal(size=(n_rows, 2)), random.integers(4, size=n_rows), random.integers(40, size=n_rows)
    signal = x[:, 0] + (few == 1) + 0.1 * (many % 7) + 0.3 * random.normal(size=n_rows)
    features = np.column_stack([x, few, many]).astype(np.float32)
    features[::17, 1] = np.nan
    target = signal
    if task.is_classification:
        target = np.digitize(signal, np.quantile(signal, np.arange(1, task.n_outputs) / task.n_outputs)).astype(
            np.int32
        )
    return Table(features, ("x", "z", "few", "many"), (4, 40), target)


KINDS = {
    "values": Task("regression"),
    "counts": Task("regression", loss="poisson"),
    "two classes": Task("binary", ("no", "yes")),
    "weighed classes": Task("binary", ("no", "yes"), class_weights=(1.0, 5.0)),
    "three classes": Task("multiclass", ("a", "b", "c")),
}


def predicted(task: Task, raw: np.ndarray) -> np.ndarray:
    """Return predictions by raw scores."""
    if not task.is_classification:
        return np.exp(raw) if task.loss == "poisson" else raw
    chance = expit(raw[:, 0])
    return np.column_stack([1 - chance, chance]) if raw.shape[1] == 1 else softmax(raw, axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", TREES)
def test_contributions_sum_to_the_raw_score_whatever_the_columns(family, kind, tmp_path):
    task = KINDS[kind]
    rows = table(task)
    if task.loss == "poisson":
        rows = replace(rows, target=np.maximum(0, np.round(rows.target + 2)))
    own = next(one for one in load_space(family).portfolio if one.get("grow_policy", "") != "Depthwise")
    config = dict(own) | ({"cross_levels": True} if "cross_levels" in own else {})
    learner = get_family(family).start(Job(rows, task, np.arange(240), np.arange(240, 300), "fold0"), config)
    learner.advance(20)
    learner.keep_best()
    learner.advance(10)
    learner.restore_best()
    learner.save(tmp_path)
    model = get_family(family).load(tmp_path)
    assert isinstance(model, Attributing)
    shares = model.contributions(rows)
    assert shares.shape == (300, 5, task.n_outputs if task.n_outputs > 2 else 1)
    np.testing.assert_allclose(predicted(task, shares.sum(axis=1)), model.predict(rows), rtol=1e-4, atol=1e-4)
    assert np.abs(shares[:, 0]).mean() > np.abs(shares[:, 1]).mean()


def test_a_level_never_seen_has_shares_of_those_in_its_stead(tmp_path):
    task = KINDS["values"]
    rows = table(task)
    learner = get_family("lightgbm").start(
        Job(rows, task, np.arange(300), np.arange(0), "fold0"), load_space("lightgbm").portfolio[0]
    )
    learner.advance(20)
    learner.keep_best()
    learner.restore_best()
    learner.save(tmp_path)
    model = get_family("lightgbm").load(tmp_path)
    strange = rows.take(np.arange(20))
    strange.features[:, 2] = 4
    np.testing.assert_allclose(model.contributions(strange).sum(axis=1), model.predict(strange), rtol=1e-4, atol=1e-4)


def frame(n_rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, n_rows), unit="D")
    x, noise = random.normal(size=(2, n_rows))
    return pd.DataFrame({"day": day, "x": x, "noise": noise, "y": 2 * x + 2 * (day.month > 6)})


@pytest.mark.parametrize(("families", "is_exact"), [(("lightgbm",), True), (("linear",), False)])
def test_a_leader_of_trees_alone_is_explained_exactly(tmp_path, families, is_exact):
    leader = fit(frame(), "y", tmp_path, families, n_folds=2).leader
    rows, columns = leader.schema.encode(frame()), raw_columns(leader.schema)
    found = of_leader(leader, rows, columns, [3, 7], rows.take(np.arange(8)), 0, silent)
    assert [one.how == BY_PATHS for one in found] == [is_exact, is_exact]
    if is_exact:
        assert not any(one.errors.any() for one in found)
        assert max(abs(one.residual) for one in found) < 1e-3


def test_members_say_what_they_go_by_in_raw_columns_and_that_comes_first(tmp_path):
    leader = fit(frame(), "y", tmp_path, ("lightgbm",), n_folds=2).leader
    rows, columns = leader.schema.encode(frame()), raw_columns(leader.schema)
    (member,) = leader.members
    parts = [Part(member.trial_id, one, rows) for one in member.predictors]
    said = members_say(parts, columns, time.monotonic() + 10)
    assert said["member"].unique().tolist() == ["lightgbm-0000"]
    assert set(said["column"]) == {"day", "x", "noise"}
    assert said["column"].iloc[-1] == "noise"
    assert [one.name for one in column_order(said, columns)][-1] == "noise"
    assert members_say(parts, columns, time.monotonic()).empty
    assert column_order(pd.DataFrame(), columns) == columns
