"""Out-of-fold predictions of a leaderboard's rows.

They judge what is made of the row afterwards: intervals, and temperatures. Those of the leader can be had of a finished
run: what they are made of is kept, the trials' own predictions in their folders and the blends in a file of the run's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stacktune.data.folds import Folds
from stacktune.ensemble.blend import Blend, heated
from stacktune.ensemble.rows import LeaderboardRow
from stacktune.errors import ConfigError
from stacktune.storage.run_folder import RunFolder, TrialFolder


def honest_predictions(row: LeaderboardRow, oof: Mapping[str, np.ndarray], folds: Folds) -> np.ndarray:
    """Return (n_rows, n_outputs) predictions of a completed row.

    Those of an ensemble are, block by block, of the blend that was learnt without the block. They are NaN for rows that
    nobody held out.

    oof: out-of-fold predictions by trial, at least of `trials_behind` the row.
    """
    return _by_block([oof[name] for name in trials_behind(row)], folds.blocks, row.nested)


def _by_block(parts: Sequence[np.ndarray], blocks: np.ndarray, nested: Sequence[Blend]) -> np.ndarray:
    honest = np.full(parts[0].shape, np.nan)
    for block in range(int(blocks.max()) + 1):
        rows = np.flatnonzero(blocks == block)
        of_members = [part[rows] for part in parts]
        honest[rows] = nested[block].combine(of_members) if nested else of_members[0]
    return honest


def trials_behind(row: LeaderboardRow) -> tuple[str, ...]:
    """Return the trials whose predictions the row rests on."""
    return row.candidates or row.members


def keep_out_of_fold(path: Path, row: LeaderboardRow, folds: Folds, row_numbers: np.ndarray) -> None:
    """Write what `read_out_of_fold` needs beside the trials.

    row: the leader's. row_numbers: see Dataset.
    """
    how = {
        "of": list(trials_behind(row)),
        "blends": [blend.to_dict() for blend in row.nested],
        "temperature": row.how.temperature,
    }
    np.savez(path, row_numbers=row_numbers, blocks=folds.blocks, how=np.array(json.dumps(how)))


def read_out_of_fold(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a finished run's out-of-fold predictions of its leader.

    They are (n_judged,) row numbers, ascending, and (n_judged, n_outputs) predictions.

    Raises:
        ConfigError: the run's folder does not hold them.
    """
    places = RunFolder(folder)
    try:
        with np.load(places.out_of_fold, allow_pickle=False) as kept:
            row_numbers, blocks, how = kept["row_numbers"], kept["blocks"], json.loads(str(kept["how"]))
        parts = [np.load(TrialFolder(places.trials / name).out_of_fold, allow_pickle=False) for name in how["of"]]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"the out-of-fold predictions are not in {str(folder)!r} any more ({error}).") from None
    honest = _by_block(parts, blocks, [Blend.from_dict(one) for one in how["blends"]])
    if how["temperature"] != 1:
        honest = heated(honest, how["temperature"])
    judged = np.flatnonzero(blocks >= 0)
    judged = judged[np.argsort(row_numbers[judged])]
    return row_numbers[judged], honest[judged]
