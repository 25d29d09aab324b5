"""A fitted leader is explained by its raw columns, in time, on the screen and in files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.data.dataset import load_labelled
from stacktune.errors import ConfigError, DataError
from stacktune.explain.columns import raw_columns
from stacktune.explain.explained import explain
from stacktune.explain.explanation import Explanation, read
from stacktune.explain.segments import ALL
from stacktune.metrics import get_metric
from stacktune.runs.explain import explain as explain_command
from stacktune.runs.explain import lines_of


def table(seed: int, n_rows: int = 500) -> pd.DataFrame:
    """Return rows whose class depends on a number, a date's month and a level; the other columns are noise."""
    random = np.random.default_rng(seed)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, n_rows), unit="D")
    x, level = random.normal(size=n_rows), random.choice(["low", "high"], n_rows)
    signal = 2 * x + 2 * (day.month > 6) + 2 * (level == "high") - 2 + random.normal(size=n_rows)
    noise = {f"noise {place}": random.normal(size=n_rows) for place in range(3)}
    return pd.DataFrame({"day": day, "level": level, "x": x, **noise, "y": np.where(signal > 0, "yes", "no")})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    return fit(table(0), "y", tmp_path_factory.mktemp("run"), ("lightgbm", "linear"), n_folds=3)


@pytest.fixture(scope="module")
def found(fitted) -> Explanation:
    leader = fitted.leader
    rows, _ = load_labelled("in-memory", leader.schema, leader.task, "y", None, table(1))
    return explain(leader, rows, fitted.problem.metric, 30.0, rows=[4])


def test_a_date_is_one_column_with_all_its_parts(fitted):
    columns = {one.name: one.features for one in raw_columns(fitted.leader.schema)}
    assert list(columns) == [*(name for name in table(0).columns if name != "y")]
    assert len(columns["day"]) > 1
    assert sorted(place for of_column in columns.values() for place in of_column) == list(
        range(len(fitted.leader.schema.feature_names))
    )


def test_what_drives_the_class_comes_first_and_noise_last(found):
    assert set(found.importance["column"][:3]) == {"x", "day", "level"}
    assert (found.importance["p_value"][:3] < 0.01).all()
    noise = found.importance[found.importance["column"].str.startswith("noise")]
    assert noise["importance"].abs().max() < 0.2 * found.importance["importance"].max()
    assert found.dependence["column"].unique()[:3].tolist() == found.importance["column"][:3].tolist()
    assert found.looked_at == "yes"


def test_a_rows_values_add_up_to_its_distance_from_the_background(found, fitted):
    assert found.rows["row"].unique().tolist() == [4]
    assert found.rows["class"].unique().tolist() == ["yes"]
    leader = fitted.leader
    rows, _ = load_labelled("in-memory", leader.schema, leader.task, "y", None, table(1))
    chance = leader.predict_table(rows.take(np.array([4])))[0, 1]
    assert np.sign(found.rows["contribution"].sum() + 1e-9) == np.sign(np.log(chance / (1 - chance)) + 1e-9)


def test_the_worst_rows_are_those_that_were_surely_wrong(found):
    assert len(found.worst) == 20
    assert found.worst["loss"].is_monotonic_decreasing
    assert (found.worst["prediction"] != found.worst["y"]).all()


def test_it_is_shown_in_80_columns(found):
    lines = lines_of(found)
    assert max(map(len, lines)) <= 80
    assert "in roc_auc" in lines[0]
    assert any(line.startswith("Row 4, log-odds of yes (") for line in lines)


def test_in_little_time_fewer_shuffles_are_made_and_that_is_said(fitted):
    leader = fitted.leader
    rows, _ = load_labelled("in-memory", leader.schema, leader.task, "y", None, table(1))
    quick = explain(leader, rows, fitted.problem.metric, 1e-3)
    assert set(quick.importance["n_repeats"]) == {1}
    assert any("as time was up" in note for note in quick.notes)
    assert any("200 of 500 rows" in note for note in quick.notes)
    assert quick.dependence["column"].nunique() == 1


def test_of_more_than_two_classes_it_says_which_one_dependence_is_of_and_why(tmp_path, found):
    """All charts were of the probability of 1, and nothing said why of that class."""
    frame = table(0).drop(columns="y")
    frame["y"] = np.select([frame["x"] > 0.8, frame["x"] < -0.8], ["high", "low"], "between")
    of_three = fit(frame, "y", tmp_path, ("linear",), n_folds=3)
    leader = of_three.leader
    rows, _ = load_labelled("in-memory", leader.schema, leader.task, "y", None, frame)
    said = explain(leader, rows, of_three.problem.metric, 5.0)
    assert said.looked_at == frame["y"].mode()[0] == "between"
    assert "dependence is of the probability of between, the most frequent of 3 classes" in said.notes
    assert not any("most frequent of" in note for note in found.notes)


