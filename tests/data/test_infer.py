"""Row numbers and identifiers are left out and named, unless they are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from in_process import auc, fit

from stacktune.data.dataset import load_dataset
from stacktune.data.schema import infer_schema
from stacktune.errors import DataError
from stacktune.settings.groups import Settings
from stacktune.settings.read import load_settings

RANDOM = np.random.default_rng(0)
N = 400
LEFT_OUT = (
    "dropped 1 column of whole numbers that differ in nearly every row and rise or fall along the table, taken for row "
    "numbers (--keep keeps them): id"
)


def infer(values, keep=()):
    return infer_schema(pd.DataFrame({"id": values, "x": RANDOM.normal(size=len(values))}), set(), keep)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(N),
        np.arange(N)[::-1] + 10**12,
        np.arange(N).astype(float),
        np.sort(RANDOM.choice(10**6, N, replace=False)),
        [str(place + 1) for place in range(N)],
        pd.array(np.arange(N), dtype="Int64"),
        np.concatenate([np.arange(200) + 500, np.arange(200)]),  # files of a folder, read in another order
    ],
)
def test_row_numbers_are_left_out_and_said(values):
    schema, notes = infer(values)
    assert schema.column_names == ["x"]
    assert notes == [LEFT_OUT]
    assert infer(values, keep=["id"])[0].column_names == ["id", "x"]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(99),
        RANDOM.permutation(N),
        np.arange(N) // 2,
        np.arange(N) + 0.5,
        np.where(np.arange(N) % 20 == 7, np.nan, np.arange(N)),
        np.where(np.arange(N) % 10 == 7, 0, np.arange(N)),
        pd.date_range("2020-01-01", periods=N),
        np.sort(RANDOM.normal(size=N)),
    ],
)
def test_what_only_resembles_row_numbers_is_kept(values):
    schema, notes = infer(values)
    assert schema.column_names == ["id", "x"]
    assert not [note for note in notes if "row numbers" in note]


@pytest.mark.parametrize(
    "values",
    [
        np.append(0, np.arange(N - 1)),
        np.where(np.arange(N) == 7, np.nan, np.arange(N)),
        np.concatenate([np.arange(N // 2), np.arange(N - N // 2)]),
        2 * np.arange(N) - 61 * (np.arange(N) % 50 == 7),
    ],
    ids=["one twice", "one missing", "two files", "some out of order"],
)
def test_row_numbers_with_slips_are_row_numbers(values):
    """One duplicate, one null or a second file made an id of rows sorted by class a feature again."""
    schema, notes = infer(values)
    assert (schema.column_names, notes) == (["x"], [LEFT_OUT])


def test_row_numbers_are_learnt_from_where_there_is_nothing_else():
    schema, notes = infer_schema(pd.DataFrame({"x": np.arange(N)}), set())
    assert schema.column_names == ["x"]
    assert notes == ["learns from 1 column of what look like row numbers, since there is no other feature: x"]


def test_an_identifier_is_kept_if_it_is_asked_for():
    texts = [f"user {place}" for place in RANDOM.permutation(N)]
    assert infer(texts)[1] == [
        "dropped 1 column whose text differs in nearly every row, taken for an identifier (--keep keeps it): id"
    ]
    assert len(infer(texts, keep=["id"])[0].columns[0].categories) == N


def test_a_table_sorted_by_class_with_row_numbers_is_not_learnt_from_them(tmp_path):
    """Cross-validated 1.0000, on new rows .500, and no note."""
    frame = pd.DataFrame({"id": np.arange(N), "x": RANDOM.normal(size=N), "y": np.arange(N) >= N // 2})
    fitted = fit(frame, "y", tmp_path)
    assert LEFT_OUT in fitted.dataset.notes
    assert abs(fitted.board.leader.score - 0.5) < 0.15
    new = frame.assign(id=frame["id"] + N, y=RANDOM.random(N) < 0.5)
    assert abs(auc(new["y"], fitted.leader.predict(new)["True"]) - 0.5) < 0.1


def test_the_setting_is_a_list_of_columns(tmp_path):
    frame = pd.DataFrame({"id": np.arange(N), "x": RANDOM.normal(size=N), "y": RANDOM.random(N) < 0.5})
    frame.to_parquet(tmp_path / "t.parquet")
    config = load_settings({"data": str(tmp_path / "t.parquet"), "target": "y", "keep": "id"})
    assert config.keep == ("id",)
    assert load_dataset(config)[0].schema.column_names == ["id", "x"]
    with pytest.raises(DataError, match=r"--keep names 'ids', but the table has no such column\. Did you mean 'id'\?"):
        load_dataset(Settings(str(tmp_path / "t.parquet"), "y", keep=("ids",)))
