"""Makes a finished run's page, and its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stacktune import __version__
from stacktune.report.page.chart import Chart, svg_of
from stacktune.report.page.classes import classes
from stacktune.report.page.commands import commands
from stacktune.report.page.importance import importance
from stacktune.report.page.members import members
from stacktune.report.page.panel import Commands, Grid, Panel, Slider
from stacktune.report.page.parameters import parameters
from stacktune.report.page.plots import HERE, write_plots
from stacktune.report.page.rungs import rungs
from stacktune.report.page.spent import spent
from stacktune.report.page.standings import standings
from stacktune.report.page.story import Story, read_story
from stacktune.report.page.table import table
from stacktune.report.page.values import values
from stacktune.report.page.verdict import verdict
from stacktune.search.decisions import plain
from stacktune.storage.lines import write_whole
from stacktune.storage.run_folder import RunFolder
from stacktune.storage.uris import masked

# In the order of the page.
PANELS: tuple[Callable[[Story], Panel | None], ...] = (
    verdict, standings, spent, rungs, members, classes, values, importance, parameters, table, commands,
)  # fmt: skip
FORMAT = 1


def write_report(folder: Path) -> Path:
    """Write the report; return the page's path.

    Beside it come its numbers and its charts.

    folder: of a finished run.

    Raises:
        ConfigError: it is none.
    """
    story, places = read_story(folder), RunFolder(folder)
    panels = [panel for make in PANELS if (panel := make(story)) is not None]
    write_whole(places.report_numbers, masked(json.dumps(_numbers(panels), indent=1)) + "\n")
    write_whole(places.report, masked(html(story, panels)))
    write_plots((part for panel in panels for part in panel.parts if isinstance(part, Chart)), places.plots)
    return places.report


def _numbers(panels: list[Panel]) -> dict[str, Any]:
    said = {panel.name: {"title": panel.title, "said": list(panel.lead), **panel.numbers} for panel in panels}
    return {"format": FORMAT, "stacktune": __version__, **plain(said)}


def html(story: Story, panels: list[Panel]) -> str:
    """Return the page; nothing in it is fetched."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests |= {
        "chart": lambda part: isinstance(part, Chart),
        "grid": lambda part: isinstance(part, Grid),
        "slider": lambda part: isinstance(part, Slider),
        "commands": lambda part: isinstance(part, Commands),
    }
    environment.globals["svg"] = svg_of
    parts = {name: (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "threshold.js")}
    return environment.get_template("page.html").render(
        title=f"{story.facts['target']}: {story.folder.name}",
        run=story.folder.name,
        panels=panels,
        style=parts["style.css"],
        script=parts["threshold.js"],
        version=__version__,
    )
