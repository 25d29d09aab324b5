"""Shows what the run saw of its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacktune.data.profile import TARGET, ColumnProfile
from stacktune.report.columns_file import SeenColumns, read_columns
from stacktune.report.described import KINDS, bars, range_of
from stacktune.report.page.panel import Grid, Panel
from stacktune.report.page.story import Story
from stacktune.storage.run_folder import RunFolder
from stacktune.text import count

N_LEVELS, N_DRIFTED = 3, 8


def table(story: Story) -> Panel:
    """Return the panel of the data."""
    seen, columns = read_columns(RunFolder(story.folder).columns), story.manifest["schema"]["columns"]
    began = story.began
    lead = []
    if "of" in began and "n_rows" in began:
        lead.append(f"{began['of']}: {began['n_rows']:,} rows were learnt from, {count(len(columns), 'column')}.")
    lead += [*_drift_lines(seen), *story.notes] if seen else story.notes
    grid = _seen_grid(seen) if seen else _known_grid(columns)
    numbers: dict[str, Any] = {
        "n_rows": began.get("n_rows"),
        "columns": [{name: one.get(name) for name in ("name", "kind", "is_optional")} for one in columns],
        "notes": story.notes,
    }
    if seen:
        numbers |= {"n_rows_looked_at": seen.n_rows, "drift": dict(seen.drift), "drifted": list(seen.drifted)}
    return Panel("data", "The data, and what was said of it", lead, [grid], numbers)


def _drift_lines(seen: SeenColumns) -> list[str]:
    """Say which columns differ between training and test rows."""
    if not seen.drift:
        return []
    if not seen.drifted:
        return ["No column's values in the test rows are far from those learnt from."]
    shown = ", ".join(f"{name} ({seen.drift[name]:.2f})" for name in seen.drifted[:N_DRIFTED])
    more = len(seen.drifted) - N_DRIFTED
    return [
        f"In the test rows these columns hold other values than in those learnt from: {shown}"
        f"{f' and {more:,} more' if more > 0 else ''}; 0 is the same, 1 nothing in common."
    ]


def _seen_grid(seen: SeenColumns) -> Grid:
    header = ["column", "read as", "missing", "distinct", "values", *(["drift"] if seen.drift else [])]
    rows = []
    for one in seen.columns:
        missing = f"{one.n_missing / max(1, seen.n_rows):.1%}" if one.n_missing else ""
        name = f"{one.name} (target)" if one.role == TARGET else one.name
        row = [name, KINDS.get(one.kind, one.kind), missing, f"{one.n_distinct:,}", _values(one, seen.n_rows)]
        drift = seen.drift.get(one.name)
        rows.append([*row, *(["" if drift is None else f"{drift:.2f}"] if seen.drift else [])])
    caption = f"Columns, by {seen.n_rows:,} of the rows learnt from"
    return Grid(caption, header, rows, frozenset({2, 3, 5}))


def _values(column: ColumnProfile, n_rows: int) -> str:
    """Return a column's histogram and range, or its levels."""
    if column.counts:
        return f"{bars(column.counts)}  {range_of(column)}"
    total = max(1, n_rows - column.n_missing)
    return ", ".join(f"{text} {n / total:.0%}" for text, n in column.top[:N_LEVELS])


def _known_grid(columns: list[Mapping[str, Any]]) -> Grid:
    """Return what the model alone knows of its columns."""
    rows = [[one["name"], KINDS.get(one["kind"], one["kind"]), _holds(one)] for one in columns]
    return Grid("Columns that the model reads", ["column", "read as", "in training"], rows)


def _holds(column: Mapping[str, Any]) -> str:
    missing = "; may be missing" if column.get("is_optional") else ""
    if levels := column.get("categories"):
        more = f" and {len(levels) - N_LEVELS:,} more" if len(levels) > N_LEVELS else ""
        return f"{', '.join(levels[:N_LEVELS])}{more}{missing}"
    if column["kind"] == "numeric":
        return f"{column['low']:,.5g} to {column['high']:,.5g}{missing}"
    return missing.removeprefix("; ")
