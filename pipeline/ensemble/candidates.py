"""Chooses which trials an ensemble may use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stacktune.metrics import WORST
from stacktune.trials.result import COMPLETED, TrialResult

MAX_CANDIDATES = 15


@dataclass(frozen=True)
class Costs:
    """The candidates' costs to predict, and their limit.

    The limit is on an ensemble of them.

    each: (m,) microseconds a row of one fold model, which is the least that each can do with. limit: infinite where
        there is none; no candidate alone costs more.
    """

    each: np.ndarray
    limit: float

    def fit(self, weights: np.ndarray | Sequence[float]) -> bool:
        """Return whether candidates with weight keep the limit."""
        return total_us(self.each[np.asarray(weights) > 0]) <= self.limit

    def worthiest(self, weights: np.ndarray) -> np.ndarray:
        """Return positions of candidates that fit together.

        They are taken in the order of their weight for what they cost.
        """
        worth = weights / np.maximum(self.each, np.finfo(np.float64).tiny)
        kept = np.zeros(len(weights))
        for position in np.argsort(-worth, kind="stable"):
            kept[position] = weights[position]
            kept[position] *= self.fit(kept)
        return np.flatnonzero(kept)


def total_us(costs: Iterable[float]) -> float:
    """Return the sum, the same in any order.

    So what fitted once fits always.
    """
    return math.fsum(costs)


def affordable_us(least_us: Sequence[float], budget_us: float | None) -> float:
    """Return what a prediction may cost.

    It is `budget_us`, or the least that a trial costs where that is more.
    """
    if budget_us is None or not least_us:
        return float("inf")
    return max(budget_us, min(least_us))


def eligible(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Return fully scored trials, the best first.

    They are completed, and each of their folds has a score.
    """
    sound = [r for r in results if r.status == COMPLETED and r.fold_scores and min(r.fold_scores) > WORST]
    return sorted(sound, key=lambda result: (-result.score, result.trial_id))


def nested_candidates(trials: Sequence[TrialResult], n_most: int, best_of_family: bool) -> np.ndarray:
    """Return which trials may enter an ensemble.

    They are (n_folds + 1, len(trials)) bool: judged without each fold, and last on all folds.

    The best of each family enters, then, unless `best_of_family`, the best of the others until there are `n_most`.
    """
    scores = np.array([trial.fold_scores for trial in trials])
    n_folds = scores.shape[1]
    chosen = np.zeros((n_folds + 1, len(trials)), dtype=bool)
    for left_out, row in enumerate(chosen):
        seen = np.arange(n_folds) != left_out
        order = np.argsort(-scores[:, seen].mean(axis=1), kind="stable")
        firsts = {trials[position].family: position for position in order[::-1]}
        heads = sorted(firsts.values(), key=order.tolist().index)
        rest = [] if best_of_family else [position for position in order if position not in heads]
        row[[*heads, *rest][:n_most]] = True
    return chosen
