"""How well classes are told apart: curves, calibration, confusion.

All of it is of out-of-fold predictions: of rows that the models asked had not learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stacktune.data.table import BINARY
from stacktune.metrics import decide
from stacktune.report.page.chart import FROM_ZERO, Chart, layered, mark, number_axis
from stacktune.report.page.panel import Grid, Panel, Part, Slider
from stacktune.report.page.story import Story
from stacktune.text import count, number

# A line of more points is not seen to be another.
N_POINTS, N_BINS, MAX_CONFUSED = 120, 10, 30


def classes(story: Story) -> Panel | None:
    """Return the panel of classes; None for values."""
    judged = story.judged
    if judged is None or not story.task.is_classification:
        return None
    known = np.isfinite(judged.prediction).all(axis=1)
    target, prediction = judged.labels[known], judged.prediction[known]
    weight = np.ones(len(target)) if judged.weight is None else judged.weight[known].astype(np.float64)
    if story.task.kind == BINARY:
        return _of_two(story, target, prediction, weight)
    return _of_more(story, target, prediction, weight)


def _of_two(story: Story, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> Panel:
    positive, chance = target == 1, prediction[:, 1]
    roc, recalled = curves(positive, chance, weight)
    bins = reliability(positive, chance, weight)
    places, counts = _at_thresholds(positive, chance, weight, story.threshold)
    chosen = places.index(story.threshold)
    name = story.task.classes
    area = area_under_roc(positive, chance, weight)
    share = float(weight[positive].sum() / weight.sum())
    off = float(sum(row["share"] * abs(row["said"] - row["true"]) for row in bins))
    lead = [
        f"From a probability of {story.threshold:.3g} on it decides for {name[1]}; "
        f"{share:.1%} of the {_what(story)} are.",
        f"Probabilities are off by {off:.3f} on average (expected calibration error).",
    ]
    parts: list[Part] = [
        Slider(name[1], name[0], places, counts, chosen),
        _line_chart("ROC curve", "false positive rate", "true positive rate", roc, _area_line(story, area),
                    diagonal=True),
        _line_chart("Precision and recall", "recall", "precision", recalled,
                    f"Of all rows {share:.3f} are positive, which is the precision of chance.", level=share),
        _calibration(bins, off),
        _separation(story, positive, chance),
    ]  # fmt: skip
    numbers = {
        "threshold": story.threshold,
        "positive": name[1],
        "roc": roc,
        "roc_auc": area,
        "precision_recall": recalled,
        "calibration": bins,
        "thresholds": [{"threshold": place, **dict(zip(("tp", "fp", "fn", "tn"), row, strict=True))}
                       for place, row in zip(places, counts, strict=True)],
    }  # fmt: skip
    return Panel("quality", "What it gets right and wrong", lead, parts, numbers)


def _what(story: Story) -> str:
    return "rows" if story.judged is None or story.judged.weight is None else "rows, as they weigh,"


def curves(
    positive: np.ndarray, chance: np.ndarray, weight: np.ndarray
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the ROC curve, and precision by recall."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    if positive.all() or not positive.any():
        return [], []
    false, true, _ = roc_curve(positive, chance, sample_weight=weight)
    precision, recall, _ = precision_recall_curve(positive, chance, sample_weight=weight)
    return _thinned(false, true), _thinned(recall[::-1], precision[::-1])


def area_under_roc(positive: np.ndarray, chance: np.ndarray, weight: np.ndarray) -> float | None:
    """Return the area under the ROC of all rows.

    The curve that is drawn has fewer points, and another area. It is None where all rows are of one class.
    """
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        return None
    return float(roc_auc_score(positive, chance, sample_weight=weight))


def _area_line(story: Story, area: float | None) -> str:
    if area is None:
        return "All rows are of one class, so there is no curve."
    line = f"Area {number(area, 1)}, over all rows at once"
    if story.metric_name != "roc_auc" or story.judged is None or len(set(story.judged.blocks.tolist())) < 2:
        return f"{line}."
    return f"{line}; the headline, {number(story.facts['cv_score'], 1)}, is the mean over {story.parts}."


def _thinned(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Return points of a curve, evenly spread along it."""
    if len(x) > N_POINTS:
        way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], N_POINTS)).clip(0, len(x) - 1))
        x, y = x[kept], y[kept]
    return [(round(float(a), 5), round(float(b), 5)) for a, b in zip(x, y, strict=True)]


