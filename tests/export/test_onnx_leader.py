"""A leader and its graph agree on tables as they come; what cannot agree leaves no file."""

from __future__ import annotations

import datetime
import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import fit

from stacktune.data.column import Column
from stacktune.data.schema import Schema
from stacktune.ensemble.blend import Blend
from stacktune.ensemble.interval import fit_interval
from stacktune.ensemble.leader import Leader, build_leader
from stacktune.errors import ConfigError
from stacktune.export.onnx.check import opened
from stacktune.export.onnx.columns import features_of
from stacktune.export.onnx.graph import Graph, need_onnx
from stacktune.export.onnx.leader import about, graph_of, output_names
from stacktune.export.onnx.probe import feeds, probe_rows
from stacktune.export.onnx.write import write_onnx
from stacktune.runs.export import export

N_ROWS = 300


def odd_table(kind: str) -> pd.DataFrame:
    """Dates, texts, truth values, numbers far from zero, gaps in all of them, and names that get in the way."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "prediction": random.normal(size=N_ROWS),
            "far": 1e9 + random.normal(size=N_ROWS),
            "v1": random.integers(0, 9, N_ROWS),
            "city": random.choice(["", "N/A", "Rome", "São Paulo", "7", "07"], N_ROWS),
            "flag": pd.Series(random.random(N_ROWS) < 0.4, dtype=object),
            "when": pd.Timestamp("1999-12-28") + pd.to_timedelta(random.integers(0, 40_000, N_ROWS), unit="h"),
        }
    )
    signal = frame["prediction"] + frame["v1"] / 4 + (frame["city"] == "Rome") + frame["when"].dt.month / 6
    for name in ("prediction", "city", "flag", "when"):
        frame.loc[random.random(N_ROWS) < 0.1, name] = None
    labels = {"binary": [False, True], "multiclass": ["low", "mid", "high"]}
    if kind == "regression":
        return frame.assign(y=100 + 20 * signal)
    codes = pd.cut(signal.rank(), len(labels[kind]), labels=False)
    return frame.assign(y=pd.Series([labels[kind][code] for code in codes], dtype=object).infer_objects())


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def stacked(request, tmp_path_factory):
    """A stack of three, with a temperature or an interval."""
    folder = tmp_path_factory.mktemp(request.param)
    table = odd_table(request.param)
    fitted = fit(table, "y", folder, ("lightgbm", "linear", "extra_trees"), n_folds=2)
    n_outputs = fitted.dataset.task.n_outputs
    row = replace(fitted.board.leader, members=tuple(result.trial_id for result in fitted.results))
    how = Blend("stack", (0.6, 0.3, 0.2), tuple(np.linspace(-0.2, 0.2, n_outputs)) if n_outputs > 1 else (1.5,))
    interval = None
    if request.param == "regression":
        said = fitted.leader.predict_table(fitted.dataset.table)[:, 0]
        interval = fit_interval(said, fitted.dataset.table.labels, None, 0.8, "squared")
    else:
        how = replace(how, temperature=1.7)
    row = replace(row, blend=how, folds=((0, 1),) * 3, thresholds={"f1": 0.37, "roc_auc": 0.37, "log_loss": 0.37})
    board = replace(fitted.board, rows=(row,))
    leader = build_leader(board, fitted.results, fitted.dataset, fitted.board.metric, folder / "stack", interval)
    return leader, table


def test_a_stack_of_a_table_as_it_comes_agrees(stacked, tmp_path):
    leader, table = stacked
    found = write_onnx(leader, tmp_path / "model.onnx", [table.drop(columns="y")])
    assert [each.n_rows for each in found] == [1000, N_ROWS]
    assert all(each.holds for each in found)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    answers = opened(tmp_path / "model.onnx").run(output_names(leader), feeds(leader.schema, table))
    expected = leader.predict(table)
    if leader.task.is_classification:
        assert answers[0].tolist() == expected["prediction"].tolist()
        np.testing.assert_allclose(answers[1], expected.iloc[:, 1:], atol=1e-6)
    else:
        np.testing.assert_allclose(np.column_stack(answers), expected[["prediction", "lower", "upper"]], rtol=1e-6)


def test_its_metadata_tells_what_to_give_it(stacked, tmp_path):
    import onnx

    leader, _ = stacked
    graph_of(leader).write(tmp_path / "model.onnx", "y", about(leader))
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model)
    facts = json.loads(model.metadata_props[0].value)
    assert facts["target"] == "y"
    assert facts["columns"]["when"] == "seconds since 1970-01-01 UTC; NaN where missing"
    assert set(facts["columns"]) == set(leader.schema.column_names)
    names = [each.name for each in model.graph.output]
    assert names[0] == "prediction_"  # a column is called prediction


def test_a_graph_that_disagrees_is_not_kept(stacked, tmp_path):
    leader, _ = stacked
    (tmp_path / "model.onnx").write_bytes(b"before")
    first = leader.members[0]
    halved = replace(first, predictors=first.predictors[:1])  # the graph is made of the files, which have both
    with pytest.raises(ConfigError, match=r"the graph is not kept.*--format container"):
        write_onnx(replace(leader, members=(halved, *leader.members[1:])), tmp_path / "model.onnx")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_a_member_without_a_form_is_named_with_what_to_do(stacked, tmp_path):
    leader, _ = stacked
    other = replace(leader.members[0], family="mine")
    with pytest.raises(ConfigError, match=r"'mine' has no form in ONNX.*stacktune distil.*--exclude mine"):
        graph_of(replace(leader, members=(other, *leader.members[1:])))


@pytest.mark.parametrize("stacked", ["binary"], indirect=True)
def test_the_command_checks_and_says_so(stacked, tmp_path):
    leader, table = stacked
    table.to_parquet(tmp_path / "rows.parquet")
    said: list[str] = []
    export(str(leader.folder), "onnx", tmp_path / "m.onnx", str(tmp_path / "rows.parquet"), said.append)
    assert "1,000 made-up rows: at most" in said[1]
    assert f"{N_ROWS} rows of" in said[2]


@pytest.mark.parametrize(
    ("form", "output", "check", "message"),
    [
        ("onxx", None, None, r"--format is onnx or container, not 'onxx'.*onnx"),
        ("onnx", "model.pb", None, r"ends in \.onnx, not 'model\.pb'"),
        ("onnx", "nowhere/model.onnx", None, r"there is no folder 'nowhere'"),
        ("container", None, "rows.parquet", "--check is for --format onnx"),
    ],
)
def test_mistakes_are_said_before_anything_is_read(form, output, check, message, tmp_path):
    from pathlib import Path

    with pytest.raises(ConfigError, match=message):
        export("no model", form, None if output is None else Path(output), check, print)


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named_with_the_line_to_type(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"needs the library '{library}'.*pip install \"stacktune\[onnx\]\""):
        need_onnx()


def graph_features(schema: Schema, frame: pd.DataFrame, tmp_path) -> np.ndarray:
    graph = Graph(frozenset([*schema.column_names, "features"]))
    graph.output("features", features_of(graph, schema), np.float32, len(schema.feature_names))
    graph.write(tmp_path / "columns.onnx", "columns", {})
    return opened(tmp_path / "columns.onnx").run(None, feeds(schema, frame))[0]


def test_dates_give_the_parts_that_they_give_the_leader(tmp_path):
    """Over four centuries, leap days and years without one among them."""
    first, last = datetime.datetime(1599, 1, 1), datetime.datetime(2101, 1, 1)
    low, high = ((moment - datetime.datetime(1970, 1, 1)).total_seconds() for moment in (first, last))
    schema = Schema((Column("when", "datetime", parts=("month", "weekday", "hour"), low=low, high=high),))
    stamps = np.arange(low, high, 86_400 * 9 + 3_607).astype("datetime64[s]")
    days = pd.to_datetime(
        ["1600-02-29", "1900-02-28", "1900-03-01", "2000-02-29", "2100-12-31T23:59:59", None], format="ISO8601"
    )
    frame = pd.DataFrame({"when": pd.Series(np.concatenate([stamps, days]))})
    np.testing.assert_array_equal(graph_features(schema, frame, tmp_path), schema.encode(frame).features)


def test_texts_give_the_codes_that_they_give_the_leader(tmp_path):
    columns = (
        Column("city", "categorical", categories=("", "7", "N/A", "a b"), is_optional=True),
        Column("town", "categorical", categories=("x",), is_optional=True),
        Column("flag", "boolean", categories=("False", "True"), is_optional=True),
    )
    texts = [
        None,
        "",
        "7",
        "07",
        "N/A",
        " n/a ",
        "a b",
        "?",
        "NULL",
        " Yes",
        "TRUE",
        "f",
        "0",
        "maybe",
        "x",
        "–",
        "(na)",
    ]
    frame = pd.DataFrame({column.name: pd.Series(texts, dtype=object) for column in columns})
    schema = Schema(columns)
    np.testing.assert_array_equal(graph_features(schema, frame, tmp_path), schema.encode(frame).features)


def test_numbers_are_scaled_as_for_the_leader(tmp_path):
    from stacktune.data.scale import Scale

    columns = (
        Column("far", "numeric", scale=Scale(offset=1e9), low=1e9, high=1e9 + 5),
        Column("tiny", "numeric", scale=Scale(factor=2.0**-150)),
        Column("wide", "numeric", scale=Scale(log_from=1e-300)),
        Column("plain", "numeric"),
    )
    values = [0.0, 1.0, -2.5, 1e-299, -1e-300, 1e300, -1e300, 1e39, np.inf, -np.inf, np.nan, 1e9 + 0.25]
    frame = pd.DataFrame({column.name: values for column in columns})
    schema = Schema(columns)
    np.testing.assert_allclose(
        graph_features(schema, frame, tmp_path), schema.encode(frame).features, rtol=1e-6, atol=1e-30
    )


def test_made_up_rows_miss_values_and_have_unseen_levels(stacked):
    leader, _ = stacked
    frame = probe_rows(leader.schema)
    assert frame.isna().any().all()
    assert frame.iloc[0].isna().all()
    assert not set(frame["city"].dropna()) <= {*Leader.load(leader.folder).schema.columns[3].categories}
