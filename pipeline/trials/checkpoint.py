"""The folds that a trial has finished, on disk.

With them, a trial need not begin anew when its process dies.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.storage.folders import digest_of_file, digest_of_folder, read_plain
from stacktune.storage.lines import write_whole
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.stopping import Curve
from stacktune.trials.trial import lineage_from

CHECKPOINT, PREDICTED = "checkpoint.json", "oof.part.npy"
_MADE_BY, _PREDICTED = "made_by", "predicted"


@dataclass(frozen=True)
class Checkpoint:
    """What a trial knows after some of its folds.

    The models of these folds lie beside it.

    rung, curve, lineage: up to the end of the first fold. n_units, predict_us, looks, models: one a finished fold. By
        their looks, later folds choose their units; `models` are the digests of their folders.
    """

    rung: int = 0
    curve: tuple[float, ...] = ()
    lineage: tuple[tuple[int, dict[str, Any]], ...] = ()
    n_units: tuple[int, ...] = ()
    predict_us: tuple[float, ...] = ()
    looks: tuple[Curve, ...] = ()
    models: tuple[str | None, ...] = ()

    def with_fold(self, n_units: int, predict_us: float, looks: Curve, models: str | None) -> Checkpoint:
        """Return the checkpoint with one finished fold more."""
        return replace(
            self,
            n_units=(*self.n_units, n_units),
            predict_us=(*self.predict_us, predict_us),
            looks=(*self.looks, looks),
            models=(*self.models, models),
        )

    def save(self, folder: Path, predicted: np.ndarray, made_by: str) -> None:
        """Write what is known into the trial's `folder`.

        The (n_rows, n_outputs) predictions so far are written too.

        made_by: see `Provenance.of`.
        """
        np.save(folder / PREDICTED, predicted)
        written = {_MADE_BY: made_by, _PREDICTED: digest_of_file(folder / PREDICTED)}
        write_whole(folder / CHECKPOINT, json.dumps(asdict(self) | written))


def load_checkpoint(folder: Path, made_by: str) -> tuple[Checkpoint, np.ndarray] | None:
    """Return what `save` wrote for the same trial.

    It wrote that into `folder`, in the same run. Where it did not, or a file is not as it was then, None is returned:
    the trial begins anew.
    """
    stored = _stored(folder, made_by)
    if stored is None or not _is_as_written(folder, stored):
        return None
    lists = {name: tuple(stored[name]) for name in ("curve", "n_units", "predict_us", "models")}
    looks = tuple(tuple((units, score) for units, score in curve) for curve in stored["looks"])
    known = {name: value for name, value in stored.items() if name not in (_MADE_BY, _PREDICTED)}
    done = Checkpoint(**{**known, **lists, "looks": looks, "lineage": lineage_from(stored["lineage"])})
    return done, np.load(folder / PREDICTED, allow_pickle=False)


def is_made_by(folder: Path, made_by: str) -> bool:
    """Return whether this trial left a checkpoint in `folder`.

    A trial of another run is not this one.
    """
    return _stored(folder, made_by) is not None


def has_checkpoint(folder: Path) -> bool:
    """Return whether any trial left a checkpoint in `folder`."""
    return read_plain(folder / CHECKPOINT) is not None


def _stored(folder: Path, made_by: str) -> dict[str, Any] | None:
    content = read_plain(folder / CHECKPOINT)
    try:
        stored = json.loads(content) if content else None
    except ValueError:
        return None
    return stored if isinstance(stored, dict) and stored.get(_MADE_BY) == made_by else None


def _is_as_written(folder: Path, stored: dict[str, Any]) -> bool:
    models = [digest_of_folder(TrialFolder(folder).fold(fold)) for fold in range(len(stored["n_units"]))]
    return models == stored["models"] and digest_of_file(folder / PREDICTED) == stored[_PREDICTED]


def drop_checkpoint(folder: Path) -> None:
    """Delete the checkpoint: the trial is complete."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    (folder / PREDICTED).unlink(missing_ok=True)
