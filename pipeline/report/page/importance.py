"""Shows which columns the leader predicts by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stacktune.errors import ConfigError
from stacktune.explain.columns import GROUPED
from stacktune.explain.explanation import Explanation, read
from stacktune.report.page.chart import FROM_ZERO, Chart, Spec, layered, mark, name_axis, number_axis
from stacktune.report.page.panel import Commands, Grid, Panel, Part
from stacktune.report.page.story import Story
from stacktune.storage.run_folder import RunFolder
from stacktune.text import count, in_a_shell, number

TITLE = "Which columns it predicts by"
N_COLUMNS, N_DEPENDENCES, N_WORST, N_LINES, MAX_LEVEL_CHARS = 15, 6, 10, 20, 24


def importance(story: Story) -> Panel | None:
    """Return the panel of importance, if any."""
    try:
        found = read(RunFolder(story.folder).explanation)
    except ConfigError as error:
        return Panel("importance", TITLE, [f"{error} Remove it: the rest of this report does not need it."])
    if found is None:
        return _unexplained(story)
    lead = [_said(found), *found.notes] if len(found.importance) else list(found.notes)
    parts: list[Part] = list(charts_of(found, story.facts["target"]))
    if len(found.worst):
        parts.append(_worst(story, found))
    numbers = {
        "metric": found.metric,
        "out_of_fold": found.out_of_fold,
        "n_rows": found.n_rows,
        "columns": found.importance.to_dict("records"),
        "dependence": found.dependence.to_dict("records"),
        "members": found.members.to_dict("records"),
        "notes": list(found.notes),
    }
    return Panel("importance", TITLE, lead, parts, numbers)


def _unexplained(story: Story) -> Panel:
    """Say how a run comes by an explanation."""
    folder = in_a_shell(str(story.folder))
    kept = in_a_shell(str(RunFolder(story.folder).explanation))
    lead = [
        "The run did not explain its leader: it had no second for that, or was told not to (--no-report). Rows that it "
        "has not learnt from explain it, too, and are shown here then."
    ]
    commands = [
        ("explain it", f"stacktune explain {folder} NEWER.parquet --output {kept}"),
        ("show it here", f"stacktune report {folder}"),
    ]
    return Panel("importance", TITLE, lead, [Commands(commands)])


def _said(found: Explanation) -> str:
    rows = "rows that the models asked had not learnt from" if found.out_of_fold else "test rows"
    return (
        f"A column's importance is what the {found.metric} loses when its values are shuffled, on {found.n_rows:,} "
        f"{rows}; lines are 95 % intervals. It is of the model, not of the world: of two columns that say the same, "
        "either may have it."
    )


def charts_of(found: Explanation, target: str) -> Iterator[Chart]:
    """Yield the charts of an explanation."""
    if len(found.importance):
        yield _bars(found)
    if len(found.members):
        yield _trees(found)
    yield from _dependences(found, target)


def _p_text(value: float) -> str:
    return ", too few rows for an interval" if value != value else f", p {value:.3f}"


def _bars(found: Explanation) -> Chart:
    top = found.importance.head(N_COLUMNS)
    like = float(top["importance"].abs().max())
    labels = _labels(found.importance["column"].tolist())
    rows = [
        {
            **{name: row[name] for name in ("column", "importance", "low", "high")},
            "label": labels[row["column"]],
            "said": f"{row['column']}: {number(row['importance'], like)}{_p_text(row['p_value'])}",
        }
        for row in top.to_dict("records")
    ]
    at = {"y": name_axis("label", [row["label"] for row in rows])}
    x = f"loss of {found.metric}"
    spec = layered(
        rows,
        {
            "mark": mark("bar", height={"band": 0.65}, color="var(--c1)", opacity=0.75, aria=True),
            "encoding": at | {"x": number_axis("importance", x, FROM_ZERO), "description": {"field": "said"}},
        },
        {
            "mark": mark("rule", color="var(--ink)", strokeWidth=1.5),
            "encoding": at | {"x": number_axis("low", x, FROM_ZERO), "x2": {"field": "high"}},
        },
    )
    n_more = len(found.importance) - len(top)
    told = f"The foremost is {rows[0]['column']}." + (
        f" {count(n_more, 'more column')} are not drawn." if n_more else ""
    )
    return Chart("Importance of columns", told, spec, 70 + 22 * len(rows))


def _labels(columns: Sequence[str]) -> dict[str, str]:
    """Return each column's or group's name on an axis.

    A group that is too long for it is its first column "and 5 more", where that tells it from all others.
    """
    labels = {}
    for column in columns:
        parts = column.split(GROUPED)
        is_long_group = len(parts) > 1 and len(column) > MAX_LEVEL_CHARS and {*parts} <= {*columns}
        labels[column] = f"{parts[0]} + {len(parts) - 1} more" if is_long_group else column
    return labels if len({*labels.values()}) == len(labels) else dict(zip(columns, columns, strict=True))


def _trees(found: Explanation) -> Chart:
    """Return what the members' trees say of themselves."""
    sums = found.members.groupby("column", sort=False)["mean_abs_contribution"].sum().sort_values(ascending=False)
    order = sums.head(N_COLUMNS).index.tolist()
    rows = [
        {**row, "said": f"{row['member']}: {row['column']} {row['mean_abs_contribution']:.3g}"}
        for row in found.members[found.members["column"].isin(order)].to_dict("records")
    ]
    members = list(dict.fromkeys(found.members["member"]))
    spec = layered(
        rows,
        {
            "mark": mark("point", filled=True, size=45, opacity=0.75, aria=True),
            "encoding": {
                "x": number_axis("mean_abs_contribution", "mean contribution to the raw score", FROM_ZERO),
                "y": name_axis("column", order),
                "color": {"field": "member", "type": "nominal", "sort": members, "scale": {"range": _shades(members)}},
                "description": {"field": "said"},
            },
        },
    )
    told = "Each member's own TreeSHAP, in its raw score: it does not add up to what the leader predicts."
    return Chart("What the members' trees say", told, spec, 110 + 22 * len(order))


