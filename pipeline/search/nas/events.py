"""The controller's events, and their drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stacktune.families.nets.architecture import from_line
from stacktune.search.events import Drawing, Event
from stacktune.search.nas.architecture_svg import architecture_svg
from stacktune.search.nas.rewards_svg import rewards_svg

CONTROLLER = "controller"
REWARD, REWARD_OF_RANDOM = "reward", "reward_of_random"


@dataclass(frozen=True)
class Reward:
    """The reward of a child.

    It is the share of the children before it that it beats. number: the child's, from 0.
    """

    number: int
    value: float
    is_random: bool

    def as_event(self) -> Event:
        return Event(CONTROLLER, {REWARD_OF_RANDOM if self.is_random else REWARD: self.value}, self.number)


@dataclass(frozen=True)
class ControllerUpdate:
    """One update of the controller, with its state.

    number: from 0. baseline: the moving average of rewards after it; mean_reward: of its batch. The rest is as in
    `UpdateStats` of controller.py.
    """

    number: int
    mean_reward: float
    baseline: float
    loss: float
    entropy: float
    skip_density: float
    staleness: int
    n_refused: int

    def as_event(self) -> Event:
        values = asdict(self)
        return Event(CONTROLLER, values, values.pop("number"))


def draw_child(config: Mapping[str, Any]) -> tuple[Drawing, ...]:
    """Return the drawing of a child's architecture."""
    return (Drawing("architecture.svg", architecture_svg(from_line(config["architecture"]))),)


def draw_rewards(events: Sequence[Event]) -> tuple[Drawing, ...]:
    """Return the drawing of all rewards, or none."""
    earned = {name: _earned(events, name) for name in (REWARD, REWARD_OF_RANDOM)}
    if not any(earned.values()):
        return ()
    return (Drawing("rewards.svg", rewards_svg(earned[REWARD], earned[REWARD_OF_RANDOM])),)


def _earned(events: Sequence[Event], name: str) -> list[tuple[int, float]]:
    return [(event.step, event.values[name]) for event in events if name in event.values]
