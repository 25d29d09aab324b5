"""What a trial leaves behind.

It leaves scores at its rungs and, when it reached the top, a folder of predictions and models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.storage.folders import digest_of_file, is_folder, read_plain
from stacktune.storage.lines import write_whole
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.provenance import NO_RUN, Provenance
from stacktune.trials.trial import lineage_from

COMPLETED, STOPPED, FAILED = "completed", "stopped", "failed"
# What `result.json` says beside the result: the run that wrote it, and the digest of the predictions beside it.
_MADE_BY, _PREDICTED = "made_by", "predicted"


@dataclass(frozen=True)
class TrialResult:
    """The outcome of one configuration of one family.

    status: "completed" (every fold is scored), "stopped" (left behind at a rung, or out of time) or "failed".
    curve: the chosen metric, higher is better, at each rung reached, or reached since it took up another's state.
    fold_scores: the chosen metric, higher is better, one a fold; empty unless completed.
    metrics: every metric of the task, higher is better, averaged over folds; empty unless completed.
    fit_s, cpu_s: wall-clock and processor seconds spent in fitting and scoring.
    predict_us: microseconds a row for one prediction by all models of `Folds.models`.
    n_units: units (trees, epochs, fits) kept in each finished fold.
    rows_share: of the training rows, those that it learnt from.
    lineage: (first unit, configuration) pairs of a PBT trial whose parameters changed while it grew.
    folder: where `oof.npy` and `fold0` … `fold{K-1}` lie, and `all_rows` where folds are in the order of time; None
        unless completed.
    """

    trial_id: str
    family: str
    config: dict[str, Any]
    scheduler: str
    status: str
    rungs_reached: int
    n_rungs: int
    curve: tuple[float, ...] = ()
    fold_scores: tuple[float, ...] = ()
    metrics: dict[str, float] | None = None
    fit_s: float = 0.0
    cpu_s: float = 0.0
    predict_us: float = 0.0
    n_units: tuple[int, ...] = ()
    lineage: tuple[tuple[int, dict[str, Any]], ...] = ()
    rows_share: float = 1.0
    error: str | None = None
    folder: str | None = None

    @property
    def place(self) -> Path:
        """Return the folder of a completed trial."""
        if self.folder is None:
            raise TypeError(f"{self.trial_id} was not completed and has no folder")
        return Path(self.folder)

    @property
    def is_listed(self) -> bool:
        """Return whether it is counted, and on the leaderboard.

        A trial that was interrupted before its first score is not: nothing is known of it.
        """
        return self.rungs_reached > 0 or self.status != STOPPED

    @property
    def score(self) -> float:
        """Return the trial's score.

        It is the mean over folds of a completed trial, the last rung's of any other, and the worst if there is none.
        """
        if self.fold_scores:
            return float(np.mean(self.fold_scores))
        return self.curve[-1] if self.curve else float("-inf")

    def save(self, folder: Path, made_by: Provenance = NO_RUN) -> None:
        """Write `result.json` into `folder`.

        The file marks what lies there as complete.
        """
        places = TrialFolder(folder)
        written = {_MADE_BY: asdict(made_by), _PREDICTED: digest_of_file(places.out_of_fold)}
        write_whole(places.result, json.dumps(asdict(self) | written))


def load_result(folder: Path, made_by: Provenance = NO_RUN) -> TrialResult | None:
    """Return the completed trial that lies in `folder`.

    A run left it there, and `folder` becomes the result's. None is returned unless the trial is whole, as it was
    written, and of the run `made_by`.
    """
    try:
        stored = _stored(folder)
        is_ours, digest = stored.pop(_MADE_BY) == asdict(made_by), stored.pop(_PREDICTED)
        is_written = is_ours and digest == digest_of_file(TrialFolder(folder).out_of_fold)
        return replace(result_from(stored), folder=str(folder)) if is_written else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def read_result(folder: Path) -> TrialResult | None:
    """Return what any run's trial says of itself.

    None is returned where it is no trial's. Nothing is checked: it is for what is read, not for what is gone on with.
    Its folder is this one, where it has moved since, too.
    """
    try:
        stored = _stored(folder)
        for mark in (_MADE_BY, _PREDICTED):
            stored.pop(mark)
        return replace(result_from(stored), folder=str(folder))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _stored(folder: Path) -> Any:
    content = read_plain(TrialFolder(folder).result) if is_folder(folder) else None
    return json.loads(content) if content else {}


def result_from(stored: Mapping[str, Any]) -> TrialResult:
    """Return a result after its way through JSON.

    `stored` is what `dataclasses.asdict` made of it before.
    """
    lists = {name: tuple(stored[name]) for name in ("curve", "fold_scores", "n_units")}
    return TrialResult(**{**stored, **lists, "lineage": lineage_from(stored["lineage"])})


def load_oof(result: TrialResult) -> np.ndarray:
    """Return a completed trial's out-of-fold predictions.

    They are (n_rows, n_outputs) float64, and NaN for rows that no fold holds out.
    """
    predictions: np.ndarray = np.load(TrialFolder(result.place).out_of_fold, allow_pickle=False)
    return predictions
