"""Looking at a table before a run says what the run says."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from stacktune.data.profile import TARGET
from stacktune.errors import DataError
from stacktune.families import registry
from stacktune.host import cores_here
from stacktune.observers import Observers
from stacktune.report.described import _Items, described_view, show_described
from stacktune.runs.begin import begin, problem_notes, read, scope_of
from stacktune.runs.describe import describe
from stacktune.search.plan.plan import ClusterSize
from stacktune.settings.read import load_settings

N_ROWS = 3_000
LONG = "a_column_with_a_name_that_no_terminal_has_the_room_for"
KEYS = (
    *("data", "target", "task", "positive", "weight", "keep", "metric", "folds", "group", "time", "fold_column"),
    *("time_budget", "max_trials"),
)


def flags(path, **given):
    return dict.fromkeys(KEYS) | {"data": str(path), **given}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    rare = rng.permutation(np.repeat(["good", "bad", "ugly"], [N_ROWS - 303, 300, 3]))
    frame = pd.DataFrame(
        {
            "number": np.arange(N_ROWS),
            "constant": 1,
            "amount": rng.normal(size=N_ROWS),
            LONG: rng.choice(["one", "two"], N_ROWS),
            "customer_id": rng.integers(0, 200, N_ROWS),
            "sold": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 1_000, N_ROWS), unit="h"),
            "leak": rare,
            "y": rare,
        }
    )
    path = tmp_path_factory.mktemp("described") / "table.parquet"
    pd.concat([frame, frame.iloc[:20]]).to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def described(table):
    return describe(flags(table, target="y"), 100_000)


def notes_of_run(path, cluster, **given):
    """What a run of the same settings says before it searches, less what it says of Ray."""
    start = begin(load_settings({"data": str(path), **given}), Observers(()), None, None)
    data = read(start, cluster)
    scope = scope_of(start, data, cluster)
    return data, scope, problem_notes(data, scope)


def test_it_says_what_a_run_says(table, described):
    cluster = ClusterSize(cores_here().n, 0)
    data, scope, said = notes_of_run(table, cluster, target="y")
    assert list(described.notes)[: len(said)] == said
    assert [note for note in described.notes if note not in said] == [
        "20 rows have the features of an earlier row: such rows stay together, in one fold"
    ]
    for word in ("leak says y exactly", "row numbers", "one value only", "--time sold", "--group customer_id"):
        assert any(word in note for note in said), word
    intended = described.intended
    assert intended.families == tuple(scope.families)
    assert (intended.metric, intended.folds) == (data.problem.metric.name, data.problem.folds.n_folds)


def test_families_that_are_not_tried_are_named_with_the_reason(table, monkeypatch, capsys):
    """It listed fewer than there are, and said nothing of the others."""
    monkeypatch.setattr(registry, "_is_installed", lambda family: family.name != "catboost")
    registry.all_families.cache_clear()
    try:
        found = describe(flags(table, target="y"), 100_000)
    finally:
        monkeypatch.undo()
        registry.all_families.cache_clear()
    untried = found.intended.untried
    assert untried["catboost"] == 'not installed; pip install "stacktune[catboost]" adds it'
    assert untried["nas"]
    assert set(untried) | set(found.intended.families) == set(registry.known_families())
    show_described(found, False, lambda line: None)
    assert "without catboost: not installed" in capsys.readouterr().out


def test_of_a_sample_the_same_folds_and_families_follow(tmp_path):
    rng = np.random.default_rng(1)
    n_rows = 30_000
    frame = pd.DataFrame(rng.normal(size=(n_rows, 20))).rename(columns="x{}".format)
    frame.assign(y=rng.random(n_rows) < 0.02).to_parquet(tmp_path / "large.parquet")
    whole, sampled = (describe(flags(tmp_path / "large.parquet", target="y"), n) for n in (n_rows, 2_000))
    assert (sampled.n_rows, sampled.profile.n_rows) == (n_rows, 2_000)
    assert sampled.intended == whole.intended
    assert [note for note in sampled.notes if "positive class" not in note] == [
        note for note in whole.notes if "positive class" not in note
    ], "no count of the sample's rows is told as the table's"
    (few, all_of_them) = (one.profile.columns[0].top for one in (sampled, whole))
    assert few[1][1] / 2_000 == pytest.approx(all_of_them[1][1] / n_rows, rel=0.1)


def test_csv_is_described_as_parquet_is(table, described, tmp_path):
    pd.read_parquet(table).to_csv(tmp_path / "table.csv", index=False)
    of_csv = describe(flags(tmp_path / "table.csv", target="y"), 100_000)
    assert set(of_csv.notes) - set(described.notes) == {
        "CSV is slower to read than Parquet, and its column types are guesses"
    }
    assert of_csv.profile.columns == described.profile.columns


def test_without_a_target_it_tells_of_the_columns(table):
    alone = describe(flags(table), 1_000)
    assert alone.intended is None
    assert (alone.n_rows, alone.profile.n_rows) == (N_ROWS + 20, 1_000)
    assert TARGET not in {one.role for one in alone.profile.columns}
    assert alone.command == f"stacktune describe {table} --target COLUMN"


def test_it_refuses_what_a_run_refuses(table):
    with pytest.raises(DataError, match=r"no target column 'Y'\. Did you mean 'y'\?"):
        describe(flags(table, target="Y"), 100)


def test_the_command_is_the_run_of_the_same_settings(table):
    seen = describe(flags(table, target="y", group="customer_id", max_trials=5), 500)
    assert seen.command == f"stacktune run {table} --target y --group customer_id --max-trials 5"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_terminal(described, width):
    shown = io.StringIO()
    Console(file=shown, width=width).print(described_view(described))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    begins = next(place for place, line in enumerate(lines) if line.startswith("a_column"))
    assert "".join(line.split()[0] for line in lines[begins : begins + 4]).startswith(LONG), "wrapped, not cut"


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_number_is_cut_however_narrow_the_terminal(described, width):
    shown = io.StringIO()
    Console(file=shown, width=width).print(described_view(described))
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if re.search(r"[\d.]…", line)]
    assert any("%" in line for line in lines)


def test_an_items_text_is_begun_where_its_number_has_no_room():
    shown = io.StringIO()
    items = _Items(["existing paid 53%", "critical account 29%", "12345 9%"], False, "")
    for width in (26, 47, 60):
        Console(file=shown, width=width).print(items)
    assert [line.rstrip() for line in shown.getvalue().splitlines()] == [
        "existing paid 53%, critic…",
        "existing paid 53%, critical account 29% …",
        "existing paid 53%, critical account 29%, 12345 9%",
    ]


def test_it_says_what_to_type_next_and_programs_are_not_told(described):
    lines = []
    show_described(described, False, lines.append)
    assert lines == [f"next: {described.command}"]
    lines.clear()
    show_described(described, True, lines.append)
    assert not any(line.startswith("next:") for line in lines)


def test_programs_get_json(described):
    lines = []
    show_described(described, True, lines.append)
    document = json.loads("\n".join(lines))
    assert document["n_rows"] == document["n_rows_looked_at"] == N_ROWS + 20
    assert [column["name"] for column in document["columns"]][:2] == ["y", "number"]
    assert document["intended"]["task"] == "multiclass"
