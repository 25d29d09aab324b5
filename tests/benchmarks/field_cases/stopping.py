"""Early stopping on the rows that are scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from in_process import completed_trial

from field_cases import Case
from stacktune.data.folds import make_folds
from stacktune.data.table import Table, Task
from stacktune.metrics import get_metric
from stacktune.trials.climb import Problem

N_SEEDS, N_ROWS = 6, 400


def noise_score(family: str, seed: int, folder: Path) -> float:
    """Return the out-of-fold area under the curve of a trial on a target that no feature tells."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N_ROWS, 5)).astype(np.float32)
    table = Table(features, tuple("abcde"), target=rng.permutation(N_ROWS).astype(np.int32) % 2).sealed()
    task = Task("binary", ("0", "1"))
    problem = Problem(table, task, make_folds(table, task, 4, seed), get_metric("roc_auc", "binary"), seed)
    return completed_trial(family, problem, folder / f"{family}-{seed}").score


def pure_noise(folder: Path) -> tuple[str, bool]:
    families = ("lightgbm", "xgboost", "catboost")
    scores = {name: np.mean([noise_score(name, seed, folder) for seed in range(N_SEEDS)]) for name in families}
    # The standard error of six areas of 400 rows each is .012 (Hanley and McNeil 1982).
    is_chance = all(abs(score - 0.5) < 2.5 * 0.012 for score in scores.values())
    return ", ".join(f"{name} {score:.3f}" for name, score in scores.items()), is_chance


CASES = [Case("5 pure noise", "lightgbm 0.533, xgboost 0.538, catboost 0.535", ".5 ± .012", pure_noise)]
