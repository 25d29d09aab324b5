"""Describes a finished run's models, for MLflow's pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stacktune.ensemble.leader import read_manifest
from stacktune.ensemble.rows import ENSEMBLE, TRIAL
from stacktune.report.results import read_board, read_members
from stacktune.runs.state import read_state
from stacktune.settings.problem import IN_MEMORY
from stacktune.storage.run_folder import RunFolder, find_leader
from stacktune.storage.uris import masked
from stacktune.tracking.notes import ModelFacts, model_note, run_note, version_note
from stacktune.tracking.registry import LeaderRecord, describe_version
from stacktune.tracking.tracker import Tracker


def model_facts(
    folder: Path, row: Mapping[str, Any] | None = None, members: Sequence[tuple[str, float]] = ()
) -> ModelFacts:
    """Return what is told of a run's model.

    row: of the leaderboard; the leader's by default. members: (trial, weight) of another row, if it is an ensemble.
    """
    places, state = RunFolder(folder), read_state(folder)
    facts, config = places.read_summary(), places.read_config() or {}
    leads = row is None or row["name"] == facts["leader"]
    row = _row_of(places, facts["leader"]) if row is None else row
    if leads:
        members = read_members(places.leader)
    elif not members:
        members = ((str(row["name"]), 1.0),)
    source = masked(str(config.get("data", "")))
    return ModelFacts(
        name=facts["leader"] if leads else str(row["name"]),
        kind=str(row.get("kind", ENSEMBLE if len(members) > 1 else TRIAL)),
        task=facts.get("task", ""),
        target=facts.get("target", ""),
        metric=facts["metric"],
        score=facts["cv_score"] if leads else row["score"],
        score_se=_known(row.get("score_se")),
        n_folds=state.n_folds if state.n_folds > 1 else None,
        test_score=_known(facts.get("test_score") if leads else row.get("test_score")),
        positive=facts.get("positive"),
        threshold=_known(facts.get("threshold") if leads else row.get("threshold")),
        predict_us=_known(facts.get("predict_us") if leads else row.get("predict_us")),
        data="a table in memory" if source == IN_MEMORY else source.rstrip("/").rpartition("/")[2],
        source=source,
        n_rows=state.n_rows,
        columns=_columns(folder),
        members=tuple(members),
        folder=folder.name,
        experiment_id=facts.get("experiment_id"),
        run_id=facts.get("parent_run_id"),
    )


def describe_run(tracker: Tracker, folder: Path, record: LeaderRecord) -> None:
    """Describe a finished run and its leader's version."""
    facts, summary = model_facts(folder), RunFolder(folder).read_summary()
    n_trials = sum(summary.get(f"n_{status}", 0) for status in ("completed", "stopped", "failed"))
    version = None if record.name is None or record.version is None else (record.name, record.version)
    tracker.describe(run_note(facts, n_trials, version))
    describe_model(tracker.uri, record, facts)


def describe_model(uri: str, record: LeaderRecord, facts: ModelFacts) -> None:
    """Describe a registered version, and its model once."""
    if record.name is not None and record.version is not None:
        note = version_note(facts, record.name, record.version)
        describe_version(uri, record.name, record.version, model_note(facts), note)


def _row_of(places: RunFolder, name: str) -> Mapping[str, Any]:
    """Return a row of the leaderboard, empty without one."""
    if not places.board.is_file():
        return {}
    frame = read_board(places)
    found = frame[frame["name"] == name].to_dict("records")
    return found[0] if found else {}


def _columns(folder: Path) -> tuple[tuple[str, str], ...]:
    leader = find_leader(folder)
    if leader is None:
        return ()
    columns = read_manifest(leader)["schema"]["columns"]
    return tuple((str(column["name"]), str(column["kind"])) for column in columns)


def _known(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
