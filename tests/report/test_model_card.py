"""What a leader's users should know is written beside it, and is what the run says."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import fit

from stacktune.report.model_card import licence_of, model_card, write_model_card
from stacktune.report.outputs import RunSummary


def summary_of(folder: Path, **changed) -> RunSummary:
    facts = {field.name: None for field in fields(RunSummary)}
    facts |= {"folder": folder, "task": "binary", "target": "y", "metric": "roc_auc", "positive": "yes"}
    facts |= {"threshold": 0.25, "greater_is_better": True, "n_completed": 7, "wall_s": 61.0, "predict_us": 12.0}
    return RunSummary(**{**facts, **changed})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a|b `c`": random.normal(size=240), "town": random.choice(["x", "z"], 240), "same": 1})
    frame["y"] = np.where(frame.iloc[:, 0] + random.normal(size=240) > 0.7, "yes", "no")
    folder = tmp_path_factory.mktemp("card")
    return fit(frame, "y", folder, ("linear",), test_size=0.2, n_folds=3), folder


def test_the_card_has_what_the_run_has(fitted):
    run, folder = fitted
    text = model_card(summary_of(folder, decided_by="f1"), run.board, run.dataset, ["numpy==1.2", "no-such-thing==1"])
    row = run.board.leader
    assert f"{run.dataset.table.n_rows} rows of `table`; digest `{run.dataset.digest}`" in text
    assert f"| roc_auc | {row.score:.4f} ± " in text
    assert f"| {row.test['roc_auc']:.4f} |" in text
    assert "decides for `yes` from a probability of 0.25 on, which suits f1 best" in text
    assert "| linear-0000 | linear | 1.000 |" in text
    shares = np.bincount(run.dataset.table.labels) / run.dataset.table.n_rows
    assert f"`no` {shares[0]:.2%}, `yes` {shares[1]:.2%}" in text
    assert all(note in text for note in run.dataset.notes)
    assert "no-such-thing==1: not installed here" in text
    assert text.count("To be filled in by the model's owner") == 3


def test_names_cannot_break_out_of_their_place(fitted):
    run, folder = fitted
    text = model_card(summary_of(folder), run.board, run.dataset, ())
    assert r"`a\|b 'c'`" in text


def test_of_values_it_tells_where_they_lie_and_what_intervals_hold(fitted):
    run, folder = fitted
    table = replace(run.dataset.table, target=np.arange(run.dataset.table.n_rows, dtype=np.float64))
    dataset = replace(run.dataset, table=table, task=replace(run.dataset.task, kind="regression", classes=()))
    interval = {"level": 0.9, "coverage": 0.893}
    summary = summary_of(folder, task="regression", positive=None, threshold=None, interval=interval)
    text = model_card(summary, run.board, dataset, ())
    assert "a value, from" in text
    assert "median 95.5" in text
    assert "Intervals of level 0.9 held 89.3% of the rows out of fold" in text
    assert "decides for" not in text


def test_it_is_written_in_the_run_and_beside_the_leader(fitted):
    run, folder = fitted
    path = write_model_card(summary_of(folder), run.board, run.dataset)
    assert path == folder / "model_card.md"
    text = path.read_text()
    assert (folder / "leader" / "model_card.md").read_text() == text
    assert f"scikit-learn=={metadata.version('scikit-learn')}: BSD-3-Clause" in text
    assert "- xgboost==" not in text
    code = text.partition("```python\n")[2].partition("```")[0]
    compile(code, "card", "exec")


@pytest.mark.parametrize(
    ("library", "licence"), [("lightgbm", "MIT"), ("xgboost", "Apache-2.0"), ("scipy", "BSD License")]
)
def test_licences_are_those_that_libraries_state(library, licence):
    assert licence_of(library) == licence
