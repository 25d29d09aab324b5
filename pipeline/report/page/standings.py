"""Shows the leaderboard: scores, errors and costs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from stacktune.ensemble.rows import ENSEMBLE
from stacktune.report.page.chart import Chart, Spec, family_colour, layered, mark, name_axis, number_axis
from stacktune.report.page.panel import Grid, Panel, Part
from stacktune.report.page.story import Story, said_of_interrupted
from stacktune.report.summary import Column, columns_of
from stacktune.text import brief, count, number
from stacktune.trials.result import COMPLETED, FAILED, STOPPED

N_CHARTED, ROW_HEIGHT, N_COSTED = 12, 21, 200
_COLUMNS = ("rank", "name", "score", "score_se", "test_score", "fit_s", "predict_us", "rungs", "status", "error")


def standings(story: Story) -> Panel:
    """Return the leaderboard's panel."""
    board = story.board
    scored = board[(board["status"] == COMPLETED) & board["score"].notna()]
    n = {status: int((board["status"] == status).sum()) for status in (COMPLETED, STOPPED, FAILED)}
    better = "higher" if story.greater_is_better else "lower"
    lead = [
        _counts(story, n),
        f"A {better} {story.metric_name} is better; ± is one standard error over {story.parts}.",
    ]
    if penalty := story.facts.get("selection_penalty"):
        lead.append(
            f"Single trials rank {number(penalty, like=story.facts['cv_score'])} worse than they score: the best of "
            "many flatters itself."
        )
    parts: list[Part] = [_scores(story, scored.head(N_CHARTED))]
    costed = scored[scored["predict_us"] > 0] if "predict_us" in scored else scored.iloc[:0]
    if len(costed) > 1:
        parts.append(_costs(story, costed.head(N_COSTED)))
    parts.append(_grid(story))
    columns = [name for name in _COLUMNS if name in board]
    rows = [{name: row[name] for name in columns} for row in story.rows.values()]
    return Panel("leaderboard", "Leaderboard", lead, parts, {"rows": rows, "counts": n})


def _counts(story: Story, n: Mapping[str, int]) -> str:
    """Say what became of how many."""
    board = story.board
    n_ensembles = int(((board["kind"] == ENSEMBLE) & (board["status"] == COMPLETED)).sum())
    n_trials = n[COMPLETED] - n_ensembles
    ensembles = f" and {count(n_ensembles, 'ensemble')} of them" if n_ensembles else ""
    were = "was" if n[COMPLETED] == 1 else "were"
    line = f"{count(n_trials, 'trial')}{ensembles} {were} judged on every fold; {n[STOPPED]:,} were stopped early"
    listed = [trial for trial in story.interrupted if trial.name in story.rows]
    line += f", of which {said_of_interrupted(listed)}" if listed else ""
    line += f", {n[FAILED]:,} failed" if n[FAILED] else ""
    unlisted = [trial for trial in story.interrupted if trial.name not in story.rows]
    return f"{line}. Not listed: {said_of_interrupted(unlisted)}, before a first score." if unlisted else f"{line}."


def _scores(story: Story, top: pd.DataFrame) -> Chart:
    rows = [
        {
            "name": row["name"],
            "family": row["family"],
            "score": row["score"],
            "low": row["score"] - (row["score_se"] if row["score_se"] == row["score_se"] else 0.0),
            "high": row["score"] + (row["score_se"] if row["score_se"] == row["score_se"] else 0.0),
            "said": f"{row['name']}: {number(row['score'])} ± {number(row['score_se'], row['score'])}",
        }
        for row in top.to_dict("records")
    ]
    order = [row["name"] for row in rows]
    at = {"y": name_axis("name", order), "color": family_colour(top["family"].tolist(), story.palette, legend=False)}
    spread: Spec = {"x": number_axis("low", story.metric_name), "x2": {"field": "high"}}
    spec = layered(
        rows,
        {"mark": mark("rule", strokeWidth=2, opacity=0.45), "encoding": at | spread},
        {
            "mark": mark("point", filled=True, size=70, opacity=1, aria=True),
            "encoding": at | {"x": number_axis("score", story.metric_name), "description": {"field": "said"}},
        },
    )
    first = rows[0]
    told = f"The best is {first['said']}; {count(len(rows), 'model')} are shown, the best first."
    return Chart("Scores with one standard error", told, spec, 70 + ROW_HEIGHT * len(rows))


def _costs(story: Story, rows: pd.DataFrame) -> Chart:
    values = [
        {
            "family": row["family"],
            "predict_us": row["predict_us"],
            "score": row["score"],
            "said": f"{row['name']}: {number(row['score'])}, {brief(row['predict_us'])} µs a row",
            "leads": row["name"] == story.facts["leader"],
        }
        for row in rows.to_dict("records")
    ]
    x = number_axis("predict_us", "microseconds a predicted row", scale={"type": "log"})
    at = {"x": x, "y": number_axis("score", story.metric_name)}
    ring = {
        "mark": mark("point", size=260, color="var(--ink)", strokeWidth=1.5),
        "transform": [{"filter": "datum.leads"}],
    }
    points = {
        "mark": mark("point", filled=True, size=60, opacity=0.85, aria=True),
        "encoding": at
        | {"color": family_colour(rows["family"].tolist(), story.palette), "description": {"field": "said"}},
    }
    cheapest = rows.loc[rows["predict_us"].idxmin()]
    told = (
        f"The leader, ringed, takes {brief(story.facts['predict_us'])} µs a row; the cheapest, {cheapest['name']}, "
        f"takes {brief(cheapest['predict_us'])} and has {number(cheapest['score'])}."
    )
    return Chart("Score against what a prediction costs", told, layered(values, ring | {"encoding": at}, points), 290)


def _grid(story: Story) -> Grid:
    board = story.board
    columns = [one for one in (*columns_of(story.results), Column("status", "status")) if one.source in board]
    rows = [[one.cell(row) for one in columns] for row in story.rows.values()]
    numeric = frozenset(place for place, one in enumerate(columns) if one.source not in ("name", "rungs", "status"))
    leads = board["name"].tolist().index(story.facts["leader"])
    return Grid("All models, best first", [one.title for one in columns], rows, numeric, leads, 10)
