"""Scores a run's models on another table.

Nothing is chosen by these scores: weights and thresholds are those of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.errors import ConfigError
from stacktune.report.summary import ON_SCORE, Results
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader


def scored_on(results: Results, data: Any) -> tuple[Results, list[str]]:
    """Return the results with `ON_SCORE`, and notes.

    Completed trials whose models are kept have one, and the leader. What has none follows, in its order, and is counted
    in a note.

    data: a labelled table, at a path or URI or in memory.

    Raises:
        ConfigError: the leader is gone, or the metric. DataError: the table is not the model's.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.ensemble.leader import Leader
    from stacktune.ensemble.member import load_member, predict_members
    from stacktune.runs.labelled import opened

    places = RunFolder(results.folder)
    found = find_leader(results.folder)
    if found is None:
        raise ConfigError(f"the leader of {str(results.folder)!r} is gone, and with it what its columns are.")
    labelled = opened(Leader.load(found), results.folder, data)
    leader, table, metric = labelled.leader, labelled.table, labelled.metric

    def shown(predicted: np.ndarray, threshold: float | None) -> float:
        decided_at = 0.5 if threshold is None or threshold != threshold else threshold
        return metric.shown(metric.score(table.labels, predicted, table.weight, decided_at))

    scores = {results.facts["leader"]: shown(leader.predict_table(table), leader.threshold)}
    for row in results.leaderboard.to_dict("records"):
        folder = places.trials / str(row["name"])
        if row["name"] not in scores and _has_models(folder, row):
            member = load_member(folder, str(row["name"]), str(row["family"]))
            scores[row["name"]] = shown(predict_members([member], table)[0], row.get("threshold"))
    board = _sorted(results, scores, metric.greater_is_better)
    return replace(results, leaderboard=board), [*labelled.notes, *_unscored_note(results, scores)]


def _has_models(folder: Path, row: Mapping[str, Any]) -> bool:
    return row.get("kind") == "trial" and row.get("status") == "completed" and bool(TrialFolder(folder).models())


def _unscored_note(results: Results, scores: Mapping[str, float]) -> list[str]:
    board = results.leaderboard
    lost = board[(board["status"] == "completed") & ~board["name"].isin(list(scores))]
    n_trials, n_ensembles = int((lost["kind"] == "trial").sum()), int((lost["kind"] != "trial").sum())
    what = [f"{n_trials:,} trials whose models were not kept"] if n_trials else []
    what += [f"{n_ensembles:,} ensembles that do not lead (stacktune register takes them)"] if n_ensembles else []
    return [f"no score on the table for {' and '.join(what)}"] if what else []


def _sorted(results: Results, scores: Mapping[str, float], greater_is_better: bool) -> Any:
    frame = results.leaderboard.assign(**{ON_SCORE: results.leaderboard["name"].map(dict(scores)).astype(float)})
    return frame.sort_values(ON_SCORE, ascending=not greater_is_better, kind="stable", na_position="last")
