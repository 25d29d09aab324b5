"""Deletes models that no ensemble can use any more.

They are those of completed trials.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stacktune.ensemble.candidates import MAX_CANDIDATES, eligible
from stacktune.families.registry import get_family
from stacktune.storage.run_folder import TrialFolder
from stacktune.trials.result import TrialResult

# Candidates are chosen without one fold or another too, which moves a trial by some places, never by so many.
N_KEPT, N_KEPT_A_FAMILY = 2 * MAX_CANDIDATES, 3


def prunable(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Return completed trials that are not worth keeping.

    They are neither among the best nor among the best of their family.

    Those that others may still inherit from are never among them.
    """
    n_seen: Counter[str] = Counter()
    lost = []
    for place, result in enumerate(eligible(results)):
        n_seen[result.family] += 1
        if not get_family(result.family).can_be_donor and place >= N_KEPT and n_seen[result.family] > N_KEPT_A_FAMILY:
            lost.append(result)
    return lost


def drop_models(results: Sequence[TrialResult]) -> None:
    """Delete prunable trials' models, not their out-of-fold predictions."""
    for result in prunable(results):
        for models in {*TrialFolder(result.place).folds(), *TrialFolder(result.place).models()}:
            shutil.rmtree(models, ignore_errors=True)


def has_models(result: TrialResult) -> bool:
    """Return whether a trial's fold models are there."""
    return result.folder is not None and TrialFolder(Path(result.folder)).fold(0).is_dir()
