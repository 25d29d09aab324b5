"""The command `predict`, and a labelled test table: both read CSV as the model knows it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from in_process import auc, fit
from typer.testing import CliRunner

from stacktune.cli import app
from stacktune.errors import ConfigError
from stacktune.runs.predict import predict


def _table(seed: int, n_rows: int, n_codes: int) -> pd.DataFrame:
    """Rows whose class hangs on a code: of thirty of digits, or of two with a letter beside them."""
    random = np.random.default_rng(seed)
    codes = np.array([*(f"{place:03}" for place in range(30)), "A5", "B7"])
    place = random.integers(0, n_codes, n_rows)
    y = np.where(random.random(n_rows) < np.where(place % 2, 0.9, 0.1), "yes", "no")
    return pd.DataFrame({"zip": codes[place], "x": random.normal(size=n_rows), "y": y})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A leader trained on a CSV file whose codes hold letters too, and judged on one of digits only."""
    folder = tmp_path_factory.mktemp("codes")
    _table(0, 1_000, 32).to_csv(folder / "train.csv", index=False)
    _table(1, 600, 30).to_csv(folder / "test.csv", index=False)
    return fit(folder / "train.csv", "y", folder / "run", test_data=str(folder / "test.csv")), folder


def test_a_csv_file_of_digits_only_is_predicted_like_its_frame(trained):
    """It was all unseen: AUC .558 for .870, exit 0."""
    fitted, folder = trained
    fresh = _table(2, 600, 30)
    fresh.drop(columns="y").to_csv(folder / "new.csv", index=False)
    words = [
        "predict",
        str(folder / "run" / "leader"),
        str(folder / "new.csv"),
        "--output",
        str(folder / "out.parquet"),
    ]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    predicted = pd.read_parquet(folder / "out.parquet")["yes"].to_numpy()
    np.testing.assert_array_equal(predicted, fitted.leader.predict(fresh)["yes"].to_numpy())
    assert auc(fresh["y"] == "yes", predicted) > 0.8


def test_test_data_in_csv_are_read_like_the_training_table(trained):
    fitted, _ = trained
    frame = _table(1, 600, 30)
    np.testing.assert_array_equal(fitted.test.features, fitted.dataset.schema.encode(frame).features)
    assert fitted.board.rows[0].test["roc_auc"] > 0.8


def test_a_table_is_not_written_over_by_its_own_predictions(tmp_path):
    """It was, with the training table gone and status 0."""
    folder = tmp_path / "tables"
    folder.mkdir()
    table = folder / "new.parquet"
    pd.DataFrame({"x": [1.0]}).to_parquet(table)
    before = table.read_bytes()
    for data, output in (
        (table, table),
        (table, folder / ".." / "tables" / "new.parquet"),
        (folder, folder / "p.parquet"),
    ):
        with pytest.raises(ConfigError, match=r"is the table itself, or lies in it: name another file"):
            predict("anywhere", str(data), str(output))
    assert table.read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["new.parquet"]
