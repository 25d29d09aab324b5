"""Lists the decisions that make a child architecture.

They come one after the other, whoever takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stacktune.families.nets.architecture import COLUMNS, Layer, from_line, repaired, to_line

# A choice is the place of a value, or the sources that a layer reads.
Choice = int | tuple[int, ...]
Tokens = tuple[Choice, ...]

DEPTH, READS = "n_layers", "reads"
# Draws beyond the limits of what a child may cost before a spare one is taken.
MAX_REDRAWS = 20
# Spares, and how many random children are drawn for them: of a space of which a hundredth keeps the limits, enough.
N_SPARES, MAX_SPARE_DRAWS = 64, 5_000


@dataclass(frozen=True)
class Decision:
    """A choice to make next.

    It is one of `n_choices` places, or for READS any of so many sources, the columns first.
    """

    name: str
    n_choices: int


def place_of(choice: Choice) -> int:
    """Return the choice of one value."""
    if isinstance(choice, tuple):
        raise TypeError(f"one of several values was to be chosen, not {choice}")
    return choice


def sources_of(choice: Choice) -> tuple[int, ...]:
    """Return the choice of what a layer reads."""
    if not isinstance(choice, tuple):
        raise TypeError(f"the sources of a layer were to be chosen, not {choice}")
    return choice


@dataclass(frozen=True)
class ChildSpace:
    """The choices that a child is made of.

    whole: values of what is chosen once. layer: values of what is chosen for each layer. depths: rising.
    """

    whole: Mapping[str, tuple[Any, ...]]
    depths: tuple[int, ...]
    layer: Mapping[str, tuple[Any, ...]]

    def decisions(self) -> Generator[Decision, Choice, dict[str, Any]]:
        """Ask for each choice; return the configuration.

        Every sequence of choices makes one.
        """
        config: dict[str, Any] = {}
        for name, values in self.whole.items():
            config[name] = values[place_of((yield Decision(name, len(values))))]
        depth = self.depths[place_of((yield Decision(DEPTH, len(self.depths))))]
        layers: list[Layer] = []
        for place in range(1, depth + 1):
            chosen: dict[str, Any] = {}
            for name, values in self.layer.items():
                chosen[name] = values[place_of((yield Decision(name, len(values))))]
            # The first layer has no choice.
            reads = (COLUMNS,) if place == 1 else sources_of((yield Decision(READS, place)))
            layers.append(Layer(**chosen, reads=reads))
        return {"architecture": to_line(repaired(layers)), **config}

    def tokens(self, config: Mapping[str, Any]) -> Tokens:
        """Return the repaired choices that make `config`."""
        layers = from_line(config["architecture"])
        tokens: list[Choice] = [values.index(config[name]) for name, values in self.whole.items()]
        tokens.append(self.depths.index(len(layers)))
        for place, layer in enumerate(layers, start=1):
            tokens += [values.index(getattr(layer, name)) for name, values in self.layer.items()]
            if place > 1:
                tokens.append(layer.reads)
        return tuple(tokens)

    def n_choices(self) -> dict[str, int]:
        """Return each decision's number of choices.

        READS is not among them: its number grows with the layers.
        """
        return {name: len(values) for name, values in {**self.whole, DEPTH: self.depths, **self.layer}.items()}


def child_space(domains: Mapping[str, Any]) -> ChildSpace:
    """Return the space of an architecture-search family.

    Its SPACE holds `tune.choice` domains and an "architecture".
    """
    parts = dict(domains["architecture"].parts)
    whole = {name: tuple(domain.categories) for name, domain in domains.items() if name != "architecture"}
    return ChildSpace(whole, tuple(parts.pop(DEPTH)), parts)


def follow(space: ChildSpace, choose: Callable[[Decision], Choice]) -> dict[str, Any]:
    """Return the configuration that `choose` makes, decision by decision."""
    asking = space.decisions()
    decision = next(asking)
    while True:
        choice = choose(decision)
        try:
            decision = asking.send(choice)
        except StopIteration as end:
            return end.value


def within_limits(
    draw: Callable[[], dict[str, Any]], is_feasible: Callable[[dict[str, Any]], bool] | None
) -> dict[str, Any] | None:
    """Return the first child within the limits.

    `draw` makes them. None is returned where none of MAX_REDRAWS keeps the limits.

    is_feasible: None for no limits.
    """
    if is_feasible is None:
        return draw()
    return next((child for child in (draw() for _ in range(MAX_REDRAWS)) if is_feasible(child)), None)


def spare_children(
    space: ChildSpace, is_feasible: Callable[[dict[str, Any]], bool], seed: int
) -> tuple[dict[str, Any], ...]:
    """Return random children that keep the limits.

    There are up to N_SPARES different ones; fewer where hardly any keeps them.
    """
    rng = np.random.default_rng(seed)
    spares: dict[str, dict[str, Any]] = {}
    for _ in range(MAX_SPARE_DRAWS):
        child = random_child(space, rng)
        if is_feasible(child):
            spares.setdefault(repr(child), child)
        if len(spares) == N_SPARES:
            break
    return tuple(spares.values())


def random_child(space: ChildSpace, rng: np.random.Generator) -> dict[str, Any]:
    """Return a child, each choice equally likely.

    Before repairs, so is every set of sources.
    """

    def choose(decision: Decision) -> Choice:
        if decision.name == READS:
            return tuple(source for source in range(decision.n_choices) if rng.random() < 0.5)
        return int(rng.integers(decision.n_choices))

    return follow(space, choose)