def test_the_command_writes_all_of_it(fitted, tmp_path):
    """Segments are also of a column that the model does not know."""
    shop = np.where(np.arange(500) % 2, "north", "south")
    table(1).assign(shop=shop).to_parquet(tmp_path / "new.parquet")
    shutil.copytree(fitted.leader.folder, tmp_path / "model")
    said: list[str] = []
    place = (str(tmp_path / "model"), str(tmp_path / "new.parquet"), tmp_path / "out")
    explain_command(*place, 20.0, [0], said.append, by=["shop", "x"])
    assert {path.stem for path in (tmp_path / "out").iterdir()} >= {
        *("dependence", "explanation", "gaps", "ice", "importance", "rows", "segments", "worst")
    }
    found = read(tmp_path / "out")
    assert found.rows["column"].nunique() == 6
    by_shop = found.segments[found.segments["column"] == "shop"].set_index("segment")
    assert by_shop["n_rows"].to_dict() == {ALL: 500, "north": 250, "south": 250}
    assert len(found.segments) == 3 + 6
    assert set(found.gaps["column"]) == {"shop", "x"}
    assert max(map(len, said[:-2])) <= 80
    assert sum("demographic parity difference" in line for line in said) == 2
    assert said[-2] == f"all of it in {tmp_path / 'out'}"
    assert said[-1].startswith("next: ")


@pytest.mark.parametrize(
    ("model", "data", "rows", "kind", "message"),
    [
        ("gone", "new.parquet", [], ConfigError, "there is no model in"),
        ("model", "gone.parquet", [], DataError, "gone.parquet"),
        ("model", "unlabelled.parquet", [], DataError, "has no target column 'y'"),
        ("model", "new.parquet", [500], ConfigError, "--rows names row 500, but the table has rows 0 to 499"),
    ],
)
def test_what_cannot_be_explained_is_refused(fitted, tmp_path, model, data, rows, kind, message):
    table(1).to_parquet(tmp_path / "new.parquet")
    table(1).drop(columns="y").to_parquet(tmp_path / "unlabelled.parquet")
    shutil.copytree(fitted.leader.folder, tmp_path / "model")
    with pytest.raises(kind, match=message):
        explain_command(str(tmp_path / model), str(tmp_path / data), tmp_path / "out", 5.0, rows, print)
    assert not (tmp_path / "out").exists()
    assert Path(tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("column", "message"),
    [("nois 1", "--by names 'nois 1', but .* Did you mean 'noise 1'"), ("y", "--by names the target 'y'")],
)
def test_a_column_that_parts_nothing_is_refused(fitted, tmp_path, column, message):
    table(1).to_parquet(tmp_path / "new.parquet")
    shutil.copytree(fitted.leader.folder, tmp_path / "model")
    with pytest.raises(ConfigError, match=message):
        explain_command(str(tmp_path / "model"), str(tmp_path / "new.parquet"), None, 5.0, [], print, [column])


ALIKE = {"day": pd.Timestamp("2021-01-01"), "level": None, "x": np.nan, **{f"noise {place}": 1.0 for place in range(3)}}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            table(1).assign(**ALIKE),
            "nothing can be said of .*: each column that the model reads holds one value, or none",
        ),
        (
            table(1)[:1],
            "cannot be judged: roc_auc, the model's metric, needs rows of two classes.*Give other rows, too",
        ),
        (table(1).query("y == 'no'"), "cannot be judged: roc_auc, the model's metric, needs rows of two classes"),
    ],
)
def test_rows_that_tell_nothing_are_refused_instead_of_explained_by_noughts(fitted, tmp_path, rows, message):
    rows.to_parquet(tmp_path / "new.parquet")
    shutil.copytree(fitted.leader.folder, tmp_path / "model")
    with pytest.raises(DataError, match=message):
        explain_command(str(tmp_path / "model"), str(tmp_path / "new.parquet"), None, 5.0, [], print)


def explained(fitted: Fitted, rows: pd.DataFrame, metric: str) -> Explanation:
    leader = fitted.leader
    encoded, _ = load_labelled("in-memory", leader.schema, leader.task, "y", None, rows)
    return explain(leader, encoded, get_metric(metric, "binary"), 5.0)


def test_two_rows_give_no_table_of_noughts(fitted):
    rows = table(1)
    surest = rows["x"] + 2 * (rows["level"] == "high")
    found = explained(fitted, rows.loc[[surest.idxmin(), surest.idxmax()]], "accuracy")
    assert found.importance["p_value"].isna().all()
    assert any(
        "of 2 rows: which column matters is not known" in note or "2 rows are too few" in note for note in found.notes
    )
    nought = replace(found, importance=found.importance.assign(importance=0.0))
    assert lines_of(nought) == ["What columns are worth in accuracy is not known: no shuffle changed it."]


def test_a_column_of_one_value_is_left_out_and_so_is_said(fitted):
    found = explained(fitted, table(1).assign(x=3.0), "roc_auc")
    assert "x" not in set(found.importance["column"])
    assert any(note.endswith("left out, as shuffling them tells nothing: 1") for note in found.notes)


def test_rows_of_one_class_say_what_they_cannot_tell(fitted):
    found = explained(fitted, table(1).query("y == 'no'"), "log_loss")
    assert any(note.startswith("the target is no in all ") for note in found.notes)
    assert found.importance["p_value"].isna().all()


def test_a_column_of_one_level_has_no_gaps_and_that_is_said(fitted, tmp_path):
    table(1).assign(shop="north").to_parquet(tmp_path / "new.parquet")
    shutil.copytree(fitted.leader.folder, tmp_path / "model")
    explain_command(str(tmp_path / "model"), str(tmp_path / "new.parquet"), tmp_path / "out", 2.0, [], print, ["shop"])
    assert "shop has no gaps: they take two segments of 30 rows" in read(tmp_path / "out").notes