def reliability(hit: np.ndarray, chance: np.ndarray, weight: np.ndarray) -> list[dict[str, float]]:
    """Return what was said and was so, by bins.

    Bins hold as many rows. error: the standard error of what was so. share: of the rows.
    """
    order = np.argsort(chance, kind="stable")
    found = []
    for rows in np.array_split(order, min(N_BINS, len(order))):
        total = weight[rows].sum()
        true = float(np.average(hit[rows], weights=weight[rows]))
        found.append(
            {
                "said": float(np.average(chance[rows], weights=weight[rows])),
                "true": true,
                "error": float(np.sqrt(max(true * (1 - true), 1e-12) / len(rows))),
                "share": float(total / weight.sum()),
            }
        )
    return found


def _at_thresholds(
    positive: np.ndarray, chance: np.ndarray, weight: np.ndarray, chosen: float
) -> tuple[list[float], list[list[float]]]:
    """Return thresholds, and what each decides."""
    places = sorted({*np.round(np.linspace(0.01, 0.99, 99), 2).tolist(), chosen})
    counts = []
    for place in places:
        decided = chance >= place
        counts.append(
            [round(float(weight[rows].sum()), 3)
             for rows in (decided & positive, decided & ~positive, ~decided & positive, ~decided & ~positive)]
        )  # fmt: skip
    return places, counts


def _line_chart(
    title: str, x: str, y: str, points: Sequence[tuple[float, float]], told: str, *, diagonal: bool = False,
    level: float | None = None,
) -> Chart:  # fmt: skip
    rows = [{"x": a, "y": b, "at": place} for place, (a, b) in enumerate(points)]
    unit = {"domain": [0, 1]}
    line = {
        "mark": mark("line", strokeWidth=2, color="var(--c1)"),
        "encoding": {"x": number_axis("x", x, unit), "y": number_axis("y", y, unit), "order": {"field": "at"}},
    }
    rule = {"mark": mark("line", strokeDash=[4, 4], color="var(--quiet)"),
            "encoding": {"x": number_axis("x", x, unit), "y": number_axis("y", y, unit)}}  # fmt: skip
    ends = [{"x": 0, "y": 0}, {"x": 1, "y": 1}] if diagonal else [{"x": 0, "y": level}, {"x": 1, "y": level}]
    return Chart(title, told, layered(rows, rule | {"data": {"values": ends}}, line), 300)


def _calibration(bins: Sequence[dict[str, float]], off: float) -> Chart:
    rows = [
        {**row, "low": max(0.0, row["true"] - 1.96 * row["error"]), "high": min(1.0, row["true"] + 1.96 * row["error"]),
         "told": f"said {row['said']:.3f}, was {row['true']:.3f}"}
        for row in bins
    ]  # fmt: skip
    unit = {"domain": [0, 1]}
    x, y = number_axis("said", "probability that was said", unit), number_axis("true", "share that was so", unit)
    ends = [{"said": 0, "true": 0}, {"said": 1, "true": 1}]
    spec = layered(
        rows,
        {"data": {"values": ends}, "mark": mark("line", strokeDash=[4, 4], color="var(--quiet)"),
         "encoding": {"x": x, "y": y}},
        {"mark": mark("rule", color="var(--c1)", opacity=0.5, strokeWidth=2),
         "encoding": {"x": x, "y": number_axis("low", None, unit), "y2": {"field": "high"}}},
        {"mark": mark("point", filled=True, size=55, color="var(--c1)", opacity=1, aria=True),
         "encoding": {"x": x, "y": y, "description": {"field": "told"}}},
    )  # fmt: skip
    told = f"Ten bins of as many rows, with 95 % intervals; on the line all is as said. Off by {off:.3f} on average."
    return Chart("Calibration", told, spec, 300)


