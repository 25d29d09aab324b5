"""The leader: the best model, ready to predict.

It holds the best row's fold models, their blend, and all that predicting raw tables needs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stacktune.data.schema import Schema
from stacktune.data.table import Table, Task
from stacktune.ensemble.blend import Blend
from stacktune.ensemble.digests import check_digests, digests_of, refuse_links
from stacktune.ensemble.interval import LOWER, UPPER, Interval
from stacktune.ensemble.member import Member, load_member, predict_members
from stacktune.ensemble.retention import has_models
from stacktune.ensemble.rows import Leaderboard, LeaderboardRow
from stacktune.errors import DataError
from stacktune.metrics import Metric, decide, metrics_for
from stacktune.storage.digests import digest_of
from stacktune.storage.run_folder import LEADER_MANIFEST, TrialFolder
from stacktune.trials.result import TrialResult

if TYPE_CHECKING:
    import pandas as pd

    from stacktune.data.dataset import Dataset

MEMBERS = "members"
# Rises whenever models that an earlier stacktune wrote can no longer be read, a leader's or a trial's.
MODEL_FORMAT = 4


@dataclass(frozen=True)
class Leader:
    """A model that takes raw rows.

    threshold: on the second class's probability, for two classes.
    folder: where the models were read from, which `save` copies. interval: of values, where it was asked for.
    """

    schema: Schema
    task: Task
    target_name: str
    metric_name: str
    threshold: float
    blend: Blend
    members: tuple[Member, ...]
    folder: Path
    interval: Interval | None = None

    def __repr__(self) -> str:
        """Say what it predicts, and by what."""
        by = ", ".join(member.trial_id for member in self.members)
        return f"Leader({self.task.kind} of {self.target_name!r} by {by}, {len(self.schema.columns)} columns)"

    def predict(self, frame: pd.DataFrame, done: Callable[[int], None] = lambda n_rows: None) -> pd.DataFrame:
        """Return predictions, and probabilities for classes.

        They are the column "prediction" and, of classes, a column of probabilities for each, named by its text; of
        values, the columns "lower" and "upper" where an interval was asked for.

        frame: its columns may come in any order and others are ignored; DataError names one that is missing. Its index
            is the predictions' own. "prediction" holds values, or decided classes as the target held them; it is called
            "prediction_" where a class has that name.
        done: hears how many rows more were predicted, where there are many.
        """
        return self._shown(self.schema.encode(frame), frame.index, done)

    def predict_with_message(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        """Return predictions and the warning's text.

        It does what `predict` does, but the text comes instead of the warning; it is empty if all is well.
        """
        table, message = self.schema.encode_with_message(frame)
        return self._shown(table, frame.index), message

    def _shown(self, table: Table, index: pd.Index, done: Callable[[int], None] = lambda n_rows: None) -> pd.DataFrame:
        shown = self.named(self.predict_table(table, done), index)
        return shown if self.task.is_classification else self._with_ends(shown)

    def named(self, predicted: np.ndarray, index: pd.Index) -> pd.DataFrame:
        """Return (n_rows, n_outputs) predictions as `predict` does.

        There are no ends of intervals among them.
        """
        import pandas as pd

        decided = self._decided(predicted, index)
        if not self.task.is_classification:
            return decided.to_frame()
        chances = pd.DataFrame(predicted, index, list(self.task.classes), copy=False)
        chances.insert(0, decided.name, decided.array)
        return chances

    def _with_ends(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.interval is None:
            return frame
        lower, upper = self.interval.ends(frame.iloc[:, 0].to_numpy())
        return frame.assign(**{LOWER: lower, UPPER: upper})

    def predict_table(self, table: Table, done: Callable[[int], None] = lambda n_rows: None) -> np.ndarray:
        """Return (n_rows, n_outputs) float64 predictions of an encoded table.

        Each member is asked once. done: see `predict`.
        """
        return self.blend.combine(predict_members(self.members, table, done))

    def labels(self, frame: pd.DataFrame) -> pd.Series:
        """Return the column "prediction" alone.

        It is what scikit-learn's `predict` returns.
        """
        return self._decided(self.predict_table(self.schema.encode(frame)), frame.index)

    def _decided(self, predicted: np.ndarray, index: pd.Index) -> pd.Series:
        """Return values or decided classes.

        Two classes are decided at `threshold`; of more, it is the likeliest.
        """
        import pandas as pd

        if not self.task.is_classification:
            return pd.Series(predicted[:, 0], index, name=self.task.prediction_name, copy=False)
        labels = pd.Index(self.task.labels or self.task.classes)
        return pd.Series(labels[decide(predicted, self.threshold)].array, index, name=self.task.prediction_name)

    def model_folders(self, member: Member) -> list[Path]:
        """Return the folders of a member's fold models."""
        return TrialFolder(self.folder / MEMBERS / member.trial_id).models()

    def save(self, folder: Path) -> None:
        """Copy this leader into `folder`, made if need be.

        What `load` reads from it runs no code.
        """
        refuse_links(self.folder)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    @classmethod
    def load(cls, folder: Path) -> Leader:
        """Read a leader that `build_leader` or `save` wrote.

        Raises DataError if it is not there, or not as it was written.

        That tells damage, not forgery: see digests.py. A forged model is refused where its numbers cannot be, and is
        believed otherwise.
        """
        folder = Path(folder)
        if not (folder / LEADER_MANIFEST).is_file():
            raise DataError(
                f"{folder} is no leader: it has no {LEADER_MANIFEST}. Give a run's folder or its leader/ folder."
            )
        refuse_links(folder)
        manifest = read_manifest(folder)
        if manifest["format"] != MODEL_FORMAT:
            raise DataError(
                f"the model in {str(folder)!r} has format {manifest['format']}, and this stacktune reads "
                f"{MODEL_FORMAT}: predict with the version that made it (run.json names it), or make the model anew."
            )
        check_digests(folder / MEMBERS, manifest["files"])
        return cls._read(manifest, folder)

    @classmethod
    def _read(cls, manifest: Mapping[str, Any], folder: Path) -> Leader:
        names = [(member["trial_id"], member["family"]) for member in manifest["members"]]
        for name, _ in names:
            if Path(name).name != name:
                raise DataError(f"the model in {str(folder)!r} names a member {name!r}, which is no folder in it.")
        members = tuple(load_member(folder / MEMBERS / name, name, family) for name, family in names)
        return cls(
            schema=Schema.from_dict(manifest["schema"]),
            task=Task(manifest["task"], tuple(manifest["classes"]), tuple(manifest["labels"])),
            target_name=manifest["target"],
            metric_name=manifest["metric"],
            threshold=manifest["threshold"],
            blend=Blend.from_dict(manifest["blend"]),
            members=members,
            folder=folder,
            interval=Interval.from_dict(manifest.get("interval")),
        )


