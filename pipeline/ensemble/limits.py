"""Limits a leader's prediction time and its size.

Both are kept by the same choice, of members and of their fold models, so both are one cost: of each model, the larger
of its shares of the two limits. What keeps to that together keeps to each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stacktune.ensemble.candidates import affordable_us, eligible
from stacktune.ensemble.fold_pruning import FoldSubsets
from stacktune.storage.folders import n_bytes_of
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import COMPLETED, TrialResult

BYTES_PER_MB = 1e6
# A limit that the encoding of a row uses up is none to be divided by.
_LEAST_US = 1e-3


@dataclass(frozen=True)
class ModelLimits:
    """The limits of one leaderboard, and its trials' costs.

    us: microseconds that the models of a leader may take for an encoded row, max_bytes: the bytes that they may take on
    the disk; None where either is not limited. n_folds: the fold models of a trial.
    n_bytes: of the models of each completed trial, fold by fold, by its id; empty where size is not limited.
    """

    n_folds: int
    us: float | None = None
    max_bytes: float | None = None
    n_bytes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, results: Sequence[TrialResult], models: Sequence[int], us: float | None, max_bytes: float | None
    ) -> ModelLimits:
        """Return the limits, with the sizes that they need.

        models: the numbers of each trial's models that predict new rows.
        """
        completed = [one for one in results if one.status == COMPLETED] if max_bytes is not None else []
        return cls(len(models), us, max_bytes, {one.trial_id: _sizes(one, models) for one in completed})

    def model_us(self, trial: TrialResult) -> float:
        """Return microseconds a row of one fold model."""
        return trial.predict_us / self.n_folds

    def model_cost(self, trial: TrialResult) -> float:
        """Return what one fold model costs.

        It is in microseconds where these alone are limited, else a share of the limit.
        """
        us = self.model_us(trial)
        if self.max_bytes is None:
            return us
        share = max(self.n_bytes[trial.trial_id]) / self.max_bytes
        return share if self.us is None else max(share, us / max(self.us, _LEAST_US))

    def affordable(self, results: Sequence[TrialResult]) -> float:
        """Return what all models of a leader may cost.

        It is the limit, or what the cheapest trial costs where that is more.
        """
        limit = self.us if self.max_bytes is None else 1.0
        return affordable_us([self.model_cost(trial) for trial in eligible(results)], limit)

    def bytes_of(self, members: Sequence[TrialResult], folds: FoldSubsets) -> int | None:
        """Return what the fold models take that are asked.

        It is None where size is not limited.
        """
        if self.max_bytes is None:
            return None
        return sum(
            self.n_bytes[member.trial_id][fold] for member, kept in zip(members, folds, strict=True) for fold in kept
        )


def max_bytes_of(megabytes: float | None) -> float | None:
    """Return a limit in bytes, if there is one."""
    return None if megabytes is None else megabytes * BYTES_PER_MB


def megabytes(n_bytes: float | None) -> float:
    """Return bytes as people read them; NaN for none."""
    return math.nan if n_bytes is None else n_bytes / BYTES_PER_MB


def _sizes(trial: TrialResult, models: Sequence[int]) -> tuple[int, ...]:
    places = TrialFolder(trial.place)
    return tuple(n_bytes_of(places.fold(number)) for number in models)
