"""One temperature for all probabilities of a leader.

The problem: models may be too sure of themselves, or not sure enough, which the log loss tells and ranks do not.

The solution is temperature scaling (Guo et al. 2017, arXiv 1706.04599): the logarithms of all probabilities are divided
by one number, which is fitted on predictions of rows that models had not seen. It is judged on each block of rows by
the number that the other blocks give, so that it does not judge itself, and is left at one where what it gains is
within the noise.

What stays as it was: of two classes, the order of all rows, and with the threshold moved alike every decision; of more,
the likeliest class. What may change: of more than two classes, metrics that compare rows by one class's probability.
Where the chosen metric gets worse by it, it is left off, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import BINARY, Table
from stacktune.ensemble.blend import heated
from stacktune.ensemble.rows import Leaderboard, LeaderboardRow
from stacktune.metrics import METRICS, Metric, metrics_for
from stacktune.trials.scoring import fold_scores

LOG_LOSS = METRICS["log_loss"]
# Beyond these, probabilities are all alike, or all certain.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
# A gain of fewer standard errors, over the blocks, may be chance.
NOISE_ERRORS = 2.0


@dataclass(frozen=True)
class Calibration:
    """What a temperature does to a leader's log loss.

    fitted: the temperature of least log loss; temperature: 1 where that was left off. before, after: the log loss over
    blocks, the latter by the others' temperatures. gain_se: the standard error of their difference. why: in words,
    where it was left off.
    """

    fitted: float
    temperature: float
    before: float
    after: float
    gain_se: float
    why: str | None = None

    @property
    def sentence(self) -> str:
        """Say what was found."""
        effect = f"log loss {self.after:.5g} instead of {self.before:.5g} out of fold (± {self.gain_se:.2g})"
        if self.why is None:
            return f"probabilities are at temperature {self.temperature:.3g}: {effect}"
        return f"probabilities are left as they are: a temperature gives {effect}, {self.why}"


def calibrated(board: Leaderboard, honest: np.ndarray, table: Table, folds: Folds) -> tuple[Leaderboard, Calibration]:
    """Return the leaderboard with its leader's temperature.

    Where it pays, the leader's blend has it, its thresholds are moved by it, and its scores are those of the
    probabilities that it gives then; the order of rows stays.

    honest: (n_rows, n_outputs) see `honest_predictions`.
    """
    row, judged = board.leader, folds.judged_rows
    weight = None if table.weight is None else table.weight[judged]
    temperature = fit_temperature(honest[judged], table.labels[judged], weight)
    crossed = _crossed(honest, table, folds)
    before, after = (fold_scores(LOG_LOSS, board.task, table, folds, each) for each in (honest, crossed))
    found = Calibration(temperature, temperature, *_effect(before, after))
    why = _why_left_off(found, board, honest, crossed, table, folds)
    if why is not None:
        return board, replace(found, temperature=1.0, why=why)
    calibrated_row = _with_temperature(row, board, temperature, crossed, table, folds)
    return replace(board, rows=(calibrated_row, *board.rows[1:])), found


def fit_temperature(prediction: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the temperature of least log loss.

    prediction: (n, n_outputs). target: (n,) codes. weight: (n,) or None.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return -LOG_LOSS.score(target, heated(prediction, float(np.exp(log_temperature))), weight)

    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))


def moved_threshold(threshold: float, temperature: float) -> float:
    """Return where a threshold lies at a temperature.

    What it decides stays as it was.
    """
    if not 0 < threshold < 1:
        return threshold
    return float(heated(np.array([[1 - threshold, threshold]]), temperature)[0, 1])


def _crossed(honest: np.ndarray, table: Table, folds: Folds) -> np.ndarray:
    """Return the predictions at the temperatures of other blocks."""
    crossed = honest.copy()
    for block in range(folds.n_blocks):
        rows, others = folds.block_rows(block), folds.other_block_rows(block)
        weight = None if table.weight is None else table.weight[others]
        crossed[rows] = heated(honest[rows], fit_temperature(honest[others], table.labels[others], weight))
    return crossed


def _effect(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    gains = np.array(after) - np.array(before)
    error = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("inf")
    return -float(np.mean(before)), -float(np.mean(after)), error


def _why_left_off(
    found: Calibration, board: Leaderboard, honest: np.ndarray, crossed: np.ndarray, table: Table, folds: Folds
) -> str | None:
    gain = found.before - found.after
    if not gain > NOISE_ERRORS * found.gain_se:
        return "which is no gain beyond noise" if gain > 0 else "which is no gain"
    if not _is_changed(board.metric, board):
        return None
    scores = [np.mean(fold_scores(board.metric, board.task, table, folds, each)) for each in (honest, crossed)]
    return None if scores[1] >= scores[0] - 1e-12 else f"but a worse {board.metric.name}"


def _with_temperature(
    row: LeaderboardRow, board: Leaderboard, temperature: float, crossed: np.ndarray, table: Table, folds: Folds
) -> LeaderboardRow:
    """Return the leader at a temperature.

    Of two classes only the log loss is another; the scores at thresholds, and by ranks, are what they were.
    """
    changed = [metric for metric in metrics_for(board.task.kind, board.metric) if _is_changed(metric, board)]
    by_metric = {metric: fold_scores(metric, board.task, table, folds, crossed) for metric in changed}
    shown = {metric.name: metric.shown(float(np.mean(scores))) for metric, scores in by_metric.items()}
    thresholds = {name: moved_threshold(one, temperature) for name, one in row.thresholds.items()}
    row = replace(
        row,
        blend=replace(row.how, temperature=temperature),
        thresholds=thresholds,
        metrics={**row.metrics, **shown},
    )
    scores = by_metric.get(board.metric)
    if scores is None:
        return row
    error = float(np.std(scores, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else float("nan")
    return replace(row, score=shown[board.metric.name], score_se=error, fold_scores=scores)


def _is_changed(metric: Metric, board: Leaderboard) -> bool:
    if board.task.kind != BINARY:
        return not metric.needs_threshold
    return metric.name == LOG_LOSS.name or (metric.is_own and not metric.needs_threshold)