def build_leader(
    leaderboard: Leaderboard,
    results: Sequence[TrialResult],
    dataset: Dataset,
    metric: Metric,
    folder: Path,
    interval: Interval | None = None,
) -> Leader:
    """Write the leader into `folder`, and load it.

    The folder is made, and is to be empty.

    results: the trials of the leaderboard, whose folders hold their fold models. Raises SearchError if there is no
    completed row.
    """
    row = leaderboard.leader
    trials = {result.trial_id: result for result in results}
    for name, folds in zip(row.members, row.folds, strict=True):
        for fold in folds:
            model = TrialFolder(trials[name].place).fold(fold)
            refuse_links(model)
            shutil.copytree(model, TrialFolder(folder / MEMBERS / name).fold(fold))
    manifest = {
        "format": MODEL_FORMAT,
        "name": row.name,
        "task": dataset.task.kind,
        "classes": list(dataset.task.classes),
        "labels": list(dataset.task.labels),
        "target": dataset.target_name,
        "metric": metric.name,
        "threshold": row.thresholds.get(metric.decides.name, 0.5),
        "blend": row.how.to_dict(),
        "members": [
            {"trial_id": name, "family": trials[name].family, "config": trials[name].config} for name in row.members
        ],
        "schema": dataset.schema.to_dict(),
        "files": digests_of(folder / MEMBERS),
    }
    if interval is not None:
        manifest["interval"] = interval.to_dict()
    return write_manifest(manifest, folder)


def write_manifest(manifest: dict[str, Any], folder: Path) -> Leader:
    """Write a leader's manifest beside its models; load it."""
    manifest = json.loads(json.dumps(manifest))
    # Last, so that a folder with a manifest is complete.
    (folder / LEADER_MANIFEST).write_text(json.dumps(manifest | {"digest": digest_of(manifest)}, indent=1))
    return Leader._read(manifest, folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a leader is, as it was written.

    Raises DataError where it was changed.
    """
    try:
        manifest = json.loads((folder / LEADER_MANIFEST).read_text(encoding="utf-8"))
        is_whole = isinstance(manifest, dict) and manifest.pop("digest") == digest_of(manifest)
    except (ValueError, KeyError):
        is_whole = False
    if not is_whole:
        raise DataError(
            f"the model in {str(folder)!r} is not as it was written: {LEADER_MANIFEST} was changed. "
            "Take it from where it came from once more; it is not loaded."
        )
    return manifest


def score_rows(
    leaderboard: Leaderboard,
    results: Sequence[TrialResult],
    test: Table,
    remaining_s: Callable[[], float] = lambda: float("inf"),
) -> Leaderboard:
    """Return the leaderboard with `test` metrics.

    Completed rows get them, each fold model predicting once.

    test: encoded, with its target; weights and thresholds were fixed before it is looked at. The leader goes first,
    then the others in their order, as long as time is left; rows that were not reached, or whose models are gone, keep
    None.
    """
    trials = {result.trial_id: result for result in results}
    predictions: dict[tuple[str, int], np.ndarray] = {}
    rows = list(leaderboard.rows)
    for position, row in enumerate(rows):
        if row.blend is None or not all(has_models(trials[name]) for name in row.members):
            continue
        asked = [(name, fold) for name, folds in zip(row.members, row.folds, strict=True) for fold in folds]
        fresh = [model for model in asked if model not in predictions]
        cost_s = row.predict_us * len(fresh) / len(asked) * test.n_rows / 1e6
        if position > 0 and remaining_s() <= cost_s:
            continue
        models = [load_member(trials[name].place, name, trials[name].family, (fold,)) for name, fold in fresh]
        predictions |= zip(fresh, predict_members(models, test), strict=True)
        of_members = [
            np.mean([predictions[name, fold] for fold in folds], axis=0)
            for name, folds in zip(row.members, row.folds, strict=True)
        ]
        combined = row.how.combine(of_members)
        rows[position] = replace(row, test=_shown_metrics(row, leaderboard, test, combined))
    return replace(leaderboard, rows=tuple(rows))


def _shown_metrics(row: LeaderboardRow, board: Leaderboard, test: Table, prediction: np.ndarray) -> dict[str, float]:
    threshold = board.threshold(row)
    decided_at = 0.5 if threshold is None else threshold
    return {
        metric.name: metric.shown(metric.score(test.labels, prediction, test.weight, decided_at))
        for metric in metrics_for(board.task.kind, board.metric)
    }
