"""A table to predict in which a column loses nearly all its values says so."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from in_process import fit
from typer.testing import CliRunner

from stacktune import cli
from stacktune.data.schema import infer_schema
from stacktune.errors import DataWarning

N = 200
TRAIN = pd.DataFrame(
    {
        "code": [f"{place % 40:03}" for place in range(N)],
        "age": np.arange(N) % 70 + 0.5,
        "when": pd.date_range("2020-01-01", periods=N, freq="17h"),
        "flag": np.arange(N) % 3 == 0,
        "mostly": ["?" if place % 25 else str(place / 4) for place in range(N)],
    }
)
SCHEMA = infer_schema(TRAIN, set())[0]


def message_of(frame):
    return SCHEMA.encode_with_message(frame)[1]


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("code", [1000 + place % 40 for place in range(N)], "code (100 % were never seen in training)"),
        ("code", pd.Categorical(["x"] * N), "code (100 % were never seen in training)"),
        ("age", ["1,5"] * N, "age (100 % are no numbers)"),
        ("age", ["1,5", None] * (N // 2), "age (100 % are no numbers)"),
        ("age", ["many"] * 195 + ["2.5"] * 5, "age (97.5 % are no numbers)"),
        ("when", ["31.12.2020"] * N, "when (100 % are no dates near those of training)"),
        ("when", pd.date_range("2920-01-01", periods=N), "when (100 % are no dates near those of training)"),
        ("flag", ["vielleicht"] * N, "flag (100 % were never seen in training)"),
    ],
)
def test_a_column_that_is_lost_is_named_with_its_share(column, values, what):
    text = message_of(TRAIN.assign(**{column: values}))
    assert text.startswith("the model cannot use values of 1 column in these 200 rows")
    assert what in text


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (TRAIN.assign(age=["1,5" if place % 2 else 1.5 for place in range(N)]), "age (50 % are no numbers)"),
        (TRAIN.head(1).assign(age="1,5"), "in these 1 row, and predicts as if they were not known: age (100 %"),
        (TRAIN.head(1).assign(when="31.12.20x"), "when (100 % are no dates"),
    ],
)
def test_numbers_and_dates_that_are_lost_in_part_are_named(frame, what):
    """Half of a column in another convention, or a row alone, was lost in silence: answers were .99 off."""
    assert what in message_of(frame)


def test_missing_values_are_not_lost():
    assert message_of(TRAIN.assign(age=np.where(np.arange(N) % 2, np.nan, 1.5), when=pd.NaT, flag=None)) == ""
    assert message_of(TRAIN.assign(age=["N/A"] * N)) == ""


def test_columns_that_are_lost_are_one_warning():
    frame = TRAIN.assign(age="?!", code="x")
    with pytest.warns(DataWarning, match=r"of 2 columns .* age \(100 % are no numbers\), code \(100 % were") as caught:
        SCHEMA.encode(frame)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "frame",
    [
        TRAIN,
        TRAIN.assign(age=[None] * N),
        TRAIN.assign(age=np.inf),
        TRAIN.assign(age=["n/a"] * N),
        TRAIN.assign(code=["new"] * 150 + ["001"] * 50),
        TRAIN.head(19).assign(code="new"),
        TRAIN.assign(code=["new"] * 19 + [None] * (N - 19)),
    ],
)
def test_what_is_missing_or_partly_new_is_no_loss(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SCHEMA.encode(frame)


def test_the_command_says_it_in_a_line(tmp_path):
    y = np.random.default_rng(0).random(N) < 0.5
    leader = fit(TRAIN.assign(y=y), "y", tmp_path).leader
    TRAIN.assign(age="1,5").to_parquet(tmp_path / "new.parquet")
    words = ["predict", str(leader.folder), str(tmp_path / "new.parquet"), "--output", str(tmp_path / "p.csv")]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0
    assert result.stderr.startswith("Note: the model cannot use values of 1 column in these 200 rows")
    assert result.stdout.startswith("200 predictions in ")
    assert f"\nnext: stacktune explain {leader.folder} " in result.stdout, "what to type next"


def test_labelled_test_rows_say_it_in_the_notes_of_the_run(tmp_path):
    y = np.random.default_rng(0).random(N) < 0.5
    TRAIN.assign(age="1,5", y=y).to_parquet(tmp_path / "test.parquet")
    fitted = fit(TRAIN.assign(y=y), "y", tmp_path, test_data=str(tmp_path / "test.parquet"))
    assert [note for note in fitted.dataset.notes if note.startswith("test data: the model cannot use")]


def test_dates_far_from_the_others_are_no_loss_where_training_had_such():
    far = [*TRAIN["when"].astype("datetime64[us]")[:100], *[pd.Timestamp("9999-12-31")] * 100]
    schema, _ = infer_schema(pd.DataFrame({"end": far}), set())
    assert schema.encode_with_message(pd.DataFrame({"end": far[150:]}))[1] == ""
