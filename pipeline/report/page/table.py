"""What the run saw of its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacktune.report.page.panel import Grid, Panel
from stacktune.report.page.story import Story
from stacktune.report.text import count

_KINDS = {"numeric": "number", "categorical": "category", "datetime": "date", "boolean": "true or false"}
N_LEVELS = 4


def table(story: Story) -> Panel:
    """Return the panel of the data."""
    columns = story.manifest["schema"]["columns"]
    began = story.began
    lead = []
    if began:
        lead.append(f"{began['of']}: {began['n_rows']:,} rows were learnt from, {count(len(columns), 'column')}.")
    lead += story.notes
    rows = [[one["name"], _KINDS.get(one["kind"], one["kind"]), _holds(one)] for one in columns]
    grid = Grid("Columns that the model reads", ["column", "read as", "in training"], rows)
    numbers: dict[str, Any] = {
        "n_rows": began.get("n_rows"),
        "columns": [{name: one.get(name) for name in ("name", "kind", "is_optional")} for one in columns],
        "notes": story.notes,
    }
    return Panel("data", "The data, and what was said of it", lead, [grid], numbers)


def _holds(column: Mapping[str, Any]) -> str:
    """Say what a column held in training."""
    missing = "; may be missing" if column.get("is_optional") else ""
    if levels := column.get("categories"):
        shown = ", ".join(levels[:N_LEVELS])
        more = f" and {len(levels) - N_LEVELS:,} more" if len(levels) > N_LEVELS else ""
        return f"{shown}{more}{missing}"
    if column["kind"] == "numeric":
        return f"{column['low']:,.5g} to {column['high']:,.5g}{missing}"
    return missing.removeprefix("; ")
