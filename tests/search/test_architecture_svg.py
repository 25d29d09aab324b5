"""The drawing of an architecture shows every layer and every wire, and no two things in one place."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.families.nets.architecture import Layer, from_line, unread
from stacktune.search.nas.architecture_svg import BOX_WIDTH, COLOURS, architecture_svg
from stacktune.search.space import load_space

SVG = "{http://www.w3.org/2000/svg}"
ARCHITECTURES = load_space("nas").domains["architecture"]
PARTS = (
    "dense-128-silu-none-0.1",
    "glu-256-selu-layer-0.3",
    "residual-64-relu-none-0",
    "attention-192-relu-layer-0.2",
    "cross-64-relu-none-0",
)
CHAIN, DENSE, PARALLEL, ONE = (
    from_line(" ".join(f"{part}({sources})" for part, sources in zip(PARTS, reads.split(), strict=False)))
    for reads in ("x 1 2 3 4", "x x,1 x,1,2 x,1,2,3 x,1,2,3,4", "x x x x x", "x")
)


def architectures():
    drawn = st.integers(0, 2**32 - 1).map(lambda seed: from_line(ARCHITECTURES.sample(random_state=seed)))
    return st.sampled_from([CHAIN, DENSE, PARALLEL, ONE]) | drawn


@dataclass(frozen=True)
class Arrow:
    """source, target: numbers of boxes. points: (x, y) of the route, control points among them. tip: of the head."""

    source: int
    target: int
    points: tuple[tuple[float, float], ...]
    tip: tuple[float, float]

    @property
    def is_skip(self) -> bool:
        return self.target - self.source > 1

    @property
    def lane(self) -> tuple[float, float, float]:
        """x, upper and lower end of a skip's upright part."""
        return self.points[3][0], self.points[3][1], self.points[4][1]


def drawn(layers):
    """Return the image, its boxes as (top, bottom, words) from the top, and its arrows."""
    image = ElementTree.fromstring(architecture_svg(layers))
    boxes = []
    for group in image.iterfind(f"{SVG}g[@class='box']"):
        rectangle = group.find(f"{SVG}rect")
        top = float(rectangle.get("y"))
        assert float(rectangle.get("x")) == -BOX_WIDTH / 2
        assert float(rectangle.get("width")) == BOX_WIDTH
        boxes.append((top, top + float(rectangle.get("height")), " ".join(group.itertext()).replace("  ", " ")))
    return image, boxes, [arrow_of(group) for group in image.iterfind(f"{SVG}g[@class='arrow']")]


