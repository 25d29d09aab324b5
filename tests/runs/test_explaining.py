"""A run explains its leader in the seconds that it has left, and in no others."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from in_process import Fitted, fit

from stacktune.explain import explanation
from stacktune.explain.explanation import read
from stacktune.explain.held_out import looked_at
from stacktune.runs.explaining import explain_leader, spare_s
from stacktune.runs.pace import Clock, Pace
from stacktune.settings.groups import Settings
from stacktune.storage.run_folder import RunFolder, TrialFolder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Fitted:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(300, 4)), columns=list("abcd"))
    frame["y"] = np.where(frame["a"] + frame["b"] + random.normal(size=300) > 0, "yes", "no")
    return fit(frame, "y", tmp_path_factory.mktemp("run"), ("lightgbm", "linear"), n_folds=3)


def session_of(fitted: Fitted, folder: Path, budget_s: float | None = None, elapsed_s: float = 0.0) -> Any:
    """Return all that explaining asks of a run."""
    problem, phases, notes = fitted.problem, [], []
    return SimpleNamespace(
        folder=folder,
        places=RunFolder(folder),
        clock=Clock(time.monotonic() - elapsed_s, budget_s),
        pace=Pace(),
        looked=looked_at(problem.table, problem.task, problem.folds, 0),
        dataset=fitted.dataset,
        problem=problem,
        test=None,
        config=Settings("table.parquet", "y"),
        begin=phases.append,
        note=notes.append,
        phases=phases,
        notes=notes,
    )


def explained(fitted: Fitted, session: Any):
    return explain_leader(session, fitted.board, fitted.results, fitted.leader)


def test_without_a_budget_it_is_kept_in_the_folder(fitted, tmp_path):
    session = session_of(fitted, tmp_path)
    found = explained(fitted, session)
    kept = read(session.places.explanation)
    pd.testing.assert_frame_equal(kept.importance, found.importance)
    assert (kept.out_of_fold, kept.metric, kept.looked_at) == (True, "roc_auc", "yes")
    assert set(kept.importance["column"][:2]) == {"a", "b"}
    assert session.phases == ["explaining"]
    assert session.notes[0] in {f"the leader predicts most by {told}: see explanation/" for told in ("a, b", "b, a")}


def test_a_run_without_a_report_keeps_no_explanation_of_an_earlier_leader(fitted, tmp_path):
    session = session_of(fitted, tmp_path)
    explained(fitted, session)
    session.config = replace(session.config, no_report=True)
    assert explained(fitted, session) is None
    assert not session.places.explanation.exists()


@pytest.mark.parametrize(("budget_s", "elapsed_s"), [(60.0, 59.5), (60.0, 70.0), (20.0, 18.7)])
def test_a_run_whose_budget_is_over_has_nothing_of_it(fitted, tmp_path, budget_s, elapsed_s):
    session = session_of(fitted, tmp_path, budget_s, elapsed_s)
    assert explained(fitted, session) is None
    assert session.phases == []
    command = f"stacktune explain {tmp_path} TABLE"
    assert session.notes == [
        f"the leader is not explained, as time was up: {command} does it, by rows it has not learnt from"
    ]
    assert list(tmp_path.iterdir()) == []


def test_it_keeps_to_what_is_left(fitted, tmp_path):
    session = session_of(fitted, tmp_path, 60.0, 54.8)
    assert 2.2 < spare_s(session) <= 2.3
    assert explained(fitted, session).seconds < 2.3
    assert session.clock.remaining_s() > 0.8
    assert spare_s(session_of(fitted, tmp_path, 3600.0, 60.0)) == 15.0
    assert spare_s(session_of(fitted, tmp_path)) is None


def test_a_run_killed_amid_explaining_leaves_no_half_of_it_and_explains_when_it_goes_on(fitted, tmp_path, monkeypatch):
    session = session_of(fitted, tmp_path)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(explanation, "_facts_of", die)
    monkeypatch.setattr("stacktune.storage.atomic.remove", lambda path: None)  # a killed process removes nothing
    with pytest.raises(KeyboardInterrupt):
        explained(fitted, session)
    assert read(session.places.explanation) is None
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    explained(fitted, session_of(fitted, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["explanation"]


def test_what_was_said_of_another_leader_goes(fitted, tmp_path):
    explained(fitted, session_of(fitted, tmp_path))
    assert explained(fitted, session_of(fitted, tmp_path, 60.0, 70.0)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_broken_model_costs_the_explanation_and_not_the_run(fitted, tmp_path):
    trials = [replace(one, folder=str(tmp_path / one.trial_id)) for one in fitted.results]
    for one, copy in zip(fitted.results, trials, strict=True):
        for fold in range(3):
            folder = TrialFolder(copy.place).fold(fold)
            folder.mkdir(parents=True)
            for file in TrialFolder(one.place).fold(fold).iterdir():
                (folder / file.name).write_bytes(b"broken")
        np.save(TrialFolder(copy.place).out_of_fold, np.load(TrialFolder(one.place).out_of_fold))
    session = session_of(fitted, tmp_path / "run")
    assert explain_leader(session, fitted.board, trials, fitted.leader) is None
    assert session.notes[0].startswith("the leader is not explained: ")
