"""Draws charts as SVG that a page holds.

The problem: a page without a network, in a sandbox, on a phone, in print and in the dark needs charts that are there
without a script. What draws in the browser (plotly, Vega's own runtime) is 0.9 to 4.8 MB a page and blank without
JavaScript; matplotlib's pictures have their colours and their letters' shapes baked in.

The solution: a chart is a Vega-Lite specification, which is data, and is drawn when the page is written, by the same
Vega compiled into `vl-convert`. Colours are the page's own variables, so that they follow the reader's theme; letters
are text. What a pointer rests on says its values, as an SVG title, which needs no script either.

What is guaranteed: the SVG runs nothing and fetches nothing, and texts of a user's table are escaped in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

from stacktune.search.decisions import plain

Row = Mapping[str, Any]
Spec = dict[str, Any]

# In pixels. On a desk two stand side by side; on a phone one is shrunk by a fifth at most.
WIDTH, HEIGHT = 440, 230
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Of so short names a legend has room for three beside one another, else for two.
MAX_CHARS_OF_THREE = 15
# The scale of what is long from zero on.
FROM_ZERO: Mapping[str, Any] = {"zero": True}
# Variables of style.css.
INK, QUIET, GRID = "var(--ink)", "var(--quiet)", "var(--grid)"
COLOURS = tuple(f"var(--c{number})" for number in range(1, 10))
CONFIG: Spec = {
    "background": "transparent",
    "aria": False,
    "font": "inherit",
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET, "titleColor": QUIET, "gridColor": GRID, "domainColor": GRID, "tickColor": GRID,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 170,
        "labelFont": "inherit", "titleFont": "inherit", "tickCount": 5,
    },
    "legend": {
        "labelColor": INK, "titleColor": QUIET, "labelFontSize": 12, "titleFontSize": 12, "labelFont": "inherit",
        "titleFont": "inherit", "orient": "bottom", "columns": 2, "title": None, "symbolType": "circle",
        "columnPadding": 14, "labelLimit": 170, "symbolOpacity": 1,
        # A legend that begins where the axis ends is cut at the right edge where labels of the axis are long.
        "layout": {"bottom": {"anchor": "end", "bounds": "full"}},
    },
    "text": {"font": "inherit", "fontSize": 12, "fill": INK},
}  # fmt: skip
# Vega writes places with sixteen digits; a tenth of a pixel is not seen.
_PLACES = re.compile(r' (transform|d|x|y|x1|x2|y1|y2|width|height)="([^"]*)"')
_DIGITS = re.compile(r"(\.\d)\d+")
_LABELLED = re.compile(r'<(path|line|rect|text)([^>]*?) aria-label="([^"]*)"([^>]*?)(?:/>|></\1>)')
_CLIP = re.compile(r'(id="|url\(#)(clip\d+)')
_ARIA = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')


@dataclass(frozen=True)
class Chart:
    """A chart of a panel.

    title: what it shows, in some words. summary: what is to be seen in it, in a sentence, for whoever sees no picture.
    spec: of Vega-Lite, less its size and looks. height: in pixels.
    """

    title: str
    summary: str
    spec: Spec
    height: int = HEIGHT

    @cached_property
    def drawn(self) -> str:
        """Return it as Vega draws it."""
        import vl_convert

        spec = {
            "$schema": SCHEMA,
            "width": WIDTH,
            "height": self.height,
            "autosize": {"type": "fit", "contains": "padding"},
            "config": CONFIG,
            **self.spec,
        }
        return vl_convert.vegalite_to_svg(spec)


def layered(rows: Iterable[Row], *layers: Spec) -> Spec:
    """Return the specification of layers over the same rows."""
    return {"data": {"values": [plain(row) for row in rows]}, "layer": list(layers)}


def mark(kind: str, **look: Any) -> Spec:
    """Return a layer's mark."""
    return {"type": kind, **look}


def number_axis(field: str, title: str | None, scale: Mapping[str, Any] | None = None, **more: Any) -> Spec:
    """Return the channel of a quantity.

    scale: of Vega-Lite; without one zero need not be on it.
    """
    return {"field": field, "type": "quantitative", "title": title, "scale": dict(scale or {"zero": False}), **more}


def name_axis(field: str, order: Sequence[str] | None = None, title: str | None = None) -> Spec:
    """Return the channel of names, in an order."""
    return {"field": field, "type": "nominal", "title": title, "sort": None if order is None else list(order)}


def family_colour(families: Sequence[str], palette: Mapping[str, str], legend: bool = True) -> Spec:
    """Return the channel that colours families.

    legend: is not needed where an axis names trials, which are called after their families.
    """
    shown = sorted(set(families))
    scale = {"domain": shown, "range": [palette.get(one, QUIET) for one in shown]}
    columns = 3 if max(map(len, shown), default=0) <= MAX_CHARS_OF_THREE else 2
    return {
        "field": "family",
        "type": "nominal",
        "scale": scale,
        "legend": {"columns": columns} if legend else None,
    }


def svg_of(chart: Chart, name: str) -> str:
    """Return a chart as an image with a name.

    name: unique within its page, for what refers to its parts.
    """
    head, _, rest = chart.drawn.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    rest = _LABELLED.sub(r"<\1\2\4><title>\3</title></\1>", rest)
    rest = _ARIA.sub("", rest)
    rest = _PLACES.sub(_rounded, rest)
    rest = _CLIP.sub(rf"\1{name}-\2", rest)  # each drawing counts its own from 0
    told = f'<title id="{name}-t">{escape(chart.title)}</title><desc id="{name}-d">{escape(chart.summary)}</desc>'
    place = box[0] if box else ""
    return f'<svg class="chart" role="img" aria-labelledby="{name}-t {name}-d" {place}>{told}{rest}'


def _rounded(found: re.Match[str]) -> str:
    places = _DIGITS.sub(r"\1", found[2])
    return f' {found[1]}="{places}"'
