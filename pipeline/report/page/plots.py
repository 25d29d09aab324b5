"""Writes charts as files of their own.

They are for MLflow, which shows them beside a run, and for slides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from stacktune.report.page.chart import WIDTH, Chart, svg_of
from stacktune.storage.atomic import remove_asides, replacing

HERE = Path(__file__).parent


def write_plots(charts: Iterable[Chart], folder: Path) -> Path:
    """Write each chart into an SVG of its own.

    What was in `folder` is replaced, once all are drawn.
    """
    remove_asides(folder)
    with replacing(folder) as aside:
        aside.mkdir(parents=True)
        for place, chart in enumerate(charts):
            path = aside / f"{_name(chart.title)}.svg"
            if path.exists():  # of columns that differ in signs alone
                path = aside / f"{path.stem}-{place}.svg"
            path.write_text(alone(chart), encoding="utf-8")
    return folder


def alone(chart: Chart) -> str:
    """Return a chart that needs no page around it."""
    svg = svg_of(chart, "chart")
    head, _, rest = svg.partition(">")
    size = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{chart.height}"'
    style = f"<style>{_colours()} svg {{ background: var(--page); font-family: system-ui, sans-serif; }}</style>"
    return f"{head.replace('<svg', f'<svg {size}')}>{style}{rest}"


def _colours() -> str:
    """Return the page's colours, by light and by dark."""
    style = (HERE / "style.css").read_text(encoding="utf-8")
    return style.partition("* {")[0].strip()


def _name(title: str) -> str:
    return re.sub(r"\W+", "-", title).strip("-").lower()[:60] or "chart"
