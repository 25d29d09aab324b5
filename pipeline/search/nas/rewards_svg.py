"""Plots the rewards of an architecture search.

The controller's children stand beside those drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType

    Points = Sequence[tuple[int, float]]

N_AVERAGED = 20
SIZE = (7.2, 3.8)  # inches
INK, QUIET_INK, GRID = "#1f2933", "#52606d", "#e4e7eb"
MIN_CHILDREN = 10  # on the axis, however few there are


class _Look(NamedTuple):
    """The look of a group of children.

    It tells the group from the other, with colours or without.
    """

    colour: str
    marker: str
    line: str


CONTROLLER, RANDOM = _Look("#3d6cc0", "o", "-"), _Look("#ad7212", "D", "--")
STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rewards",  # without one, clips are named anew in each plot
    "font.family": ["sans-serif"],
    # matplotlib brings the first, so that a plot is laid out alike everywhere; the others are narrower.
    "font.sans-serif": ["DejaVu Sans", "Helvetica Neue", "Helvetica", "Arial", "sans-serif"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET_INK,
    "xtick.color": QUIET_INK,
    "ytick.color": QUIET_INK,
}


def rewards_svg(controller: Points, random: Points) -> str:
    """Return an SVG image of children's rewards.

    They are (child's number, reward) pairs in any order. Each is shown faintly, and so is a running mean.

    A reward is the share of the children before it that a child beats. random: of the children drawn at random, which
    the controller is held against.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=SIZE)
        axes = figure.add_axes((0.09, 0.14, 0.79, 0.74))
        _draw_frame(axes, last=max((number for number, _ in (*controller, *random)), default=0))
        _draw_group(axes, controller, CONTROLLER, "controller")
        _draw_group(axes, random, RANDOM, "at random")
        if controller or random:
            _draw_legend(axes)
        else:
            axes.text(0.5, 0.55, "no child has earned a reward yet", transform=axes.transAxes, ha="center")
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Title": "Rewards of the children"})
    return text.getvalue()


def _draw_frame(axes: Axes, last: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="child", xlim=(0, max(last, MIN_CHILDREN)))
    axes.set(ylabel="share of earlier children beaten", ylim=(-0.03, 1.03), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.axhline(0.5, color=QUIET_INK, linewidth=1, linestyle=":", zorder=1)
    beside = axes.get_yaxis_transform()
    axes.text(1.015, 0.5, "as good as\nearlier ones", transform=beside, va="center", fontsize=8, color=QUIET_INK)


def _draw_group(axes: Axes, points: Points, look: _Look, name: str) -> None:
    if not points:
        return
    from matplotlib.patheffects import withStroke

    numbers, rewards = zip(*sorted(points), strict=True)
    means = [fmean(rewards[max(0, end - N_AVERAGED) : end]) for end in range(1, len(rewards) + 1)]
    axes.scatter(numbers, rewards, s=18, c=look.colour, marker=look.marker, alpha=0.32, linewidths=0, clip_on=False)
    seam = [withStroke(linewidth=3.4, foreground="white")]
    line = axes.plot(numbers, means, look.marker + look.line, color=look.colour, linewidth=2, path_effects=seam)[0]
    line.set(label=f"{name}, mean of the last {N_AVERAGED}", markevery=[-1], markersize=5, clip_on=False)


def _draw_legend(axes: Axes) -> None:
    # Above the plot.
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.02),
        ncols=2,
        borderpad=0,
        borderaxespad=0,
        frameon=False,
        handlelength=3,
    )
