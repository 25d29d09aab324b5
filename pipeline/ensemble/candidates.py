"""Which trials an ensemble may draw on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.metrics import WORST
from pipeline.trials.result import COMPLETED, TrialResult

MOST_CANDIDATES = 15


def eligible(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Return the completed trials whose every fold has a score, the best first."""
    sound = [r for r in results if r.status == COMPLETED and r.fold_scores and min(r.fold_scores) > WORST]
    return sorted(sound, key=lambda result: (-result.score, result.trial_id))


def nested_candidates(trials: Sequence[TrialResult], n_most: int, best_of_family: bool) -> np.ndarray:
    """Return (n_folds + 1, len(trials)) bool: who may enter, judged without each fold, and last on all folds.

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
