"""Fits a trial's configuration once more, on all rows.

Models that are judged on later rows have not learnt from these, which say most of the rows to come. So the model that
is to be used is fitted on all rows, and grown as far as the fold with the newest rows found best: nothing is left to
judge it on, and its score is that of the folds. With --refit that is done where rows are in no order, too: one model
predicts instead of one a fold, which is quicker and smaller, and it has learnt from every row.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from stacktune.families.base import AdjustableLearner, Config, Family, Job, Learner, WarmStartLearner

Lineage = Sequence[tuple[int, Config]]


def fit_on_all_rows(
    family: Family,
    job: Job,
    lineage: Lineage,
    n_units: int,
    warm_start_from: Sequence[Path] = (),
    deadline: float = math.inf,
) -> Learner:
    """Return the learner of a job without validation rows.

    lineage: (first unit, configuration) pairs, the first from unit 0 on, see `TrialResult`.
    deadline: on `time.monotonic()`'s scale; what is grown by then is kept, and something always is.
    """
    learner = family.start(job, lineage[0][1])
    if warm_start_from:
        cast(WarmStartLearner, learner).warm_start(warm_start_from)
    ends = [*(first for first, _ in lineage[1:]), n_units]
    for (first, config), end in zip(lineage, ends, strict=True):
        if first:
            cast(AdjustableLearner, learner).adjust(config)
        while learner.n_units < min(end, n_units):
            if learner.n_units and time.monotonic() >= deadline:
                return learner
            learner.advance(min(family.chunk, min(end, n_units) - learner.n_units))
    return learner
