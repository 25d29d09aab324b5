"""The folds that a trial has finished, on disk, so that it need not begin anew when its process dies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.data.lines import write_whole
from stacktune.trials.stopping import Curve
from stacktune.trials.trial import lineage_from

CHECKPOINT, PREDICTED = "checkpoint.json", "oof.part.npy"


@dataclass(frozen=True)
class Checkpoint:
    """What a trial knows after some of its folds, whose models lie beside it.

    rung, curve, lineage: up to the end of the first fold. n_units, predict_us, looks: one a finished fold. By their
        looks, later folds choose their units.
    """

    rung: int = 0
    curve: tuple[float, ...] = ()
    lineage: tuple[tuple[int, dict[str, Any]], ...] = ()
    n_units: tuple[int, ...] = ()
    predict_us: tuple[float, ...] = ()
    looks: tuple[Curve, ...] = ()

    def with_fold(self, n_units: int, predict_us: float, looks: Curve) -> Checkpoint:
        """Return the checkpoint with one finished fold more."""
        return replace(
            self,
            n_units=(*self.n_units, n_units),
            predict_us=(*self.predict_us, predict_us),
            looks=(*self.looks, looks),
        )

    def save(self, folder: Path, predicted: np.ndarray) -> None:
        """Write what is known, and the (n_rows, n_outputs) predictions so far, into the trial's `folder`."""
        np.save(folder / PREDICTED, predicted)
        write_whole(folder / CHECKPOINT, json.dumps(asdict(self)))


def load_checkpoint(folder: Path) -> tuple[Checkpoint, np.ndarray] | None:
    """Return what `save` wrote into `folder`; None where it did not."""
    if not (folder / CHECKPOINT).exists():
        return None
    stored = json.loads((folder / CHECKPOINT).read_text())
    lists = {name: tuple(stored[name]) for name in ("curve", "n_units", "predict_us")}
    looks = tuple(tuple((units, score) for units, score in curve) for curve in stored["looks"])
    done = Checkpoint(**{**stored, **lists, "looks": looks, "lineage": lineage_from(stored["lineage"])})
    return done, np.load(folder / PREDICTED, allow_pickle=False)


def drop_checkpoint(folder: Path) -> None:
    """Delete it: the trial is complete."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    (folder / PREDICTED).unlink(missing_ok=True)