def _separation(story: Story, positive: np.ndarray, chance: np.ndarray) -> Chart:
    edges = np.linspace(0, 1, 41)
    rows = []
    for name, members in ((story.task.classes[1], positive), (story.task.classes[0], ~positive)):
        counts, _ = np.histogram(chance[members], edges)
        share = counts / max(1, counts.sum())
        rows += [{"from": float(a), "to": float(b), "share": float(c), "family": name}
                 for a, b, c in zip(edges[:-1], edges[1:], share, strict=True)]  # fmt: skip
    colour = {"field": "family", "type": "nominal", "scale": {"domain": list(story.task.classes[::-1]),
                                                              "range": ["var(--c2)", "var(--c1)"]}}  # fmt: skip
    spec = layered(
        rows,
        {"mark": mark("bar", opacity=0.55, binSpacing=0),
         "encoding": {"x": number_axis("from", "probability that was said", scale={"domain": [0, 1]}),
                      "x2": {"field": "to"}, "y": number_axis("share", "share of the class", FROM_ZERO, stack=None),
                      "y2": {"datum": 0}, "color": colour}},
        {"mark": mark("rule", color="var(--ink)", strokeDash=[3, 3]), "data": {"values": [{"at": story.threshold}]},
         "encoding": {"x": number_axis("at", None)}},
    )  # fmt: skip
    told = f"The probabilities of {story.task.classes[1]} that rows of each class were given; the dashed line decides."
    return Chart("How the classes part", told, spec, 300)


def _of_more(story: Story, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray) -> Panel:
    decided, names = decide(prediction), story.task.classes
    n = len(names)
    table = np.bincount(target * n + decided, weights=weight, minlength=n * n).reshape(n, n)
    sure = prediction.max(axis=1)
    bins = reliability(decided == target, sure, weight)
    off = float(sum(row["share"] * abs(row["said"] - row["true"]) for row in bins))
    rows: list[dict[str, Any]] = [
        {
            "class": names[c],
            "rows": float(table[c].sum()),
            "recall": float(table[c, c] / table[c].sum()) if table[c].sum() else None,
            "precision": float(table[c, c] / table[:, c].sum()) if table[:, c].sum() else None,
        }
        for c in range(n)
    ]
    mixed = table.copy()
    np.fill_diagonal(mixed, 0)
    worst = np.unravel_index(int(mixed.argmax()), mixed.shape)
    lead = [f"The likeliest class is decided for: {float(np.trace(table) / table.sum()):.1%} are right."]
    if mixed[worst] > 0:
        lead.append(f"Most often {names[worst[0]]} is taken for {names[worst[1]]} ({mixed[worst]:,.0f} rows).")
    lead.append(f"The probability of the decision is off by {off:.3f} on average (expected calibration error).")
    cells = [
        [row["class"], f"{row['rows']:,.0f}", number(row["recall"], 1), number(row["precision"], 1)] for row in rows
    ]
    header = ["class", "rows", "recall", "precision"]
    grid = Grid("Each class: of its rows found, of its decisions right", header, cells, frozenset({1, 2, 3}))
    parts: list[Part] = [_confusion(names, table), _calibration(bins, off), grid]
    return Panel("quality", "What it gets right and wrong", lead, parts,
                 {"classes": rows, "confusion": table.tolist(), "calibration": bins})  # fmt: skip


def _confusion(names: Sequence[str], table: np.ndarray) -> Chart:
    """Return the largest classes' confusion."""
    shown = np.argsort(-table.sum(axis=1), kind="stable")[:MAX_CONFUSED]
    shown = np.sort(shown)
    totals = np.maximum(table.sum(axis=1), 1e-12)
    rows: list[dict[str, Any]] = [
        {"true": names[a], "decided": names[b], "share": float(table[a, b] / totals[a]),
         "text": f"{table[a, b]:,.0f}" if table[a, b] else "",
         "told": f"{names[a]} taken for {names[b]}: {table[a, b]:,.0f} rows"}
        for a in shown for b in shown
    ]  # fmt: skip
    order = [names[c] for c in shown]
    axes = {
        "x": {"field": "decided", "type": "nominal", "sort": order, "title": "decided", "axis": {"labelAngle": -40}},
        "y": {"field": "true", "type": "nominal", "sort": order, "title": "true"},
    }
    cells = {"mark": mark("rect", color="var(--c1)", aria=True),
             "encoding": axes | {"opacity": {"field": "share", "type": "quantitative", "legend": None,
                                             "scale": {"domain": [0, 1], "range": [0.03, 0.6]}},
                                 "description": {"field": "told"}}}  # fmt: skip
    texts = {"mark": mark("text", fontSize=12, color="var(--ink)"), "encoding": axes | {"text": {"field": "text"}}}
    layers = [cells, texts] if len(shown) <= 12 else [cells]
    left = len(names) - len(shown)
    told = "Rows of each class by what was decided; the darker, the larger the share of the class."
    told += f" {count(left, 'smaller class')} are left out." if left > 0 else ""
    return Chart("Confusion", told, layered(rows, *layers), min(420, 110 + 34 * len(shown)))
