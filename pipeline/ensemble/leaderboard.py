"""Builds the leaderboard of trials and ensembles.

Trials are as they were scored; ensembles are scored by nested cross-validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from stacktune.data.folds import Folds
from stacktune.data.table import Task
from stacktune.ensemble.blend import SINGLE, Blend
from stacktune.ensemble.candidates import MAX_CANDIDATES, Costs, eligible, nested_candidates
from stacktune.ensemble.fold_pruning import choose_fold_models, cost_us, target_effective_models
from stacktune.ensemble.limits import ModelLimits, max_bytes_of
from stacktune.ensemble.nested import OutOfFold, gather, greedy, nested_scores, stacked, thresholds_of
from stacktune.ensemble.rows import ENSEMBLE, TRIAL, Leaderboard, LeaderboardRow, standard_error
from stacktune.ensemble.subsample import MAX_SAMPLED_ROWS
from stacktune.host import n_cores
from stacktune.metrics import Metric, is_defined, metrics_for
from stacktune.trials.result import COMPLETED, FAILED, STOPPED, TrialResult

# The numbers of candidates to choose from, by the time that is left.
_N_CANDIDATES = (MAX_CANDIDATES, 10, 6, 4, 2)
_MIN_METHOD_S = 0.2
METHODS = ("greedy", "stack")


@dataclass(frozen=True)
class _Scoring:
    """The figures that all rows have in common.

    target, weight: (n_rows,). limit: what a leader's models may cost together, by `limits`. encode_us: see
    build_leaderboard.
    """

    oof: Mapping[str, np.ndarray]
    target: np.ndarray
    weight: np.ndarray | None
    folds: Folds
    task: Task
    metric: Metric
    seed: int
    remaining_s: Callable[[], float]
    pool: ThreadPoolExecutor
    limits: ModelLimits
    limit: float
    encode_us: float

    def with_fold_models(self, row: LeaderboardRow, blend: Blend, members: Sequence[TrialResult]) -> LeaderboardRow:
        """Return the row with its fold models and costs."""
        costs = [self.limits.model_cost(member) for member in members]
        enough = target_effective_models(len(self.target))
        chosen = choose_fold_models(len(self.folds.models), blend.weights, costs, self.limit, enough)
        counts = [len(of_member) for of_member in chosen]
        return replace(
            row,
            members=tuple(member.trial_id for member in members),
            folds=tuple(tuple(self.folds.models[place] for place in of_member) for of_member in chosen),
            blend=blend,
            predict_us=cost_us(counts, list(map(self.limits.model_us, members))) + self.encode_us,
            n_bytes=self.limits.bytes_of(members, chosen),
            is_dear=cost_us(counts, costs) > self.limit,
        )


def stacking_s(n_candidates: int, n_rows: int, n_outputs: int) -> float:
    """Return about how many seconds the ensembles take.

    They are for so many candidates, as measured on two cores.
    """
    return 0.5 + 2e-6 * n_candidates * min(n_rows, MAX_SAMPLED_ROWS) * n_outputs


def build_leaderboard(
    results: Sequence[TrialResult],
    oof: Mapping[str, np.ndarray],
    target: np.ndarray,
    weight: np.ndarray | None,
    folds: Folds,
    task: Task,
    metric: Metric,
    seed: int = 0,
    remaining_s: Callable[[], float] = lambda: float("inf"),
    predict_budget_us: float | None = None,
    encode_us: float = 0.0,
    max_model_mb: float | None = None,
) -> Leaderboard:
    """Return the leaderboard of trials and their ensembles.

    It has all `results`, in any status; ensembles are of the completed ones.

    oof: out-of-fold predictions (n_rows, n_outputs) by trial id, of the completed trials. target, weight: (n_rows,).
    remaining_s: seconds that may still be spent; candidates are cut when it is short, which it never is at infinity.
    predict_budget_us: microseconds that a prediction may take a row. Trials and ensembles ask no more of their fold
        models than keep to it. A trial whose every model is dearer ranks below all others and is in no ensemble; where
        all are, the cheapest leads.
    encode_us: microseconds that a raw row takes to become a row of the table, part of every prediction's cost.
    max_model_mb: megabytes that the leader's models may take on the disk, which is kept as the budget is.
    """
    model_budget_us = None if predict_budget_us is None else predict_budget_us - encode_us
    limits = ModelLimits.of(results, folds.models, model_budget_us, max_bytes_of(max_model_mb))
    limit = limits.affordable(results)
    with ThreadPoolExecutor(n_cores()) as pool:
        scoring = _Scoring(oof, target, weight, folds, task, metric, seed, remaining_s, pool, limits, limit, encode_us)
        trials = [trial for trial in eligible(results) if limits.model_cost(trial) <= limit]
        rows = list(pool.map(lambda result: _trial_row(result, scoring), results))
        rows += _ensemble_rows(trials, scoring)
    selection_penalty = _selection_penalty([trial.fold_scores for trial in trials], rows)
    ranked = sorted(rows, key=lambda row: _place(row, metric, selection_penalty))
    return Leaderboard(tuple(ranked), metric, task, selection_penalty, predict_budget_us, max_model_mb)


def nested_best_trial_scores(fold_scores: Sequence[Sequence[float]]) -> np.ndarray:
    """Return (n_folds,) honest scores of picking the best trial.

    It is picked on all folds but one, and scored on that one.

    fold_scores: (n_folds,) a trial, higher is better. The best trial's own mean is higher, by what it was picked for.
    """
    scores = np.array(fold_scores)
    picked = (scores.sum(axis=1, keepdims=True) - scores).argmax(axis=0)
    return scores[picked, np.arange(scores.shape[1])]


def _selection_penalty(trials: Sequence[Sequence[float]], rows: Sequence[LeaderboardRow]) -> float:
    """Return what is subtracted from trials' scores.

    Ensembles are scored on data they have not seen, while picking the best trial flatters it.

    First what picking flatters them by; then the standard error of the difference to the best ensemble, as the steadier
    of two models is the better guess unless the other is better by more (the rule of Breiman et al. 1984, 3.4.3).
    """
    ensembles = [row.fold_scores for row in rows if row.kind == ENSEMBLE and row.is_scored]
    if not ensembles:
        return 0.0
    honest = nested_best_trial_scores(trials)
    optimism = max(0.0, float(np.mean(trials, axis=1).max() - honest.mean()))
    return optimism + standard_error(honest - max(ensembles, key=np.mean))


def _place(row: LeaderboardRow, metric: Metric, selection_penalty: float) -> tuple[int, bool, bool, float, int, str]:
    score = row.score if metric.greater_is_better else -row.score
    if row.kind == TRIAL:
        score -= selection_penalty
    # Equal to ten digits is equal: then fewer members lead.
    rounded = float(f"{score:.10g}") if row.is_scored else -np.inf
    status = (COMPLETED, STOPPED, FAILED).index(row.status)
    return status, not row.is_scored, row.is_dear, -rounded, len(row.members), row.name


def _trial_row(result: TrialResult, scoring: _Scoring) -> LeaderboardRow:
    known = result.metrics or {}
    suiting = metrics_for(scoring.task.kind, scoring.metric) if known else ()
    row = LeaderboardRow(
        name=result.trial_id,
        family=result.family,
        kind=TRIAL,
        status=result.status,
        score=scoring.metric.shown(result.score),
        score_se=standard_error(result.fold_scores),
        fold_scores=result.fold_scores,
        metrics={metric.name: metric.shown(known[metric.name]) for metric in suiting},
        fit_s=result.fit_s,
        predict_us=result.predict_us,
        scheduler=result.scheduler,
        rungs_reached=result.rungs_reached,
        n_rungs=result.n_rungs,
        error=result.error or _why_unscored(result, scoring),
    )
    if result.status != COMPLETED:
        return row
    judged = scoring.folds.judged_rows
    weight = None if scoring.weight is None else scoring.weight[judged]
    oof = scoring.oof[result.trial_id][judged]
    thresholds = thresholds_of(scoring.task, scoring.target[judged], oof, weight, scoring.metric)
    return scoring.with_fold_models(replace(row, thresholds=thresholds), Blend(SINGLE, (1.0,)), [result])


def _why_unscored(result: TrialResult, scoring: _Scoring) -> str | None:
    """Say why a completed trial has no score.

    A mean over the folds that have one would flatter it.
    """
    undefined = [fold for fold, score in enumerate(result.fold_scores) if not is_defined(score)]
    if not undefined:
        return None
    bad = ~np.isfinite(scoring.oof[result.trial_id][scoring.folds.judged_rows]).all(axis=1)
    why = f"{bad.sum():,} of {len(bad):,} predictions are not finite" if bad.any() else "its errors are beyond floats"
    if scoring.metric.is_own and not bad.any():
        why = "it raised there, or returned no number"
    return f"{scoring.metric.name} is undefined in {len(undefined)} of {len(result.fold_scores)} parts: {why}"


def _ensemble_rows(trials: Sequence[TrialResult], scoring: _Scoring) -> list[LeaderboardRow]:
    """Return up to four rows of ensembles.

    There are none for fewer than two trials, and no best-of-family ones for a single family.
    """
    n_most = _affordable(scoring)
    if len(trials) < 2 or n_most == 0:
        return []
    entries = {
        "all": nested_candidates(trials, n_most, best_of_family=False),
        "best_of_family": nested_candidates(trials, n_most, best_of_family=True),
    }
    drawn = np.flatnonzero(entries["all"].any(axis=0) | entries["best_of_family"].any(axis=0))
    trials = [trials[position] for position in drawn.tolist()]
    predictions = [scoring.oof[trial.trial_id] for trial in trials]
    held_out = gather(predictions, scoring.target, scoring.weight, scoring.folds)
    learnt = held_out.learnt_on(scoring.task, scoring.seed)
    costs = Costs(np.array([scoring.limits.model_cost(trial) for trial in trials]), scoring.limit)
    rows, took_s = [], dict.fromkeys(METHODS, _MIN_METHOD_S)
    for entry, allowed in entries.items():
        for method in METHODS:
            began_s = scoring.remaining_s()
            if allowed[-1].sum() > 1 and began_s > took_s[method]:
                blends = _learn(method, learnt, allowed[:, drawn], costs, scoring)
                # Of no member where the stacker found that none of them tells it anything.
                if blends[-1].n_members:
                    rows.append(_ensemble_row(f"{method}_{entry}", trials, blends, held_out, scoring))
                if math.isfinite(began_s):
                    took_s[method] = max(_MIN_METHOD_S, began_s - scoring.remaining_s())
    return rows


def _affordable(scoring: _Scoring) -> int:
    """Return how many candidates there is time for.

    It is 0 where it is too short for any ensemble.
    """
    size = (len(scoring.folds.judged_rows), scoring.task.n_outputs)
    return next((most for most in _N_CANDIDATES if stacking_s(most, *size) <= scoring.remaining_s()), 0)


def _learn(method: str, learnt: OutOfFold, allowed: np.ndarray, costs: Costs, scoring: _Scoring) -> list[Blend]:
    if method == "stack":
        return stacked(learnt, allowed, costs, scoring.pool, scoring.task.loss)
    # Half of what is left, so that a long walk leaves time for the stacks; half of infinity is as much.
    kept_s = max(_MIN_METHOD_S, scoring.remaining_s() / 2)
    return greedy(learnt, scoring.metric, allowed, costs, lambda: scoring.remaining_s() >= kept_s)


def _ensemble_row(
    name: str, trials: Sequence[TrialResult], blends: Sequence[Blend], held_out: OutOfFold, scoring: _Scoring
) -> LeaderboardRow:
    by_metric = nested_scores(held_out, scoring.task, blends, scoring.pool, scoring.metric)
    fold_scores = by_metric[scoring.metric.name]
    kept, blend = blends[-1].compact()
    members = [trials[position] for position in kept]
    in_use = blend.combine([held_out.predictions[position] for position in kept])
    suiting = metrics_for(scoring.task.kind, scoring.metric)
    row = LeaderboardRow(
        name=name,
        family=ENSEMBLE,
        kind=ENSEMBLE,
        status=COMPLETED,
        score=scoring.metric.shown(float(np.mean(fold_scores))),
        score_se=standard_error(fold_scores),
        fold_scores=fold_scores,
        metrics={metric.name: metric.shown(float(np.mean(by_metric[metric.name]))) for metric in suiting},
        thresholds=thresholds_of(scoring.task, held_out.target, in_use, held_out.weight, scoring.metric),
        candidates=tuple(trial.trial_id for trial in trials),
        nested=tuple(blends[:-1]),
        fit_s=sum(member.fit_s for member in members),
    )
    return scoring.with_fold_models(row, blend, members)