def arrow_of(group) -> Arrow:
    source, target = map(int, group.get("data-wire").split())
    points, at = [], (0.0, 0.0)
    for command, numbers in re.findall(r"([MCV])([^MCV]+)", group.find(f"{SVG}path").get("d")):
        values = [float(number) for number in numbers.split()]
        points += [(at[0], values[0])] if command == "V" else list(zip(values[::2], values[1::2], strict=True))
        at = points[-1]
    tip = group.find(f"{SVG}polygon").get("points").split()[0].split(",")
    return Arrow(source, target, tuple(points), (float(tip[0]), float(tip[1])))


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_every_layer_is_named_in_its_own_box(layers):
    _, boxes, _ = drawn(layers)
    assert [boxes[0][2], boxes[-1][2]] == ["columns", "heads"]
    for number, (layer, (_, _, words)) in enumerate(zip(layers, boxes[1:-1], strict=True), start=1):
        norm = "no norm" if layer.norm == "none" else "layer norm"
        dropout = f"dropout {layer.dropout:g}" if layer.dropout else "no dropout"
        assert words == f"{number} {layer.kind} {layer.width} {layer.activation} · {norm} · {dropout}"


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_there_is_an_arrow_for_every_read_and_every_joined_output(layers):
    _, boxes, arrows = drawn(layers)
    wires = [(source, number) for number, layer in enumerate(layers, start=1) for source in layer.reads]
    wires += [(number, len(layers) + 1) for number in unread(layers)]
    assert sorted((arrow.source, arrow.target) for arrow in arrows) == sorted(wires)
    for arrow in arrows:
        (x, y), (tip_x, tip_y) = arrow.points[0], arrow.tip
        (source_top, source_bottom, _), (target_top, target_bottom, _) = boxes[arrow.source], boxes[arrow.target]
        if arrow.is_skip:
            assert abs(x) == abs(tip_x) == BOX_WIDTH / 2
            assert source_top < y < source_bottom
            assert target_top < tip_y < target_bottom
        else:
            assert (x, tip_x, y, tip_y) == (0, 0, source_bottom, target_top)


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_nothing_lies_on_anything_else(layers):
    image, boxes, arrows = drawn(layers)
    assert all(upper[1] < lower[0] for upper, lower in pairwise(boxes))
    skips = [arrow for arrow in arrows if arrow.is_skip]
    left, _, width, _ = map(float, image.get("viewBox").split())
    for skip in skips:
        # A cubic lies within the hull of its control points, so that none is in a box or out of the picture.
        assert all(abs(x) >= BOX_WIDTH / 2 and left < x < left + width for x, _ in skip.points)
        assert len({x > 0 for x, _ in skip.points}) == 1
        assert skip.lane[1] <= skip.lane[2]
    for one, other in combinations(skips, 2):
        assert {one.points[0], one.tip}.isdisjoint({other.points[0], other.tip})
        (x, upper, lower), (other_x, other_upper, other_lower) = one.lane, other.lane
        assert x != other_x or lower < other_upper or other_lower < upper


@pytest.mark.parametrize(("layers", "n_skips"), [(CHAIN, 0), (DENSE, 10), (PARALLEL, 8), (ONE, 0)])
def test_only_skips_leave_the_middle(layers, n_skips):
    image, _, arrows = drawn(layers)
    assert sum(arrow.is_skip for arrow in arrows) == n_skips
    assert (float(image.get("width")) == BOX_WIDTH + 20) == (n_skips == 0)


def test_branches_that_meet_at_the_heads_cross_no_other():
    _, _, arrows = drawn(PARALLEL)
    sides = {(arrow.target == len(PARALLEL) + 1, arrow.lane[0] > 0) for arrow in arrows if arrow.is_skip}
    assert len(sides) == 2, "what leaves the columns and what goes to the heads are on a side each"


def test_the_graph_is_told_to_those_who_do_not_see_it():
    image, _, _ = drawn(from_line("dense-128-silu-none-0.1(x) cross-64-relu-layer-0(x,1) glu-64-selu-none-0(1)"))
    assert image.get("role") == "img"
    assert image.find(f"{SVG}title").text == "Architecture of 3 layers"
    assert image.get("aria-label") == (
        "Architecture of 3 layers: 1 is dense 128 (silu · no norm · dropout 0.1) and reads columns; "
        "2 is cross 64 (relu · layer norm · no dropout) and reads columns, 1; "
        "3 is glu 64 (selu · no norm · no dropout) and reads 1; the heads read 2, 3"
    )


def test_words_are_escaped_and_unknown_kinds_drawn():
    image, boxes, _ = drawn([Layer('<b>&"', 8, "<i>", "'&", 0.0, (0,))])
    assert boxes[1][2] == "1 <b>&\" 8 <i> · '& norm · no dropout"
    assert '1 is <b>&" 8' in image.get("aria-label")


def test_every_kind_of_layer_has_a_colour_of_its_own():
    assert set(COLOURS) == set(ARCHITECTURES.parts["kind"])
    assert len({colour for pair in COLOURS.values() for colour in pair}) == 2 * len(COLOURS)


def test_nothing_heavy_is_imported():
    heavy = "{'matplotlib', 'numpy', 'pandas', 'ray', 'rich', 'torch'}"
    code = f"import sys, stacktune.search.nas.architecture_svg; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