def _shades(members: list[str]) -> list[str]:
    return [f"var(--c{1 + place % 9})" for place in range(len(members))]


def _dependences(found: Explanation, target: str) -> Iterator[Chart]:
    if found.dependence.empty:
        return
    names = list(dict.fromkeys(found.dependence["column"]))
    title = f"predicted {target}" if found.looked_at is None else f"probability of {found.looked_at}"
    for name in names[:N_DEPENDENCES]:
        curve = found.dependence[found.dependence["column"] == name]
        if curve["number"].isna().all():
            yield _by_level(name, title, curve)
        else:
            lines = found.ice[found.ice["column"] == name] if len(found.ice) else found.ice
            yield _by_number(name, title, curve, lines)


def _by_level(name: str, title: str, curve: pd.DataFrame) -> Chart:
    rows = [
        {**row, "level": _short(row["value"]), "said": f"{row['value']}: {row['prediction']:.4g}"}
        for row in curve.to_dict("records")
    ]
    at = {"y": name_axis("level", [row["level"] for row in rows])}
    spec = layered(
        rows,
        {
            "mark": mark("rule", color="var(--c1)", opacity=0.35, strokeWidth=4),
            "encoding": at | {"x": number_axis("low", title), "x2": {"field": "high"}},
        },
        {
            "mark": mark("point", filled=True, size=60, opacity=1, color="var(--c1)", aria=True),
            "encoding": at | {"x": number_axis("prediction", title), "description": {"field": "said"}},
        },
    )
    told = f"The mean {title} if all rows had the level, and the middle 80 % of rows."
    return Chart(f"Dependence on {name}", told, spec, 60 + 22 * len(rows))


def _short(level: Any) -> str:
    text = str(level)
    return text if len(text) <= MAX_LEVEL_CHARS else f"{text[: MAX_LEVEL_CHARS - 1]}…"


def _by_number(name: str, title: str, curve: pd.DataFrame, lines: pd.DataFrame) -> Chart:
    is_date = curve["kind"].iloc[0] == "datetime"
    curve = curve.dropna(subset="number")
    axis: Spec = {"field": "number", "type": "temporal" if is_date else "quantitative", "title": name}
    axis |= {} if is_date else {"scale": {"zero": False, "nice": False}}

    def points(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
        values = frame["number"].to_numpy(dtype=np.float64) * (1000 if is_date else 1)  # Vega's dates are milliseconds
        return frame.assign(number=values).to_dict("records")

    few = lines[lines["row"].isin(list(dict.fromkeys(lines["row"]))[:N_LINES])] if len(lines) else lines
    band = {
        "mark": mark("area", color="var(--c1)", opacity=0.12),
        "encoding": {"x": axis, "y": number_axis("low", title), "y2": {"field": "high"}},
    }
    mean = {
        "mark": mark("line", color="var(--c1)", strokeWidth=2.5),
        "encoding": {"x": axis, "y": number_axis("prediction", title)},
    }
    rug = {
        "mark": mark("tick", color="var(--ink)", thickness=1.5, height=8, yOffset=0),
        "encoding": {"x": axis, "y": {"value": {"expr": "height"}},
                     "opacity": {"field": "share", "type": "quantitative", "legend": None,
                                 "scale": {"domain": [0, float(curve["share"].max())], "range": [0.08, 1]}}},
    }  # fmt: skip
    layers = [band, mean, rug]
    if len(few):
        alone = {
            "data": {"values": points(few.dropna(subset="number"))},
            "mark": mark("line", color="var(--quiet)", opacity=0.35, strokeWidth=0.8),
            "encoding": {"x": axis, "y": number_axis("prediction", title), "detail": {"field": "row"}},
        }
        layers.insert(1, alone)
    told = (
        f"The mean {title} if all rows had the value, the middle 80 % of rows, and some rows alone. "
        "The darker the ticks below, the more rows are there."
    )
    return Chart(f"Dependence on {name}", told, layered(points(curve), *layers))


def _worst(story: Story, found: Explanation) -> Grid:
    """Return the rows that were predicted worst."""
    shown = found.worst.head(N_WORST)
    target = story.facts["target"]
    columns = [name for name in ("row", target, story.task.prediction_name, "loss") if name in shown]
    rows = [[_cell(row[name]) for name in columns] for row in shown.to_dict("records")]
    numeric = frozenset(place for place, name in enumerate(columns) if name in ("row", "loss"))
    return Grid("Rows predicted worst", columns, rows, numeric, is_wide=False)


def _cell(value: Any) -> str:
    return f"{value:,.5g}" if isinstance(value, float) else str(value)
