"""Targets that are written otherwise than a program expects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from in_process import fit, write_table

from field_cases import Case

_N = 600


def _features(random: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(random.normal(size=(_N, 3)), columns=list("abc"))


def _numbers_in_text(folder: Path) -> tuple[str, bool]:
    frame = _features(np.random.default_rng(0))
    amounts = 50_000 + 9_000 * frame["a"] + 4_000 * frame["b"]
    spelled = {
        "1,234": [f"{value:,.0f}" for value in amounts],
        "$3.50": [f"${value:.2f}" for value in amounts],
        "1,5": [f"{value:.1f}".replace(".", ",") for value in amounts],
        "12%": [f"{value:.1f}%" for value in amounts],
        "one N/A": ["N/A", *(f"{value:.2f}" for value in amounts[1:])],
        "dates": [f"{day:%Y-%m-%d}" for day in pd.Timestamp("1900-01-01") + pd.to_timedelta(amounts.round(), "D")],
    }
    gives, is_right = [], True
    for place, (name, texts) in enumerate(spelled.items()):
        (folder / str(place)).mkdir()
        fitted = fit(frame.assign(y=texts), "y", folder / str(place), ("linear",), n_folds=3)
        kind, n_rows = fitted.dataset.task.kind, fitted.dataset.table.n_rows
        score = fitted.board.leader.score / np.std(fitted.dataset.table.target)
        gives.append(f"{name}: {kind} on {n_rows} rows, RMSE {score:.2f} of the target's deviation")
        is_right &= kind == "regression" and n_rows >= _N - 1 and score < 0.2
    return "; ".join(gives), is_right


def _other_spelling(folder: Path) -> tuple[str, bool]:
    random = np.random.default_rng(0)
    frame = _features(random)
    truth = (frame["a"] + 0.5 * random.normal(size=_N) > 0).to_numpy()
    data = frame.assign(y=truth.astype(int))
    spelled = {
        "0 and 1": truth.astype(int),
        "truth values": truth,
        "True": np.where(truth, "True", "False"),
        "1.0": np.where(truth, "1.0", "0.0"),
        "YES": np.where(truth, "YES", "NO"),
    }
    gives = {}
    for place, (name, target) in enumerate(spelled.items()):
        (folder / str(place)).mkdir()
        test = write_table(frame.assign(y=target), folder / str(place), "test.parquet")
        fitted = fit(data, "y", folder / str(place), ("linear",), n_folds=3, test_data=str(test))
        gives[name] = fitted.board.leader.test["roc_auc"]
    text = ", ".join(f"{name} {value:.3f}" for name, value in gives.items())
    return f"test ROC AUC with {text}", len(set(gives.values())) == 1 and 0.9 < min(gives.values()) < 1


CASES = [
    Case(
        name="13 target of numbers in text",
        before="multiclass on 8 of 600 rows for 1,234 and dates; else refused as classes of too few rows",
        right="regression on every row that has a number",
        measure=_numbers_in_text,
    ),
    Case(
        name="11 test target in another spelling",
        before="refused: no test row has a target that the training data knows",
        right="the same score as with the training table's spelling",
        measure=_other_spelling,
    ),
]
