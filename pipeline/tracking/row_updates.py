"""Tells MLflow where each trial and ensemble ranks.

Trials and ensembles have metrics, params and tags of the same names, so that they stand in one table and one chart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from stacktune.ensemble.rows import ENSEMBLE, Leaderboard, LeaderboardRow
from stacktune.tracking.notes import ensemble_note
from stacktune.tracking.updates import NOTE_TAG, Input, Update, View, now_ms
from stacktune.tracking.values import Value, points, texts

# Trials that are ranked, and that name their data: a call for each of hundreds would outlast a budget.
MAX_RANKED, MAX_WITH_DATA = 50, 10


def row_updates(board: Leaderboard, data: Input | None, told: Collection[str] = ()) -> Iterator[Update]:
    """Yield the news of the rows that are ranked.

    They are the first trials and every ensemble. data: the training table. told: runs of an earlier session, whose
    params MLflow keeps as they are, so that an ensemble made anew has its members in a tag and its description alone.
    """
    for rank, row in enumerate(board.rows, start=1):
        if rank > MAX_RANKED and row.kind != ENSEMBLE:
            continue
        tags = {"rank": str(rank), "kind": row.kind, "status": row.status, "family": row.family}
        tags["leader"] = "true" if row.name == board.leader.name else "false"
        inputs = (data,) if data and (rank <= MAX_WITH_DATA or row.kind == ENSEMBLE) else ()
        last = [*_scores(row, board), ("rank", rank, 0)]
        if row.kind != ENSEMBLE:
            yield Update(row.name, tags=tags, points=points(last), inputs=inputs)
            continue
        values = [*_ensemble_values(row, board), *last]  # MLflow's charts begin with the first
        params = _ensemble_params(row)
        tags |= {"members": str(params["members"]), NOTE_TAG: ensemble_note(row, board.metric, row.name in told)}
        kept = {} if row.name in told else texts(params)
        yield Update(row.name, kept, tags, points(values), inputs, status="FINISHED", ended_ms=now_ms())


def _scores(row: LeaderboardRow, board: Leaderboard) -> Iterator[Value]:
    yield f"cv_{board.metric.name}_se", row.score_se, 0
    yield "threshold", board.threshold(row), 0
    for name, value in (row.test or {}).items():
        yield f"test_{name}", value, 0


def _ensemble_values(row: LeaderboardRow, board: Leaderboard) -> Iterator[Value]:
    """Yield what a trial tells when it ends."""
    yield f"cv_{board.metric.name}", row.score, 0
    for name, value in row.metrics.items():
        if name != board.metric.name:
            yield f"cv_{name}", value, 0
    yield from (("fit_s", row.fit_s, 0), ("predict_us", row.predict_us, 0))
    for fold, score in enumerate(row.fold_scores):
        yield "fold_score", board.metric.shown(score), fold


def _ensemble_params(row: LeaderboardRow) -> dict[str, object]:
    weights = sorted(zip(row.members, row.how.weights, strict=True), key=lambda pair: -pair[1])
    params = {"family": row.family, "blend": row.how.kind, "n_members": len(weights)}
    params["members"] = ", ".join(f"{name} {weight:.3g}" for name, weight in weights)
    return params | {f"weight.{name}": round(weight, 6) for name, weight in weights}


def view_of(metric: str, greater_is_better: bool, is_ranked: bool, has_test: bool) -> View:
    """Return the columns by which trials are compared.

    They are ordered by rank once there is one, and by the score before.
    """
    score = f"metrics.`cv_{metric}`"
    shown = ["tags.`family`", "tags.`status`"]
    if not is_ranked:
        return View(score, not greater_is_better, (score, "metrics.`fit_s`", "metrics.`predict_us`", *shown))
    tests = [f"metrics.`test_{metric}`"] if has_test else []
    columns = ("metrics.`rank`", score, *tests, "metrics.`fit_s`", "metrics.`predict_us`", *shown)
    return View("metrics.`rank`", True, columns)
