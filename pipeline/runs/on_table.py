"""`stacktune leaderboard --on` scores a run's models on another table.

Nothing is chosen by these scores: weights and thresholds are those of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.errors import ConfigError
from stacktune.report.summary import ON_SCORE, Results
from stacktune.storage.run_folder import RunFolder, TrialFolder, find_leader
from stacktune.terminal import remark


def scored_on(results: Results, data: str) -> Results:
    """Return the results with `ON_SCORE`, the best there first.

    Completed trials whose models are kept have one, and the leader. What has none follows, in its order, and is counted
    in a note.

    Raises:
        ConfigError: the leader is gone, or the metric. DataError: the table is not the model's.
    """
    from stacktune.host import use_cores

    use_cores()  # before there are libraries to read it
    from stacktune.data.dataset import load_labelled
    from stacktune.ensemble.leader import Leader
    from stacktune.metrics import check_domain, get_metric

    places = RunFolder(results.folder)
    found = find_leader(results.folder)
    if found is None:
        raise ConfigError(f"the leader of {str(results.folder)!r} is gone, and with it what its columns are.")
    leader, config = Leader.load(found), places.read_config() or {}
    table, notes = load_labelled(data, leader.schema, leader.task, leader.target_name, config.get("weight"))
    metric = get_metric(leader.metric_name, leader.task.kind)
    check_domain(metric, table.labels, leader.task.classes, f"the rows of {data}")

    def shown(predicted: np.ndarray, threshold: float | None) -> float:
        decided_at = 0.5 if threshold is None or threshold != threshold else threshold
        return metric.shown(metric.score(table.labels, predicted, table.weight, decided_at))

    scores = {results.facts["leader"]: shown(leader.predict_table(table), leader.threshold)}
    for row in results.leaderboard.to_dict("records"):
        models = _models(places.trials / str(row["name"]), row, "time" in config)
        if row["name"] not in scores and models:
            scores[row["name"]] = shown(_predicted(row, models, table), row.get("threshold"))
    for note in [*notes, *_unscored_note(results, scores)]:
        remark(f"Note: {note}")
    return replace(results, leaderboard=_sorted(results, scores, metric.greater_is_better))


def _models(folder: Path, row: Mapping[str, Any], is_later: bool) -> list[Path]:
    """Return a completed trial's models that predict new rows.

    Of one that is judged on later rows it is the last, which has learnt from all rows.
    """
    if row.get("kind") != "trial" or row.get("status") != "completed":
        return []
    models = sorted(TrialFolder(folder).folds(), key=lambda path: int(path.name.removeprefix("fold")))
    return models[-1:] if is_later else models


def _predicted(row: Mapping[str, Any], models: Sequence[Path], table: Any) -> np.ndarray:
    from stacktune.ensemble.member import load_member, predict_members

    numbers = [int(model.name.removeprefix("fold")) for model in models]
    member = load_member(models[0].parent, str(row["name"]), str(row["family"]), numbers)
    return predict_members([member], table)[0]


def _unscored_note(results: Results, scores: Mapping[str, float]) -> list[str]:
    board = results.leaderboard
    lost = board[(board["status"] == "completed") & ~board["name"].isin(list(scores))]
    n_trials, n_ensembles = int((lost["kind"] == "trial").sum()), int((lost["kind"] != "trial").sum())
    what = [f"{n_trials:,} trials whose models were not kept"] if n_trials else []
    what += [f"{n_ensembles:,} ensembles that do not lead, which are not kept"] if n_ensembles else []
    return [f"no score on the table for {' and '.join(what)}"] if what else []


def _sorted(results: Results, scores: Mapping[str, float], greater_is_better: bool) -> Any:
    frame = results.leaderboard.assign(**{ON_SCORE: results.leaderboard["name"].map(dict(scores)).astype(float)})
    return frame.sort_values(ON_SCORE, ascending=not greater_is_better, kind="stable", na_position="last")
