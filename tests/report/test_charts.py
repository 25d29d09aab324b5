"""What is drawn is seen whole: legends end within their chart, and names that are too long are told apart."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

import stacktune.report.page
from stacktune.explain.explanation import Explanation
from stacktune.report.page.chart import WIDTH, Chart, family_colour, layered, mark, name_axis, number_axis
from stacktune.report.page.importance import charts_of

# Of a letter of 12 pixels, in the fonts of a page.
CHAR_WIDTH = 6.6
LONG = "a_column_with_a_name_that_an_axis_cuts_off"


def right_edges(chart: Chart, texts: list[str]) -> dict[str, float]:
    """Return where each text that begins with one of these ends, in pixels from the left."""
    found: dict[str, float] = {}

    def look(element: ElementTree.Element, x: float) -> None:
        for moved in re.findall(r"translate\(([-\d.]+)", element.get("transform", "")):
            x += float(moved)
        text = element.text or ""
        if element.tag.endswith("text") and element.get("text-anchor") == "start":
            for name in texts:
                if text.removesuffix("…") and name.startswith(text.removesuffix("…")):
                    found[name] = x + CHAR_WIDTH * len(text)
        for child in element:
            look(child, x)

    look(ElementTree.fromstring(chart.drawn), 0.0)
    return found


def test_the_legend_of_what_trees_say_is_not_cut_at_the_right():
    """Three members beside one another ran over the edge."""
    members = [f"{family}-{place:04}" for place, family in enumerate(["random_forest", "lightgbm", "extra_trees"])]
    rows = [
        {"member": member, "column": column, "mean_abs_contribution": 1.0}
        for member in members
        for column in (LONG, "b")
    ]
    (chart,) = charts_of(Explanation("rmse", pd.DataFrame(), members=pd.DataFrame(rows)), "y")
    edges = right_edges(chart, members)
    assert edges.keys() == {*members}
    assert max(edges.values()) <= WIDTH


@pytest.mark.parametrize("length", [4, 15, 16, 60])
def test_a_legend_of_families_ends_within_the_chart_however_long_their_names_are(length):
    families = [f"{letter}{'_family' * 9}"[:length] for letter in "abcdefg"]
    rows = [{"x": 1.0, "name": LONG, "family": family} for family in families]
    encoding = {"x": number_axis("x", "x"), "y": name_axis("name"), "color": family_colour(families, {})}
    edges = right_edges(Chart("t", "s", layered(rows, {"mark": mark("point"), "encoding": encoding})), families)
    assert edges.keys() == {*families}
    assert max(edges.values()) <= WIDTH


def bar_names(columns: list[str]) -> list[str]:
    rows = [{"column": name, "importance": 0.1, "low": 0.0, "high": 0.2, "p_value": 0.01} for name in columns]
    chart = next(charts_of(Explanation("rmse", pd.DataFrame(rows)), "y"))
    return [row["label"] for row in chart.spec["data"]["values"]]


def test_a_group_is_named_by_its_first_column_and_how_many_more_there_are():
    """It was cut to "Battr + Fattr + D4…", whatever else it held."""
    alone = ["Battr", "Fattr", "D4attr", "B8attr", "F12attr"]
    assert bar_names([" + ".join(alone), "Battr + Fattr", *alone]) == ["Battr + 4 more", "Battr + Fattr", *alone]


def test_a_column_that_has_a_plus_in_its_name_is_no_group():
    assert bar_names(["salary + all of the bonuses", "b"]) == ["salary + all of the bonuses", "b"]
    alike = [f"{LONG} + {LONG}_2", f"{LONG} + 1 more", LONG, f"{LONG}_2"]
    assert bar_names(alike) == alike, "two bars of one name would lie on one another"


def test_a_table_that_scrolls_shows_a_shadow_where_there_is_more():
    """On a phone wide tables were cut, and nothing said that they scroll."""
    style = (Path(stacktune.report.page.__file__).parent / "style.css").read_text()
    rule = re.search(r"^\.scroll \{(.*?)\}", style, re.MULTILINE | re.DOTALL)[1]
    assert rule.count("no-repeat local") == rule.count("no-repeat scroll") == 2
    assert len(re.findall(r"--shade: ", style)) == 2, "by light and by dark"
