"""A search around a start: the start comes first, and all else is near it and inside the family's own space."""

from __future__ import annotations

import itertools
import math

import pytest
from ray.tune.search.sample import Categorical, Integer

from stacktune.errors import ConfigError
from stacktune.families.registry import all_families
from stacktune.search.around import MAX_GRID, SPAN, StartingPoint
from stacktune.search.narrowing import Spaces
from stacktune.search.space import load_space

FAMILIES = [name for name, family in all_families().items() if family.searcher == "bayesian"]


def start_of(family: str, axes: tuple[str, ...] | None = None, place: int = 0, **changes: object) -> StartingPoint:
    config = {**load_space(family).portfolio[place], **changes}
    return StartingPoint(family, config, "runs/one", axes)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_draw_is_near_every_start_and_inside(family):
    own = load_space(family)
    for place in range(len(own.portfolio)):
        start = start_of(family, place=place)
        start.check(own)
        space = start.within(own)
        assert space.portfolio == (start.config,)
        assert not space.is_closed
        for name, domain in space.domains.items():
            for _ in range(20):
                value = domain.sample()
                assert own.domains[name].is_valid(value), (name, value)
            if not isinstance(domain, Categorical):
                assert _width(domain) <= SPAN * _width(own.domains[name]) + 1e-9 or isinstance(domain, Integer)


def _width(domain) -> float:
    to = math.log if type(domain.sampler).__name__ == "_LogUniform" else float
    return to(domain.upper) - to(domain.lower)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_grid_of_any_two_axes_begins_at_the_start(family):
    own = load_space(family)
    names = list(own.domains)
    for axes in itertools.pairwise(names):
        start = start_of(family, axes)
        start.check(own)
        space = start.within(own)
        assert space.portfolio[0] == start.config
        assert space.is_closed
        assert not space.mutable
        assert len({tuple(point.items()) for point in space.portfolio}) == len(space.portfolio) > 1
        for point in space.portfolio:
            assert all(own.domains[name].is_valid(value) for name, value in point.items())
            assert all(point[name] == start.config[name] for name in own.domains if name not in axes)


def test_points_next_to_the_start_come_first():
    points = start_of("linear", ("C",)).within(load_space("linear")).portfolio
    assert [point["C"] for point in points] == [1.0, 0.4217, 2.371, 0.1778, 5.623]


def test_listed_values_are_the_axis_and_the_start_is_kept():
    changes = {"linear": {"C": [0.5, 2.0]}}
    space = Spaces(changes, start=start_of("linear", ("C",))).load("linear")
    assert sorted(point["C"] for point in space.portfolio) == [0.5, 1.0, 2.0]
    assert space.portfolio[0]["C"] == 1.0


def test_a_start_beyond_its_range_is_tried_as_it_is():
    start = start_of("linear", C=5000.0)
    domain = start.within(load_space("linear")).domains["C"]
    assert domain.lower < 1000 < domain.upper == 5000.0


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (start_of("linear", ("c",)), r"--axes: linear has no parameter 'c'\. Did you mean 'C'\?"),
        (StartingPoint("linear", {"C": 1.0}, "runs/one"), "has other parameters of linear .*scaling"),
        (
            start_of("lightgbm", ("learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2")),
            rf"make a grid of 5 x 5 x 5 x 5 = 625 points, and {MAX_GRID} is the most",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(start, message):
    with pytest.raises(ConfigError, match=message):
        start.check(load_space(start.family))
