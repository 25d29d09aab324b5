"""Scores a run's models on another table.

Nothing is chosen by these scores: weights and thresholds are those of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.errors import ConfigError
from stacktune.metrics import metrics_for
from stacktune.report.results import Results
from stacktune.report.summary import ON, ON_SCORE
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader


def scored_on(results: Results, data: Any, asked: str | None = None) -> tuple[Results, list[str]]:
    """Return the results with `ON_SCORE`, and notes.

    Completed trials whose models are kept have one, and the leader. What has none follows, in its order, and is counted
    in a note.

    data: a labelled table, at a path or URI or in memory. asked: what is to be sorted by; where that is another metric
        of the task, models have its score there, too, in the column that `on_column` names.

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

    others = [one for one in metrics_for(labelled.leader.task.kind, metric) if one.name == asked != metric.name]

    def shown(predicted: np.ndarray, threshold: float | None) -> list[float]:
        decided_at = 0.5 if threshold is None or threshold != threshold else threshold
        judged = (table.labels, predicted, table.weight, decided_at)
        return [one.shown(one.score(*judged)) for one in (metric, *others)]

    scores = {results.facts["leader"]: shown(leader.predict_table(table), leader.threshold)}
    for row in results.leaderboard.to_dict("records"):
        folder = places.trials / str(row["name"])
        if row["name"] not in scores and _has_models(folder, row):
            member = load_member(folder, str(row["name"]), str(row["family"]))
            scores[row["name"]] = shown(predict_members([member], table)[0], row.get("threshold"))
    columns = [ON_SCORE, *(f"{ON}{one.name}" for one in others)]
    board = _sorted(results, scores, columns, metric.greater_is_better)
    return replace(results, leaderboard=board), [*labelled.notes, *_unscored_note(results, scores)]


def _has_models(folder: Path, row: Mapping[str, Any]) -> bool:
    return row.get("kind") == "trial" and row.get("status") == "completed" and bool(TrialFolder(folder).models())


def _unscored_note(results: Results, scores: Mapping[str, Sequence[float]]) -> list[str]:
    board = results.leaderboard
    lost = board[(board["status"] == "completed") & ~board["name"].isin(list(scores))]
    n_trials, n_ensembles = int((lost["kind"] == "trial").sum()), int((lost["kind"] != "trial").sum())
    what = [f"{n_trials:,} trials whose models were not kept"] if n_trials else []
    what += [f"{n_ensembles:,} ensembles that do not lead (stacktune register takes them)"] if n_ensembles else []
    return [f"no score on the table for {' and '.join(what)}"] if what else []


def _sorted(
    results: Results, scores: Mapping[str, Sequence[float]], columns: Sequence[str], greater_is_better: bool
) -> Any:
    names = results.leaderboard["name"]
    of_columns = zip(columns, zip(*scores.values(), strict=True), strict=True)
    found = {column: names.map(dict(zip(scores, values, strict=True))).astype(float) for column, values in of_columns}
    frame = results.leaderboard.assign(**found)
    return frame.sort_values(ON_SCORE, ascending=not greater_is_better, kind="stable", na_position="last")
