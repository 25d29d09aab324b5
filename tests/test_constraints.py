"""Predictions that rise or fall with columns, and columns that may not act on one another, in whole leaders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.data.dataset import load_dataset
from stacktune.errors import ConfigError
from stacktune.families.registry import all_families
from stacktune.metrics import get_metric
from stacktune.runs.posed import holding, posed_task
from stacktune.settings.read import load_settings

MONOTONE = ("lightgbm", "xgboost", "catboost", "random_forest", "extra_trees")
ADDITIVE = ("linear", "lightgbm", "xgboost")


def people(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """A table whose target waves with age and price, with gaps, levels and a date."""
    rng = np.random.default_rng(seed)
    age, price = rng.uniform(18, 80, n), rng.lognormal(3, 1, n)
    town = rng.choice([f"town {i}" for i in range(40)], n)
    wave = np.sin(age / 4) + 0.02 * age - 0.5 * np.log(price) + 0.03 * np.char.str_len(town) + (age > 50) * (price > 20)
    age[rng.random(n) < 0.06] = np.nan
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    frame = pd.DataFrame({"town": town, "price": price, "other": rng.normal(size=n), "age": age, "when": when})
    return frame.assign(value=wave + 0.3 * rng.normal(size=n))


def moved(fitted: Fitted, frame: pd.DataFrame, column: str, steps: np.ndarray) -> np.ndarray:
    """What the leader predicts of each row with `column` at each step, (n_steps, n_rows)."""
    answers = []
    for step in steps:
        table = fitted.dataset.schema.encode(frame.assign(**{column: step}))
        answers.append(fitted.leader.predict_table(table)[:, -1])
    return np.array(answers)


@pytest.mark.parametrize("kind", ["value", "class"])
def test_the_leader_never_falls_where_it_is_to_rise(kind, tmp_path):
    """The families that say they can are tried together, with pairs of levels as columns, and stacked and averaged."""
    frame = people()
    if kind == "class":
        frame["value"] = np.where(frame["value"] > frame["value"].median(), "yes", "no")
    fitted = fit(frame, "value", tmp_path, MONOTONE, n_folds=2, monotone=("age=1", "price=-1"))
    names = {row.name for row in fitted.board.rows}
    assert {"stack_all", "greedy_all"} <= names, "the leader may be any of them"
    rows = frame.drop(columns="value").iloc[::12]
    rises = moved(fitted, rows, "age", np.linspace(15, 90, 40))
    falls = moved(fitted, rows, "price", np.geomspace(1, 400, 40))
    assert (np.diff(rises, axis=0) >= -1e-9).all()
    assert (np.diff(falls, axis=0) <= 1e-9).all()
    assert np.ptp(rises, axis=0).max() > 0.05, "it still takes note of the column"


@pytest.mark.parametrize("family", MONOTONE)
def test_without_the_constraint_the_model_falls_somewhere(family, tmp_path):
    """So that the test above tests something: the target waves."""
    frame = people()
    fitted = fit(frame, "value", tmp_path, (family,), n_folds=2)
    rises = moved(fitted, frame.drop(columns="value").iloc[::12], "age", np.linspace(15, 90, 40))
    assert (np.diff(rises, axis=0) < -1e-3).any()


@pytest.mark.parametrize("family", MONOTONE)
@pytest.mark.parametrize("kind", ["value", "class"])
def test_every_family_that_says_so_holds_it_alone(family, kind, tmp_path):
    frame = people(seed=1)
    if kind == "class":
        frame["value"] = np.where(frame["value"] > frame["value"].median(), "yes", "no")
    fitted = fit(frame, "value", tmp_path, (family,), n_folds=2, monotone=("age=-1",))
    falls = moved(fitted, frame.drop(columns="value").iloc[::12], "age", np.linspace(15, 90, 60))
    assert (np.diff(falls, axis=0) <= 1e-9).all()


def crossed_difference(fitted: Fitted, rows: pd.DataFrame, first: tuple, second: tuple) -> float:
    """How far two columns act on one another in the leader of values."""
    (one, (a, b)), (other, (c, d)) = first, second
    at = [moved(fitted, rows.assign(**{other: there}), one, np.array([here]))[0] for here in (a, b) for there in (c, d)]
    return float(np.abs(at[0] - at[1] - at[2] + at[3]).max())


@pytest.mark.parametrize("family", ADDITIVE)
def test_columns_of_two_groups_do_not_act_on_one_another(family, tmp_path):
    frame = people(400)
    rows = frame.drop(columns="value").iloc[::20]
    (tmp_path / "free").mkdir()
    fitted = fit(frame, "value", tmp_path, (family,), n_folds=2, interactions=("age,other", "price"))
    assert crossed_difference(fitted, rows, ("age", (30.0, 70.0)), ("price", (5.0, 60.0))) < 1e-4
    assert crossed_difference(fitted, rows, ("age", (30.0, 70.0)), ("town", ("town 3", "town 17"))) < 1e-4
    if family != "linear":
        free = fit(frame, "value", tmp_path / "free", (family,), n_folds=2)
        assert crossed_difference(free, rows, ("age", (30.0, 70.0)), ("price", (5.0, 60.0))) > 0.02


def test_families_that_cannot_are_left_out_by_name(tmp_path):
    people().to_parquet(tmp_path / "t.parquet")
    given = {"data": str(tmp_path / "t.parquet"), "target": "value"}
    config = load_settings({**given, "monotone": "age=+1, price=-1"})
    dataset, _ = load_dataset(config)
    task = posed_task(config, dataset, get_metric(None, "regression"))
    assert task.monotone == (("age", 1), ("price", -1))
    families, notes = holding(sorted(all_families()), task)
    assert set(families) == set(MONOTONE)
    assert notes == [
        "predictions rise with age, fall with price, or stay, in every model",
        "linear and mlp and nas left out, which cannot hold --monotone",
    ]
    with pytest.raises(ConfigError, match=r"--monotone cannot be held by linear and mlp, .* Those that can: catboost"):
        holding(["linear", "mlp"], task)
    config = load_settings({**given, "interactions": "when,age;price"})
    task = posed_task(config, dataset, get_metric(None, "regression"))
    assert task.interactions[1] == ("price",)
    assert {"when", "age"} < set(task.interactions[0]), "with the parts of the date"
    assert set(holding(sorted(all_families()), task)[0]) == set(ADDITIVE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"monotone": "aeg=1"}, "--monotone names 'aeg', which models do not learn from. Did you mean 'age'"),
        ({"monotone": "town=1"}, "--monotone names 'town', which is no column of numbers"),
        ({"monotone": "when=1"}, "--monotone names 'when', which is no column of numbers"),
        ({"monotone": "value=1"}, "--monotone names 'value', which models do not learn from"),
        ({"monotone": "age=2"}, r"--monotone gives 'age' 2: give \+1 to rise"),
        ({"monotone": "age=1", "target": "town"}, "this is a multiclass task"),
        ({"interactions": "age,pric;town"}, "--interactions names 'pric', .* Did you mean 'price'"),
    ],
)
def test_constraints_that_make_no_sense_are_refused_by_name(given, message, tmp_path):
    people().to_parquet(tmp_path / "t.parquet")
    config = load_settings({"data": str(tmp_path / "t.parquet"), "target": "value", **given})
    dataset, _ = load_dataset(config)
    with pytest.raises(ConfigError, match=message):
        posed_task(config, dataset, get_metric(None, dataset.task.kind))


def test_groups_are_read_as_text_and_as_lists():
    for given in ("a, b;c", [["a", "b"], ["c"]], ["a,b", "c"]):
        assert load_settings({"data": "t", "target": "y", "interactions": given}).interactions == ("a,b", "c")
    with pytest.raises(ConfigError, match="--interactions must be groups of names"):
        load_settings({"data": "t", "target": "y", "interactions": "a;;b"})
