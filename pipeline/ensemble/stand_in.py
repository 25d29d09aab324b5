"""A small leader, to rehearse a run's end.

A run tries on it at its start what it does with the leader at its end.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stacktune.ensemble.blend import SINGLE, Blend
from stacktune.ensemble.leader import Leader, build_leader
from stacktune.ensemble.rows import TRIAL, Leaderboard, LeaderboardRow
from stacktune.families.base import Job
from stacktune.families.registry import get_family
from stacktune.metrics import Metric
from stacktune.search.space import load_space
from stacktune.storage.run_folder import RunFolder
from stacktune.trials.result import COMPLETED, TrialResult

if TYPE_CHECKING:
    from stacktune.data.dataset import Dataset

# Is fitted to a few rows in hundredths of a second, and needs no library that a run does not load anyway.
FAMILY, NAME = "linear", "stand-in"


def build_stand_in(dataset: Dataset, metric: Metric, folder: Path) -> Leader:
    """Fit a small leader to a made-up target.

    Returns what `build_leader` makes of the sample's rows in `folder`/leader.
    """
    models = folder / NAME / "fold0"
    models.mkdir(parents=True)
    n_rows, is_regression = len(dataset.sample), not dataset.task.is_classification
    # One class needs no solver; values need some spread, and are above zero as some losses want them.
    target = np.arange(1.0, n_rows + 1) if is_regression else np.zeros(n_rows, dtype=np.int32)
    table = replace(dataset.schema.encode(dataset.sample), target=target)
    job = Job(table, dataset.task, np.arange(n_rows), np.arange(0), NAME)
    learner = get_family(FAMILY).start(job, load_space(FAMILY).portfolio[0])
    learner.advance(1)
    learner.save(models)
    # Only a row with a score can lead.
    score, score_se = 0.0, 0.0
    row = LeaderboardRow(
        NAME, FAMILY, TRIAL, COMPLETED, score, score_se, members=(NAME,), folds=((0,),), blend=Blend(SINGLE, (1.0,))
    )
    trial = TrialResult(NAME, FAMILY, {}, "asha", COMPLETED, 1, 1, folder=str(folder / NAME))
    return build_leader(Leaderboard((row,), metric, dataset.task), [trial], dataset, metric, RunFolder(folder).leader)
