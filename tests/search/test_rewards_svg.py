"""The plot of rewards shows each child and both running means, however few there are, and is always the same."""

from __future__ import annotations

import random
import re
from xml.etree import ElementTree

import matplotlib
import pytest

from stacktune.search.nas.rewards_svg import rewards_svg

SVG = "{http://www.w3.org/2000/svg}"


def rewards(n: int, seed: int = 0) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Return n children's rewards: the controller's and those at random, each in the order of their numbers."""
    rng = random.Random(seed)
    points = [(number, rng.random()) for number in range(3, n + 3)]
    return [point for point in points if point[0] % 8 != 7], [point for point in points if point[0] % 8 == 7]


def words(svg: str) -> list[str]:
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def groups(svg: str, prefix: str) -> list[ElementTree.Element]:
    return [group for group in ElementTree.fromstring(svg).iter(f"{SVG}g") if group.get("id", "").startswith(prefix)]


@pytest.mark.parametrize("n", [0, 1, 2, 5, 200])
def test_a_plot_is_well_formed_and_has_a_point_for_each_child(n):
    svg = rewards_svg(*rewards(n))
    assert {"child", "share of earlier children beaten", "as good as"} <= set(words(svg))
    clouds = groups(svg, "PathCollection")
    assert sum(len(list(cloud.iter(f"{SVG}use"))) for cloud in clouds) == n


def test_an_empty_plot_says_why():
    assert "no child has earned a reward yet" in words(rewards_svg([], []))
    assert "no child has earned a reward yet" not in words(rewards_svg([], [(7, 0.5)]))


def test_only_groups_that_have_children_are_explained():
    means = [word for word in words(rewards_svg(*rewards(200))) if "mean" in word]
    assert means == ["controller, mean of the last 20", "at random, mean of the last 20"]
    means = [word for word in words(rewards_svg([(3, 0.5)], [])) if "mean" in word]
    assert means == ["controller, mean of the last 20"]


def test_the_line_is_the_mean_of_the_last_twenty():
    controller = [(number, float(number < 20)) for number in range(60)]
    heights = line_of(rewards_svg(controller, []))
    lowest, highest = heights[-1], heights[0]
    assert len(heights) == 60
    shares = [(height - lowest) / (highest - lowest) for height in heights]
    expected = [1.0] * 20 + [1 - k / 20 for k in range(1, 21)] + [0.0] * 20
    assert shares == pytest.approx(expected, abs=1e-4)


def line_of(svg: str) -> list[float]:
    """Return the heights of the longest line that is drawn."""
    paths = [path.get("d") for group in groups(svg, "line2d") for path in group.iter(f"{SVG}path")]
    return [float(y) for y in re.findall(r"[ML] \S+ (\S+)", max(paths, key=len))]


def test_a_plot_is_the_same_every_time_and_in_any_order():
    controller, at_random = rewards(100)
    svg = rewards_svg(controller, at_random)
    assert rewards_svg(controller[::-1], at_random[::-1]) == svg
    assert "dc:date" not in svg


def test_the_settings_of_matplotlib_stay_as_they_were():
    def kept() -> dict:
        return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}  # found when read

    before = kept()
    rewards_svg(*rewards(5))
    assert kept() == before
