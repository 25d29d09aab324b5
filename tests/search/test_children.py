"""Children: whatever is chosen, decision by decision, makes an architecture that is written, read and made again."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.families.nets.architecture import COLUMNS, from_line, to_line
from stacktune.search.nas.children import DEPTH, READS, ChildSpace, Choice, Decision, child_space, follow, random_child
from stacktune.search.space import load_space

NAS = load_space("nas")
SPACE = child_space(NAS.domains)

PLAIN = {"width": (4,), "activation": ("relu",), "norm": ("none",), "dropout": (0.0,)}
# 28 children: one choice of each kind, and in half of them a layer that may read another.
TINY = ChildSpace({"k": (1, 2)}, (1, 2), {"kind": ("dense", "glu"), **PLAIN})
# 25 children, which differ by what their layers read.
WIRING = ChildSpace({}, (1, 2, 3), {"kind": ("dense",), **PLAIN})


def options(decision: Decision) -> list[Choice]:
    if decision.name != READS:
        return list(range(decision.n_choices))
    sources = range(decision.n_choices)
    return list(chain.from_iterable(combinations(sources, size) for size in range(decision.n_choices + 1)))


def every_child(space: ChildSpace) -> list[dict[str, Any]]:
    """Return each child once, found by going through every sequence of choices."""
    found: dict[str, dict[str, Any]] = {}
    todo: list[tuple[Choice, ...]] = [()]
    while todo:
        prefix = todo.pop()
        asking = space.decisions()
        try:
            decision = next(asking)
            for choice in prefix:
                decision = asking.send(choice)
        except StopIteration as end:
            found[repr(end.value)] = end.value
        else:
            todo += [(*prefix, choice) for choice in options(decision)]
    return list(found.values())


@st.composite
def children(draw: st.DrawFn) -> dict[str, Any]:
    """Any sequence of choices in the family's own space."""

    def choose(decision: Decision) -> Choice:
        if decision.name == READS:
            return tuple(sorted(draw(st.sets(st.integers(0, decision.n_choices - 1)))))
        return draw(st.integers(0, decision.n_choices - 1))

    return follow(SPACE, choose)


@given(children())
@settings(max_examples=150, deadline=None)
def test_every_sequence_of_choices_makes_a_valid_child(child):
    architecture = child["architecture"]
    assert to_line(from_line(architecture)) == architecture
    assert child.keys() == NAS.domains.keys()
    assert all(NAS.domains[name].is_valid(value) for name, value in child.items())


@given(children())
@settings(max_examples=150, deadline=None)
def test_the_choices_of_a_child_make_it_again(child):
    left = iter(SPACE.tokens(child))
    assert follow(SPACE, lambda decision: next(left)) == child
    assert list(left) == []


@pytest.mark.parametrize("entry", NAS.portfolio)
def test_known_good_children_are_sequences_of_choices(entry):
    left = iter(SPACE.tokens(entry))
    assert follow(SPACE, lambda decision: next(left)) == entry


def test_a_layer_that_reads_nothing_reads_the_columns():
    child = follow(SPACE, lambda decision: () if decision.name == READS else decision.n_choices - 1)
    layers = from_line(child["architecture"])
    assert [layer.reads for layer in layers] == [(COLUMNS,)] * SPACE.depths[-1]
    assert SPACE.tokens(child)[-1] == (COLUMNS,)


def test_a_layer_chooses_among_the_columns_and_the_layers_before_it():
    asked: list[Decision] = []
    follow(WIRING, lambda decision: (asked.append(decision), (0,) if decision.name == READS else -1)[1])
    assert [decision.n_choices for decision in asked if decision.name == READS] == [2, 3]
    assert {decision.name: decision.n_choices for decision in asked if decision.name != READS} == WIRING.n_choices()


def test_a_family_space_is_split_by_how_often_a_choice_is_made():
    assert SPACE.whole == {"lr": (0.01, 0.02, 0.04), "k": (1, 2, 4)}
    assert SPACE.depths == (1, 2, 3, 4, 5)
    assert tuple(SPACE.layer) == ("kind", "width", "activation", "norm", "dropout")
    assert DEPTH not in SPACE.layer


def test_repairs_leave_the_children_that_differ():
    assert len(every_child(TINY)) == 2 * (2 + 4 * 3)
    assert len(every_child(WIRING)) == 1 + 3 + 3 * 7


def test_a_random_child_follows_its_seed_and_may_be_any_child():
    drawn = [random_child(WIRING, np.random.default_rng(seed)) for seed in range(400)]
    assert drawn == [random_child(WIRING, np.random.default_rng(seed)) for seed in range(400)]
    assert {child["architecture"] for child in drawn} == {child["architecture"] for child in every_child(WIRING)}


def test_a_child_of_another_space_has_no_choices_here():
    with pytest.raises(ValueError, match="not in tuple"):
        TINY.tokens(NAS.portfolio[0] | {"k": 4})


def test_choices_that_run_out_are_not_taken_for_the_end():
    def choose(decision: Decision) -> Choice:
        raise StopIteration("no choice is left")

    with pytest.raises(StopIteration, match="no choice is left"):
        follow(TINY, choose)
