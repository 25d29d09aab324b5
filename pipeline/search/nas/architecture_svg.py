"""Draws an architecture.

Its layers stand below one another, with arrows for what reads what and skips beside the boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from stacktune.families.nets.architecture import COLUMNS, Layer, unread

# All sizes are in pixels; x is 0 in the middle of the boxes, y is 0 at the top.
BOX_WIDTH, LAYER_HEIGHT, END_HEIGHT = 228, 54, 36
GAP = 32  # between two boxes, which an arrow bridges
FIRST_LANE, LANE = 26, 15  # from a box to the innermost skip, and from one skip to the next
PORT = 11  # between two skips where they leave or enter a box, less if many do
MARGIN = 10
HEAD_LENGTH, HEAD_WIDTH = 8, 7
BEAM = 20  # finds the fewest crossings of each of the 9,765 wirings of five layers; 16 missed four
CIRCLE = 0.5523  # where the control points of a cubic are that is nearest to a quarter of a circle
FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
INK, QUIET_INK = "#1f2933", "#52606d"
# Line and fill of each kind. The lines stand out from white by 4 to 1 at least, and from one another by 15 or more
# (CIE 1976), for people who lack any one kind of cones too.
COLOURS = {
    "dense": ("#3d6cc0", "#e8f0f9"),
    "glu": ("#16896a", "#e2f4ed"),
    "residual": ("#ad7212", "#faf1dc"),
    "attention": ("#85348a", "#f4e7f4"),
    "cross": ("#a8382c", "#faeae7"),
}
PLAIN = ("#4a5464", "#f3f5f7")


@dataclass(frozen=True)
class _Box:
    """A node of the graph.

    Its number says what it is: COLUMNS, a layer, or one more for the heads.
    """

    number: int
    top: int
    height: int
    line: str
    fill: str

    @property
    def bottom(self) -> int:
        return self.top + self.height


@dataclass(frozen=True)
class _Skip:
    """An arrow that passes a box.

    It passes at least one. side: -1 left, 1 right. lane: 0 is the innermost.
    """

    source: int
    target: int
    side: int
    lane: int = 0

    def overlaps(self, other: _Skip) -> bool:
        """Return whether the two overlap in one lane.

        They would then lie on one another.
        """
        return self.side == other.side and _overlap((self.source, self.target), (other.source, other.target))


def architecture_svg(layers: Sequence[Layer]) -> str:
    """Return `layers` as an SVG image.

    Columns are at the top, heads at the bottom, and an arrow stands for whatever is read.
    """
    boxes, wires = _boxes(layers), _wires(layers)
    skips = _in_lanes(_on_sides([wire for wire in wires if wire[1] - wire[0] > 1]))
    straight = [wire for wire in wires if wire[1] - wire[0] == 1]
    left, right = (_extent([skip for skip in skips if skip.side == side]) for side in (-1, 1))
    width, height = left + right, boxes[-1].bottom + MARGIN
    title = f"Architecture of {len(layers)} layer{'' if len(layers) == 1 else 's'}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="{-left} 0 {width} {height}" role="img" aria-label="{title}: {_in_words(layers)}" '
            f'font-family="{FONT}" text-anchor="middle">',
            f"<title>{title}</title>",
            f'<rect x="{-left}" width="{width}" height="{height}" fill="#fff"/>',
            *(_straight_arrow(boxes[source], boxes[target]) for source, target in straight),
            *_skip_arrows(skips, boxes),
            _end(boxes[0], "columns"),
            *(_layer(box, layer) for box, layer in zip(boxes[1:-1], layers, strict=True)),
            _end(boxes[-1], "heads"),
            "</svg>\n",
        )
    )


def _wires(layers: Sequence[Layer]) -> list[tuple[int, int]]:
    """Return what feeds what, by box numbers."""
    wires = [(source, number) for number, layer in enumerate(layers, start=1) for source in layer.reads]
    return wires + [(number, len(layers) + 1) for number in unread(layers)]


def _boxes(layers: Sequence[Layer]) -> list[_Box]:
    boxes = [_Box(COLUMNS, MARGIN, END_HEIGHT, *PLAIN)]
    for layer in layers:
        colours = COLOURS.get(layer.kind, PLAIN)
        boxes.append(_Box(len(boxes), boxes[-1].bottom + GAP, LAYER_HEIGHT, *colours))
    return [*boxes, _Box(len(boxes), boxes[-1].bottom + GAP, END_HEIGHT, *PLAIN)]


def _on_sides(wires: Sequence[tuple[int, int]]) -> list[_Skip]:
    """Return skips on their sides.

    There the fewest of them cross, and then the fewest lie beside one another.

    Long ones are placed first, and the BEAM best ways to place those so far are kept.
    """
    wires = sorted(wires, key=lambda wire: (wire[0] - wire[1], wire))
    ways = [(0, 0, 0)]  # how many pairs cross, how many lie side by side, and the bits of the wires on the left
    for place, wire in enumerate(wires):
        crossed = sum(1 << other for other in range(place) if _cross(wire, wires[other]))
        passed = sum(1 << other for other in range(place) if _overlap(wire, wires[other]))
        ways = sorted(
            (n_crossed + (crossed & there).bit_count(), n_passed + (passed & there).bit_count(), chosen)
            for n_crossed, n_passed, left in ways
            for there, chosen in ((~left, left), (left, left | 1 << place))[: 2 if place else 1]  # no mirror images
        )[:BEAM]
    left = ways[0][-1]
    return [_Skip(*wire, side=-1 if left >> place & 1 else 1) for place, wire in enumerate(wires)]


def _overlap(wire: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether the two overlap in one lane.

    They would then lie on one another.
    """
    return wire[0] < other[1] and other[0] < wire[1]


