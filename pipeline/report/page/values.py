"""How far off predicted values are: residuals and tails.

All of it is of out-of-fold predictions: of rows that the models asked had not learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stacktune.data.spread import evenly_spread
from stacktune.report.page.chart import FROM_ZERO, Chart, layered, mark, number_axis
from stacktune.report.page.panel import Grid, Panel, Part
from stacktune.report.page.story import Story
from stacktune.text import number

N_DRAWN, N_BINS, N_BARS = 500, 10, 40
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def values(story: Story) -> Panel | None:
    """Return the panel of predicted values; None for classes."""
    judged = story.judged
    if judged is None or story.task.is_classification:
        return None
    known = np.isfinite(judged.prediction[:, 0])
    target, prediction = judged.labels[known], judged.prediction[known, 0]
    residual = prediction - target
    spread = np.quantile(residual, _QUANTILES)
    explained = 1 - float(np.mean(residual**2) / max(np.var(target), 1e-300))
    like = float(np.std(target)) or float(np.abs(target).max())
    lead = [
        f"On average it is off by {number(float(residual.mean()), like)}; nine of ten predictions are between "
        f"{number(float(-spread[0]), like)} too low and {number(float(spread[-1]), like)} too high.",
        f"It explains {explained:.1%} of the target's variance (R²).",
    ]
    bins = by_predicted(target, prediction)
    parts: list[Part] = [_scatter(story, target, prediction), _histogram(residual), _by_size(bins), _grid(bins, like)]
    numbers: dict[str, Any] = {
        "bias": float(residual.mean()),
        "r2": explained,
        "residual_quantiles": dict(zip(map(str, _QUANTILES), map(float, spread), strict=True)),
        "by_predicted": bins,
    }
    return Panel("quality", "How far off it is", lead, parts, numbers)


def by_predicted(target: np.ndarray, prediction: np.ndarray) -> list[dict[str, float]]:
    """Return means and errors of bins by prediction.

    low, high: between which nine of ten residuals lie.
    """
    found = []
    for rows in np.array_split(np.argsort(prediction, kind="stable"), min(N_BINS, len(prediction))):
        residual = prediction[rows] - target[rows]
        low, high = np.quantile(residual, [0.05, 0.95])
        found.append(
            {
                "predicted": float(prediction[rows].mean()),
                "true": float(target[rows].mean()),
                "bias": float(residual.mean()),
                "mean_abs": float(np.abs(residual).mean()),
                "low": float(low),
                "high": float(high),
                "n_rows": len(rows),
            }
        )
    return found


def _scatter(story: Story, target: np.ndarray, prediction: np.ndarray) -> Chart:
    drawn = evenly_spread(len(target), N_DRAWN)
    rows = [{"true": float(target[row]), "predicted": float(prediction[row])} for row in drawn]
    ends = np.quantile(np.concatenate([target, prediction]), [0.0, 1.0])
    domain = {"domain": ends.tolist(), "nice": False}
    x, y = (
        number_axis("predicted", "predicted", domain),
        number_axis("true", f"true {story.facts['target']}", domain),
    )
    line = [{"true": float(end), "predicted": float(end)} for end in ends]
    spec = layered(
        rows,
        {"mark": mark("point", filled=True, size=14, opacity=0.35, color="var(--c1)"), "encoding": {"x": x, "y": y}},
        {
            "data": {"values": line},
            "mark": mark("line", strokeDash=[4, 4], color="var(--ink)"),
            "encoding": {"x": x, "y": y},
        },
    )
    some = (
        f"{len(drawn):,} of {len(target):,} rows, evenly spread over the table"
        if len(drawn) < len(target)
        else "Every row"
    )
    return Chart("True against predicted", f"{some}; on the line a prediction is right.", spec, 340)


def _histogram(residual: np.ndarray) -> Chart:
    low, high = np.quantile(residual, [0.005, 0.995])
    edges = np.linspace(low, max(high, low + 1e-12), N_BARS + 1)
    counts, _ = np.histogram(residual.clip(low, high), edges)
    rows = [
        {"from": float(a), "to": float(b), "share": float(c) / len(residual)}
        for a, b, c in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    spec = layered(
        rows,
        {
            "mark": mark("bar", color="var(--c1)", opacity=0.8, binSpacing=0),
            "encoding": {
                "x": number_axis("from", "predicted less true"),
                "x2": {"field": "to"},
                "y": number_axis("share", "share of rows", FROM_ZERO),
                "y2": {"datum": 0},
            },
        },
        {"data": {"values": [{"at": 0}]}, "mark": mark("rule", color="var(--ink)", strokeDash=[3, 3]),
         "encoding": {"x": number_axis("at", None)}},
    )  # fmt: skip
    return Chart("Residuals", "The outermost half per cent on each side is drawn at the edge.", spec, 260)


def _by_size(bins: Sequence[dict[str, float]]) -> Chart:
    x, title = number_axis("predicted", "predicted"), "predicted less true"
    spec = layered(
        bins,
        {
            "mark": mark("rule", color="var(--c1)", opacity=0.5, strokeWidth=3),
            "encoding": {"x": x, "y": number_axis("low", title), "y2": {"field": "high"}},
        },
        {
            "mark": mark("point", filled=True, size=55, color="var(--c1)", opacity=1),
            "encoding": {"x": x, "y": number_axis("bias", title)},
        },
        {"data": {"values": [{"at": 0}]}, "mark": mark("rule", color="var(--quiet)", strokeDash=[3, 3]),
         "encoding": {"y": number_axis("at", title)}},
    )  # fmt: skip
    return Chart("Errors by what is predicted", "Ten bins of as many rows: the mean, and nine of ten.", spec, 260)


def _grid(bins: Sequence[dict[str, float]], like: float) -> Grid:
    header = ["predicted", "true", "mean error", "off by", "rows"]
    rows = [
        [*(number(row[name], like) for name in ("predicted", "true", "bias", "mean_abs")), f"{row['n_rows']:,.0f}"]
        for row in bins
    ]
    return Grid("Means of ten bins by prediction", header, rows, frozenset(range(5)), is_wide=False)
