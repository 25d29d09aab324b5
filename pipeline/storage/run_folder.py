"""Names all files in a run's folder.

Nothing else spells these names. What the records mean is known to those who make them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stacktune.errors import ConfigError
from stacktune.storage.lines import write_whole

# The parent of runs that are given no folder, and MLflow's database beside them.
DEFAULT_PARENT, STORE = "stacktune-runs", "mlflow.db"
SUMMARY, BOARD, BOARD_AS_TEXT = "run.json", "leaderboard.parquet", "leaderboard.csv"
CONFIG, STATE, JOURNAL, SPOOL = "config.yaml", "state.json", "journal.jsonl", "tracking.jsonl"
# What was decided, for people; nothing is read back from it.
EVENTS = "events.jsonl"
LEADER, TRIALS = "leader", "trials"
# What the run and its libraries said, and the part before it of a long one.
LOG, OLDER_LOG = "run.log", "run.log.1"
# What the leader's out-of-fold predictions are made of.
OUT_OF_FOLD = "out_of_fold.npz"
# What the columns of its table held.
COLUMNS = "columns.json"
# The report, for people and for programs.
REPORT, REPORT_NUMBERS, PLOTS = "report.html", "report.json", "plots"
# What the leader predicts by, on those rows.
EXPLANATION = "explanation"
# What users of the leader should know, beside it and in the run's folder.
MODEL_CARD = "model_card.md"
# In a copy of a run; the journal goes last, as what it says of trials is to be there by then.
_ENDING = (SUMMARY, BOARD, BOARD_AS_TEXT, OUT_OF_FOLD, COLUMNS, REPORT, REPORT_NUMBERS, MODEL_CARD)
COPIED = (OLDER_LOG, LOG, CONFIG, *_ENDING, SPOOL, EVENTS, STATE, JOURNAL)
# The leader itself, inside the MLflow model that brings it along.
LEADER_MANIFEST = "leader.json"
_LEADERS = ("", "data/*/", f"{LEADER}/", f"{LEADER}/data/*/")
# What is read of every summary, also of older versions.
_FACTS = {"metric": str, "leader": str, "cv_score": int | float, "wall_s": int | float}


@dataclass(frozen=True)
class RunFolder:
    """The files of the run at `path`."""

    path: Path

    @property
    def config(self) -> Path:
        """Every setting, resolved."""
        return self.path / CONFIG

    @property
    def state(self) -> Path:
        """The record of what may not change.

        It stays so while the run goes on.
        """
        return self.path / STATE

    @property
    def journal(self) -> Path:
        """The events of the search, a line each."""
        return self.path / JOURNAL

    @property
    def events(self) -> Path:
        """What the run decided, a line each."""
        return self.path / EVENTS

    @property
    def out_of_fold(self) -> Path:
        """What the leader's out-of-fold predictions are made of."""
        return self.path / OUT_OF_FOLD

    @property
    def columns(self) -> Path:
        """What the columns of its table held."""
        return self.path / COLUMNS

    @property
    def report(self) -> Path:
        """The report as a page."""
        return self.path / REPORT

    @property
    def plots(self) -> Path:
        """A folder with the report's charts as files."""
        return self.path / PLOTS

    @property
    def report_numbers(self) -> Path:
        """The report's numbers, for programs."""
        return self.path / REPORT_NUMBERS

    @property
    def explanation(self) -> Path:
        """A folder that says what the leader predicts by."""
        return self.path / EXPLANATION

    @property
    def spool(self) -> Path:
        """The news that MLflow has not been told."""
        return self.path / SPOOL

    @property
    def summary(self) -> Path:
        """The outcome: it marks a finished run."""
        return self.path / SUMMARY

    @property
    def board(self) -> Path:
        """The leaderboard, for programs."""
        return self.path / BOARD

    @property
    def board_as_text(self) -> Path:
        """The leaderboard, for people."""
        return self.path / BOARD_AS_TEXT

    @property
    def leader(self) -> Path:
        """The leader as an MLflow model."""
        return self.path / LEADER

    @property
    def model_card(self) -> Path:
        """What users of the leader should know."""
        return self.path / MODEL_CARD

    @property
    def trials(self) -> Path:
        """A folder for each completed trial."""
        return self.path / TRIALS

    @property
    def log(self) -> Path:
        """The log of the run and its libraries."""
        return self.path / LOG

    @property
    def older_log(self) -> Path:
        """Return the path of the older log.

        It has what was said before, in a run that says much.
        """
        return self.path / OLDER_LOG

    @property
    def first_model(self) -> Path:
        """The place to fit the first model.

        It is used while Ray starts.
        """
        return self.path / ".first"

    @property
    def scratch(self) -> Path:
        """The place to put models together.

        It is removed at the end.
        """
        return self.path / ".scratch"

    @property
    def broken_off(self) -> Path:
        """The words of a Ray Tune that broke off."""
        return self.path / "broken-off.txt"

    @property
    def is_finished(self) -> bool:
        """Return whether the run has ended with its results."""
        return self.summary.is_file() and self.board.is_file()

    def write_summary(self, facts: Mapping[str, Any]) -> Path:
        """Write the outcome whole or not at all.

        Returns its path.
        """
        write_whole(self.summary, json.dumps(facts, indent=2) + "\n")
        return self.summary

    def read_config(self) -> dict[str, Any] | None:
        """Return the settings as they are written.

        They are None where there are none, or what no run wrote.
        """
        import yaml

        try:
            settings = yaml.safe_load(self.config.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError):
            return None
        return settings if isinstance(settings, dict) else None

    def read_summary(self) -> dict[str, Any]:
        """Return the outcome.

        Raises ConfigError where the file is not what a run wrote.
        """
        try:
            facts = json.loads(self.summary.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            facts = None
        if not isinstance(facts, dict) or not all(isinstance(facts.get(name), kind) for name, kind in _FACTS.items()):
            raise ConfigError(
                f"{str(self.summary)!r} is not what a run wrote, as after a full disk: "
                "remove it, and stacktune run --resume with its folder writes it anew."
            )
        return facts


# Stands for a fold's number where a model was fitted on all rows.
ALL_ROWS = -1


@dataclass(frozen=True)
class TrialFolder:
    """The files of a trial below `path`."""

    path: Path

    @property
    def result(self) -> Path:
        """The trial's fate, written last."""
        return self.path / "result.json"

    @property
    def out_of_fold(self) -> Path:
        """Return the path of the trial's out-of-fold predictions.

        Each is by a model that has not learnt from the row; rows that no model is judged on have NaN.
        """
        return self.path / "oof.npy"

    def fold(self, number: int) -> Path:
        """Return the path of one fold's model.

        It was fitted on all folds but this one, or on all rows before it in time. number: or ALL_ROWS.
        """
        return self.path / ("all_rows" if number == ALL_ROWS else f"fold{number}")

    def folds(self) -> list[Path]:
        """Return the folds' models that are there."""
        return sorted(self.path.glob("fold[0-9]*"))

    def models(self) -> list[Path]:
        """Return the models that predict new rows.

        They are the folds', or the one that was fitted on all rows since.
        """
        on_all_rows = self.fold(ALL_ROWS)
        return [on_all_rows] if on_all_rows.is_dir() else self.folds()


def find_leader(root: Path) -> Path | None:
    """Return the folder with the leader's manifest, or None.

    root: the folder of a run, of an MLflow model, or of a leader.
    """
    for place in _LEADERS:
        for manifest in sorted(root.glob(f"{place}{LEADER_MANIFEST}")):
            return manifest.parent
    return None


# What is said of such a folder where a run's is asked for.
MODEL_ALONE = (
    " It holds a model without its run, as stacktune distil writes it: nothing tells of trials or scores there, but "
    "stacktune predict, explain and export take it."
)


def model_hint(folder: Path) -> str:
    """Return a hint on a leader without a run.

    It is empty for others.
    """
    places = RunFolder(folder)
    is_alone = not (places.state.exists() or places.summary.exists()) and find_leader(folder) is not None
    return MODEL_ALONE if is_alone else ""