def _cross(wire: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two skips on one side must cross.

    They must in whichever lanes they are.
    """
    first, last = sorted((wire, other))
    return first[0] < last[0] < first[1] < last[1]


def _in_lanes(skips: Sequence[_Skip]) -> list[_Skip]:
    """Return the skips in lanes.

    Each lane holds what does not overlap, short ones nearest to the boxes.
    """
    placed: list[_Skip] = []
    for skip in sorted(skips, key=lambda skip: (skip.target - skip.source, skip.source)):
        lane = 1 + max((other.lane for other in placed if skip.overlaps(other)), default=-1)
        placed.append(_Skip(skip.source, skip.target, skip.side, lane))
    return placed


def _lane_x(lane: int) -> int:
    return BOX_WIDTH // 2 + FIRST_LANE + LANE * lane


def _extent(skips: Sequence[_Skip]) -> int:
    """Return how far `skips` reach to their side.

    It is the side of the drawing that they are on.
    """
    return max((_lane_x(skip.lane) for skip in skips), default=BOX_WIDTH // 2) + MARGIN


def _ports(box: _Box, skips: Sequence[_Skip]) -> Iterator[tuple[_Skip, bool, float]]:
    """Yield the heights of skips at a box.

    A skip enters (True) or leaves (False) there. Those that enter come from above, so they are above; and outer lanes
    enclose inner ones at either end. So two skips cross only if they must.
    """
    for side in (-1, 1):
        entering = sorted((s for s in skips if s.side == side and s.target == box.number), key=lambda s: s.lane)
        leaving = sorted((s for s in skips if s.side == side and s.source == box.number), key=lambda s: s.lane)
        places = len(entering) + len(leaving) + bool(entering and leaving)  # one stays free between the two
        step = min(PORT, (box.height - PORT) / max(1, places - 1))
        top, bottom = (box.top + box.height / 2 + sign * step * (places - 1) / 2 for sign in (-1, 1))
        yield from ((skip, True, top + step * place) for place, skip in enumerate(entering))
        yield from ((skip, False, bottom - step * place) for place, skip in enumerate(leaving))


def _skip_arrows(skips: Sequence[_Skip], boxes: Sequence[_Box]) -> Iterator[str]:
    """Yield the skips, outer ones over inner ones.

    So no arrow is cut off from its head where two cross.
    """
    ports = {(skip, enters): y for box in boxes for skip, enters, y in _ports(box, skips)}
    for skip in sorted(skips, key=lambda skip: skip.lane):
        yield _skip_arrow(skip, ports[skip, False], ports[skip, True], boxes[skip.source].line)


def _skip_arrow(skip: _Skip, start: float, end: float, colour: str) -> str:
    edge, lane = skip.side * BOX_WIDTH / 2, skip.side * _lane_x(skip.lane)
    back, half = edge + skip.side * HEAD_LENGTH, HEAD_WIDTH / 2
    first, last = start + _rounding(edge, lane, end - start), end - _rounding(back, lane, end - start)
    route = (
        f"M{edge:g} {start:g}"
        f"C{edge + CIRCLE * (lane - edge):g} {start:g} {lane:g} {first - CIRCLE * (first - start):g} {lane:g} {first:g}"
        f"V{last:g}"
        f"C{lane:g} {last + CIRCLE * (end - last):g} {back - CIRCLE * (back - lane):g} {end:g} {back:g} {end:g}"
    )
    head = f"{edge:g},{end:g} {back:g},{end - half:g} {back:g},{end + half:g}"
    return _arrow((skip.source, skip.target), route, head, colour)


def _rounding(x: float, lane: float, height: float) -> float:
    return min(abs(lane - x), height / 2)


def _straight_arrow(source: _Box, target: _Box) -> str:
    back, half = target.top - HEAD_LENGTH, HEAD_WIDTH / 2
    head = f"0,{target.top} {-half:g},{back} {half:g},{back}"
    return _arrow((source.number, target.number), f"M0 {source.bottom}V{back}", head, source.line)


def _arrow(wire: tuple[int, int], route: str, head: str, colour: str) -> str:
    """Return an arrow in its value's colour.

    A white seam lifts it over those that it crosses.
    """
    return (
        f'<g class="arrow" data-wire="{wire[0]} {wire[1]}">'
        f'<path d="{route}" fill="none" stroke="#fff" stroke-width="5"/>'
        f'<path d="{route}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        f'<polygon points="{head}" fill="{colour}"/></g>'
    )


def _rectangle(box: _Box) -> str:
    return (
        f'<rect x="{-BOX_WIDTH // 2}" y="{box.top}" width="{BOX_WIDTH}" height="{box.height}" rx="8" '
        f'fill="{box.fill}" stroke="{box.line}" stroke-width="1.4"/>'
    )


def _end(box: _Box, name: str) -> str:
    middle = box.top + box.height / 2
    text = f'<text y="{middle + 5:g}" font-size="14" fill="{INK}">{name}</text>'
    return f'<g class="box">{_rectangle(box)}{text}</g>'


def _layer(box: _Box, layer: Layer) -> str:
    return (
        f'<g class="box">{_rectangle(box)}'
        f'<text x="{-BOX_WIDTH // 2 + 13}" y="{box.top + 18}" font-size="11" fill="{QUIET_INK}">{box.number}</text>'
        f'<text y="{box.top + 24}" font-size="15" fill="{INK}"><tspan font-weight="bold">{escape(layer.kind)}</tspan> '
        f"{layer.width}</text>"
        f'<text y="{box.top + 42}" font-size="11" fill="{QUIET_INK}">{_details(layer)}</text></g>'
    )


def _details(layer: Layer) -> str:
    norm = "no norm" if layer.norm == "none" else f"{escape(layer.norm)} norm"
    dropout = f"dropout {layer.dropout:g}" if layer.dropout else "no dropout"
    return f"{escape(layer.activation)} · {norm} · {dropout}"


def _in_words(layers: Sequence[Layer]) -> str:
    """Return the whole graph for those who hear it."""
    parts = [
        f"{number} is {escape(layer.kind)} {layer.width} ({_details(layer)}) and reads {_names(layer.reads)}"
        for number, layer in enumerate(layers, start=1)
    ]
    return "; ".join([*parts, f"the heads read {_names(unread(layers))}"])


def _names(sources: Sequence[int]) -> str:
    return ", ".join("columns" if source == COLUMNS else str(source) for source in sources)
