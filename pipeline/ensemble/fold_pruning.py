"""Chooses which fold models a leader asks.

A lone trial is asked for all of them, an ensemble's members only for as many as steady it.

A trial's out-of-fold predictions are each by one fold model, so what an ensemble scored, it scored with a single model
of each member. The mean of a member's K models is steadier, but it also takes K times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacktune.ensemble.candidates import total_us

# An ensemble as steady as so many equal models is not seen to gain from more (tests/benchmarks/README.md). On few rows
# models differ more: on 700 of credit_g ten cost .0002 of the area under the curve, thirty nothing.
EFFECTIVE_MODELS, EFFECTIVE_MODELS_OF_SMALL_TABLES = 10.0, 30.0
MAX_ROWS_OF_SMALL_TABLES = 5_000
_ROUNDING = 1e-9

FoldSubsets = tuple[tuple[int, ...], ...]


def target_effective_models(n_rows: int) -> float:
    """Return how many equal models are steady enough."""
    return EFFECTIVE_MODELS_OF_SMALL_TABLES if n_rows <= MAX_ROWS_OF_SMALL_TABLES else EFFECTIVE_MODELS


def choose_fold_models(
    n_folds: int, weights: Sequence[float], model_us: Sequence[float], limit_us: float, enough: float = EFFECTIVE_MODELS
) -> FoldSubsets:
    """Return each member's folds whose models are asked.

    There is at least one for each member.

    weights: the members' in the blend, all above zero. model_us: microseconds a row of one of their models.
    limit_us: what all that are asked may cost together; exceeded only where one model of each costs more already.
    enough: see `target_effective_models`.

    A member of weight w that is the mean of n models adds w²/n to the blend's variance, in units of one model's. So the
    next model is always one of the member for which that falls most, until the whole is as steady as `enough` equal
    models. Members take turns at the folds, so that all rows are learnt from alike.
    """
    shares = [weight / sum(weights) for weight in weights]
    counts = [1] * len(shares)
    while sum(share**2 / n for share, n in zip(shares, counts, strict=True)) > 1 / enough + _ROUNDING:
        grown = [[n + (place == member) for place, n in enumerate(counts)] for member in range(len(counts))]
        able = [m for m, ns in enumerate(grown) if ns[m] <= n_folds and cost_us(ns, model_us) <= limit_us]
        if not able:
            break
        counts = grown[max(able, key=lambda m: shares[m] ** 2 / (counts[m] * (counts[m] + 1)))]
    starts = [sum(counts[:member]) for member in range(len(counts))]
    return tuple(
        tuple(sorted((start + step) % n_folds for step in range(n))) for start, n in zip(starts, counts, strict=True)
    )


def cost_us(counts: Sequence[int], model_us: Sequence[float]) -> float:
    """Return microseconds a row for the members' models."""
    return total_us(n * us for n, us in zip(counts, model_us, strict=True))
