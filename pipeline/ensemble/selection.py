"""Selects ensembles greedily, with replacement.

The method is that of Caruana et al. 2004, "Ensemble Selection from Libraries of Models".

The nested selections (one without each fold, one on all) walk side by side: an ensemble is scored once, on every fold,
and each walk averages the folds that it may see. Early steps coincide, so the K + 1 walks cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from stacktune.host import n_cores
from stacktune.metrics import METRICS, WORST, Metric, best_threshold, threshold_counts

# Decisions change in steps; this much of the log loss orders what decides alike and hardly moves what does not.
_LOG_LOSS_SHARE = 0.01
# Thresholds that a blend is tried at in each fold.
_N_THRESHOLDS = 200
# Members lighter than this share cost their whole prediction time and change next to nothing.
MIN_MEMBER_SHARE = 0.02
# A walk ends after this many steps without a gain.
_MAX_STEPS_WITHOUT_GAIN = 8

Counts = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """The rows of one fold, with targets and weights.

    They are a slice of arrays that are sorted by fold.
    """

    rows: slice
    target: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class BlendScorer:
    """Scores a blend on each fold apart.

    Folds are never pooled: their models are calibrated differently, and a pooled rank metric would reward members for
    telling folds apart.
    """

    metric: Metric
    blocks: tuple[Block, ...]

    def scores(self, prediction: np.ndarray) -> np.ndarray:
        """Return (n_folds,) scores of `prediction`, higher is better.

        prediction: (n_rows, n_outputs).
        """
        return np.array([self._score(prediction[block.rows], block) for block in self.blocks])

    def scores_of_sum(self, parts: tuple[np.ndarray, np.ndarray, int]) -> np.ndarray:
        """Return the scores of (first + second) / size.

        Both are (n_outputs, n_rows); this is one task of a thread pool.
        """
        first, second, size = parts
        return self.scores(((first + second) / size).T)

    def _score(self, prediction: np.ndarray, block: Block) -> float:
        if not self.metric.needs_threshold:
            return self.metric.score(block.target, prediction, block.weight)
        log_loss = METRICS["log_loss"].score(block.target, prediction, block.weight)
        if log_loss == WORST:
            return WORST
        # A function of the user's takes a millisecond at each of many thresholds, of thousands of blends.
        if self.metric.module:
            return log_loss
        if prediction.shape[1] == 2:
            candidates = threshold_counts(block.target, prediction, block.weight, _N_THRESHOLDS)
            score = best_threshold(self.metric, *candidates)[1]
        else:
            score = self.metric.score(block.target, prediction, block.weight)
        return score + _LOG_LOSS_SHARE * self.metric.unit * log_loss


@dataclass
class _Walk:
    """One selection under way.

    It sees the folds `seen` and may take the models `allowed` as long as all taken fit.
    """

    seen: np.ndarray
    allowed: np.ndarray
    counts: Counts
    fits: Callable[[Counts], bool]
    best: float = -np.inf
    best_counts: Counts = field(default=())

    def moves(self) -> list[tuple[Counts, int]]:
        """Return what it may become, by taking which model."""
        moves = [(grown(self.counts, model), model) for model in self.allowed]
        return [move for move in moves if self.fits(move[0])]

    def step(self, scores: dict[Counts, np.ndarray]) -> None:
        """Take the model that helps most.

        Ties go to one already taken, then to the first.
        """
        moves = self.moves()
        values = [float(scores[counts][self.seen].mean()) for counts, _ in moves]
        near = max(values) - 1e-12 * max(1.0, abs(max(values)))
        tied = [move for move, value in zip(moves, values, strict=True) if value >= near]
        self.counts, _ = max(tied, key=lambda move: (self.counts[move[1]] > 0, -move[1]))
        value = float(scores[self.counts][self.seen].mean())
        # Only a gain that could be seen justifies a larger ensemble.
        if value > self.best + 1e-7 * max(1e-3, abs(value)):
            self.best, self.best_counts = value, self.counts


def grown(counts: Counts, model: int) -> Counts:
    """Return `counts` with one more of `model`."""
    return (*counts[:model], counts[model] + 1, *counts[model + 1 :])


def select(
    predictions: np.ndarray, target: np.ndarray, weight: np.ndarray | None, metric: Metric, n_iterations: int = 25
) -> np.ndarray:
    """Return (m,) weights that sum to one.

    They are chosen on all rows as one block.

    predictions: (m, n, n_outputs). The walk is cut at the first iteration that reaches its best score.
    """
    scorer = BlendScorer(metric, (Block(slice(None), target, weight),))
    allowed = np.ones((1, len(predictions)), dtype=bool)
    return select_nested(predictions, scorer, allowed, n_iterations)[-1]


def select_nested(
    predictions: np.ndarray,
    scorer: BlendScorer,
    allowed: np.ndarray,
    n_iterations: int = 25,
    go_on: Callable[[], bool] = lambda: True,
    fits: Callable[[Counts], bool] = lambda counts: True,
) -> np.ndarray:
    """Return (m,) weights for each row of `allowed`.

    Each row of weights sums to one.

    predictions: (m, n, n_outputs) with the rows sorted as the scorer's blocks.
    allowed: (w, m) bool, the models that each walk may take. The last walk sees every fold, walk k all but fold k.
    go_on: asked before each further step; the walks end where they are when it says no.
    fits: whether models may be used together; each of them may be alone.
    """
    start = (0,) * len(predictions)
    seen = [_seen(scorer, walk, len(allowed)) for walk in range(len(allowed))]
    walks = [_Walk(folds, np.flatnonzero(mask), start, fits) for folds, mask in zip(seen, allowed, strict=True)]
    # Outputs first: a blend's column of second-class probabilities is then contiguous.
    by_output = np.ascontiguousarray(predictions.transpose(0, 2, 1))
    sums = {start: np.zeros_like(by_output[0])}
    with ThreadPoolExecutor(n_cores()) as pool:
        for size in range(1, n_iterations + 1):
            under_way = [walk for walk in walks if size - 1 - sum(walk.best_counts) < _MAX_STEPS_WITHOUT_GAIN]
            if not under_way or (size > 1 and not go_on()):
                break
            moves = {counts: (walk.counts, model) for walk in under_way for counts, model in walk.moves()}
            totals = [(sums[parent], by_output[model], size) for parent, model in moves.values()]
            scores = dict(zip(moves, pool.map(scorer.scores_of_sum, totals), strict=True))
            for walk in under_way:
                walk.step(scores)
            steps = {walk.counts: moves[walk.counts] for walk in under_way}
            sums = {counts: sums[parent] + by_output[model] for counts, (parent, model) in steps.items()}
    return np.array([_shares(walk.best_counts) for walk in walks])


def _seen(scorer: BlendScorer, walk: int, n_walks: int) -> np.ndarray:
    folds = np.arange(len(scorer.blocks))
    return folds if walk == n_walks - 1 else folds[folds != walk]


def _shares(counts: Counts) -> np.ndarray:
    shares = np.array(counts, dtype=np.float64) / sum(counts)
    return without_negligible(shares)


def without_negligible(weights: np.ndarray) -> np.ndarray:
    """Return `weights` with the negligible ones at zero.

    The others are scaled up to the same sum.
    """
    kept = np.where(weights >= MIN_MEMBER_SHARE * weights.sum(), weights, 0.0)
    return kept * (weights.sum() / kept.sum()) if kept.any() else weights
