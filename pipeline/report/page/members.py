"""Shows what each member of an ensemble adds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stacktune.ensemble.blend import Blend
from stacktune.report.page.chart import FROM_ZERO, Chart, family_colour, layered, mark, name_axis, number_axis
from stacktune.report.page.panel import Grid, Panel
from stacktune.report.page.story import Story
from stacktune.text import brief, count, number


def members(story: Story) -> Panel | None:
    """Return an ensemble's panel; None for one model."""
    pairs = story.results.members
    if len(pairs) < 2:
        return None
    board = story.rows
    adds = what_each_adds(story, [name for name, _ in pairs])
    rows = [
        {
            "name": name,
            "family": board.get(name, {}).get("family", ""),
            "weight": weight,
            "score": board.get(name, {}).get("score"),
            "adds": adds.get(name),
            "predict_us": board.get(name, {}).get("predict_us"),
        }
        for name, weight in pairs
    ]
    kind = story.manifest["blend"]["kind"]
    how = "a weighted mean of their predictions"
    if kind == "stack":
        how = "a weighted sum of their log-probabilities" if story.task.is_classification else "a weighted sum"
    lead = [f"The leader is {how}, of {count(len(rows), 'model')}, each the mean of its folds' models."]
    if adds:
        lead.append(
            f"What a member adds is what the {story.metric_name} loses out of fold when it is left out and the others' "
            "weights stay as they are to one another; members that say nearly the same add little each."
        )
    return Panel("ensemble", "What the leader is made of", lead, [_chart(story, rows), _grid(story, rows)],
                 {"kind": kind, "members": rows})  # fmt: skip


def what_each_adds(story: Story, names: Sequence[str]) -> dict[str, float]:
    """Return the score that each member's absence costs.

    It is positive where the member helps; nothing is returned where that cannot be told.
    """
    judged, metric = story.judged, story.metric
    if judged is None or metric is None or not judged.nested:
        return {}
    target, weight = judged.labels, judged.weight
    positions = {name: place for place, name in enumerate(judged.names)}

    def score(prediction: np.ndarray) -> float:
        if not np.isfinite(prediction).all():
            return math.nan
        return metric.score(target, prediction, weight, story.threshold)

    whole, found = score(judged.prediction), {}
    for name in names:
        if name in positions:
            left = [_without(blend, positions[name]) for blend in judged.nested]
            found[name] = whole - score(judged.predicted_by(left)) if all(one.n_members for one in left) else math.nan
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _without(blend: Blend, place: int) -> Blend:
    """Return a blend of all others."""
    weights = np.array(blend.weights)
    total, rest = weights.sum(), weights.sum() - weights[place]
    weights[place] = 0.0
    return replace(blend, weights=tuple((weights * (total / rest if rest > 0 else 1.0)).tolist()))


def _chart(story: Story, rows: Sequence[dict[str, Any]]) -> Chart:
    order = [row["name"] for row in rows]
    spec = layered(
        [{**row, "said": f"{row['name']}: {row['weight']:.3f}"} for row in rows],
        {
            "mark": mark("bar", height={"band": 0.7}, cornerRadiusEnd=2, aria=True),
            "encoding": {
                "x": number_axis("weight", "weight", FROM_ZERO),
                "y": name_axis("name", order),
                "color": family_colour([row["family"] for row in rows], story.palette, legend=False),
                "description": {"field": "said"},
            },
        },
    )
    told = ", ".join(f"{row['name']} {row['weight']:.2f}" for row in rows[:5])
    return Chart("Weights", f"The heaviest: {told}.", spec, 80 + 22 * len(rows))


def _grid(story: Story, rows: Sequence[dict[str, Any]]) -> Grid:
    like = story.facts["cv_score"]
    cells = [
        [row["name"], f"{row['weight']:.3f}", number(row["score"], like), number(row["adds"], like),
         "·" if row["predict_us"] is None else brief(row["predict_us"])]
        for row in rows
    ]  # fmt: skip
    header = ["member", "weight", f"{story.metric_name} alone", "adds", "µs/row"]
    return Grid("Members, the heaviest first", header, cells, frozenset({1, 2, 3, 4}), is_wide=False)
