"""The state of a search, for the screen."""

from __future__ import annotations

from collections.abc import Sequence

from stacktune.metrics import Metric
from stacktune.observers import FamilyCount, Snapshot
from stacktune.search.log import Entry
from stacktune.settings.groups import SearchSettings
from stacktune.trials.result import COMPLETED, FAILED, STOPPED


def snapshot_of(
    entries: Sequence[Entry],
    families: Sequence[str],
    metric: Metric,
    config: SearchSettings,
    elapsed_s: float,
    phase: str,
) -> Snapshot:
    """Return the state of a search.

    The best score is that of completed trials, as people read it.
    """
    completed = [entry.result for entry in entries if entry.result and entry.result.status == COMPLETED]
    best = max(completed, key=lambda result: result.score, default=None)
    return Snapshot(
        elapsed_s=elapsed_s,
        phase=phase,
        budget_s=config.time_budget_s,
        max_trials=config.max_trials,
        families=tuple(_count(name, entries, metric) for name in families),
        best=metric.shown(best.score) if best else None,
        best_name=best.trial_id if best else None,
        metric_name=metric.name,
    )


def _count(name: str, entries: Sequence[Entry], metric: Metric) -> FamilyCount:
    own = [entry for entry in entries if entry.trial.family == name]
    results = [entry.result for entry in own if entry.result is not None and entry.result.is_listed]
    scores = [result.score for result in results if result.status == COMPLETED]
    return FamilyCount(
        name=name,
        n_running=sum(entry.is_running for entry in own),
        n_completed=sum(result.status == COMPLETED for result in results),
        n_stopped=sum(result.status == STOPPED for result in results),
        n_failed=sum(result.status == FAILED for result in results),
        best=metric.shown(max(scores)) if scores else None,
    )
