"""Out-of-fold predictions of a leaderboard's rows.

They judge what is made of the row afterwards: intervals, and temperatures. Those of the leader can be had of a finished
run: what they are made of is kept, the trials' own predictions in their folders and the blends in a file of the run's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stacktune.data.folds import Folds
from stacktune.ensemble.blend import SINGLE, Blend, heated
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


@dataclass(frozen=True)
class KeptOutOfFold:
    """What `keep_out_of_fold` wrote.

    of: the trials behind the leader. blends: of these, learnt without each block; none of a single trial.
    """

    row_numbers: np.ndarray
    blocks: np.ndarray
    of: tuple[str, ...]
    blends: tuple[Blend, ...]
    temperature: float

    def without(self, block: int) -> tuple[tuple[str, ...], Blend]:
        """Return the trials and their blend without a block.

        The blend was learnt without it, and only trials that count are there.
        """
        if not self.blends:
            return self.of[:1], Blend(SINGLE, (1.0,), temperature=self.temperature)
        kept, blend = self.blends[block].compact()
        return tuple(self.of[place] for place in kept), replace(blend, temperature=self.temperature)


def read_kept(folder: Path) -> KeptOutOfFold:
    """Read what a finished run kept of its leader.

    Raises:
        ConfigError: the run's folder does not hold it.
    """
    try:
        with np.load(RunFolder(folder).out_of_fold, allow_pickle=False) as kept:
            row_numbers, blocks, how = kept["row_numbers"], kept["blocks"], json.loads(str(kept["how"]))
        blends = tuple(Blend.from_dict(one) for one in how["blends"])
        return KeptOutOfFold(row_numbers, blocks, tuple(how["of"]), blends, how["temperature"])
    except (OSError, ValueError, KeyError) as error:
        raise _gone(folder, error) from None


def _gone(folder: Path, error: Exception) -> ConfigError:
    return ConfigError(f"the out-of-fold predictions are not in {str(folder)!r} any more ({error}).")


def read_out_of_fold(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a finished run's out-of-fold predictions of its leader.

    They are (n_judged,) row numbers, ascending, and (n_judged, n_outputs) predictions.

    Raises:
        ConfigError: the run's folder does not hold them.
    """
    places, kept = RunFolder(folder), read_kept(folder)
    try:
        parts = [np.load(TrialFolder(places.trials / name).out_of_fold, allow_pickle=False) for name in kept.of]
    except (OSError, ValueError) as error:
        raise _gone(folder, error) from None
    honest = _by_block(parts, kept.blocks, kept.blends)
    if kept.temperature != 1:
        honest = heated(honest, kept.temperature)
    judged = np.flatnonzero(kept.blocks >= 0)
    judged = judged[np.argsort(kept.row_numbers[judged])]
    return kept.row_numbers[judged], honest[judged]
