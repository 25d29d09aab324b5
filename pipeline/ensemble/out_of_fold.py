"""Out-of-fold predictions of a leaderboard's rows.

They judge what is made of the row afterwards: intervals, and temperatures. Those of the leader can be had of a finished
run: what they are made of is kept, the trials' own predictions in their folders and the blends in a file of the run's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import Table
from stacktune.ensemble.blend import SINGLE, Blend, heated
from stacktune.ensemble.fold_pruning import FoldSubsets
from stacktune.ensemble.rows import ENSEMBLE, Leaderboard, LeaderboardRow
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


def keep_out_of_fold(path: Path, board: Leaderboard, folds: Folds, row_numbers: np.ndarray, table: Table) -> None:
    """Write what `judged_in` needs beside the trials.

    row_numbers: see Dataset. table: whose rows the folds part.
    """
    ensembles = {row.name: _how_of(row) for row in board.rows if row.kind == ENSEMBLE and row.blend is not None}
    how = _how_of(board.leader) | {"ensembles": ensembles}
    arrays: dict[str, Any] = {"row_numbers": row_numbers, "blocks": folds.blocks, "target": table.labels}
    arrays |= {} if table.weight is None else {"weight": table.weight}
    np.savez(path, how=np.array(json.dumps(how)), **arrays)


def _how_of(row: LeaderboardRow) -> dict[str, Any]:
    """Return how a completed row predicts, fit for JSON."""
    return {
        "of": list(trials_behind(row)),
        "blends": [blend.to_dict() for blend in row.nested],
        "temperature": row.how.temperature,
        "members": list(row.members),
        "folds": [list(folds) for folds in row.folds],
        "blend": row.how.to_dict(),
    }


@dataclass(frozen=True)
class Judged:
    """The rows that a leader was judged on.

    row_numbers: (n_judged,) ascending, see Dataset. positions: of these rows in the run's table.
    blocks: (n_judged,) in which block each was judged.
    target: (n_judged,) class codes or values, and weight their weights: None where they were not kept, or have none.
    parts: (n_judged, n_outputs) predictions of each of the trials in `names`, out of fold. nested: of an ensemble, its
    blends of them that were learnt without each block. temperature: of the leader's probabilities.
    """

    row_numbers: np.ndarray
    positions: np.ndarray
    blocks: np.ndarray
    target: np.ndarray | None
    weight: np.ndarray | None
    names: tuple[str, ...]
    parts: tuple[np.ndarray, ...]
    nested: tuple[Blend, ...]
    temperature: float

    @property
    def labels(self) -> np.ndarray:
        """Return the targets; TypeError where none were kept."""
        if self.target is None:
            raise TypeError("this run kept no targets beside its out-of-fold predictions")
        return self.target

    @cached_property
    def prediction(self) -> np.ndarray:
        """Return the leader's (n_judged, n_outputs) out of fold."""
        return self.predicted_by(self.nested)

    def predicted_by(self, nested: Sequence[Blend]) -> np.ndarray:
        """Return what other blends of the trials predict."""
        honest = _by_block(self.parts, self.blocks, nested)
        return honest if self.temperature == 1 else heated(honest, self.temperature)

    def without(self, block: int) -> tuple[tuple[str, ...], Blend]:
        """Return the trials and their blend without a block.

        The blend was learnt without it, and only trials that count are there.
        """
        if not self.nested:
            return self.names[:1], Blend(SINGLE, (1.0,), temperature=self.temperature)
        kept, blend = self.nested[block].compact()
        return tuple(self.names[place] for place in kept), replace(blend, temperature=self.temperature)


@dataclass(frozen=True)
class KeptEnsemble:
    """An ensemble of a finished run, leading or not.

    members, folds, blend: as in a row of the leaderboard.
    """

    members: tuple[str, ...]
    folds: FoldSubsets
    blend: Blend


def kept_ensemble(folder: Path, name: str) -> KeptEnsemble | None:
    """Return a finished run's ensemble.

    It is None in a run of a version that kept none but the leader.

    Raises:
        ConfigError: the run's folder does not hold what it was made of.
    """
    try:
        with np.load(RunFolder(folder).out_of_fold, allow_pickle=False) as kept:
            how = json.loads(str(kept["how"])).get("ensembles", {}).get(name)
        if how is None:
            return None
        folds = tuple(tuple(int(fold) for fold in of_member) for of_member in how["folds"])
        return KeptEnsemble(tuple(how["members"]), folds, Blend.from_dict(how["blend"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
        raise ConfigError(f"what {name} was made of is not in {str(folder)!r} any more ({error}).") from None


def judged_in(folder: Path, ensemble: str | None = None) -> Judged:
    """Return what a finished run's leader was judged on.

    ensemble: another row than the leader, by its name.

    Raises:
        ConfigError: the run's folder does not hold it.
    """
    places = RunFolder(folder)
    try:
        with np.load(places.out_of_fold, allow_pickle=False) as kept:
            of_rows = {name: kept[name] for name in kept if name != "how"}
            how = json.loads(str(kept["how"]))
        how = how if ensemble is None else how["ensembles"][ensemble]
        parts = [np.load(TrialFolder(places.trials / name).out_of_fold, allow_pickle=False) for name in how["of"]]
        judged = np.flatnonzero(of_rows["blocks"] >= 0)
        judged = judged[np.argsort(of_rows["row_numbers"][judged])]
        of_rows = {name: values[judged] for name, values in of_rows.items()}
        return Judged(
            row_numbers=of_rows["row_numbers"],
            positions=judged,
            blocks=of_rows["blocks"],
            target=of_rows.get("target"),
            weight=of_rows.get("weight"),
            names=tuple(how["of"]),
            parts=tuple(part[judged] for part in parts),
            nested=tuple(Blend.from_dict(one) for one in how["blends"]),
            temperature=how["temperature"],
        )
    except (OSError, EOFError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise ConfigError(f"the out-of-fold predictions are not in {str(folder)!r} any more ({error}).") from None


def read_out_of_fold(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a finished run's out-of-fold predictions of its leader.

    They are (n_judged,) row numbers, ascending, and (n_judged, n_outputs) predictions.

    Raises:
        ConfigError: the run's folder does not hold them.
    """
    judged = judged_in(folder)
    return judged.row_numbers, judged.prediction
