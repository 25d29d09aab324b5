"""Trains the controller.

Shards own its parameters; replicas draw children and compute gradients.

Here both are plain objects, which is all that one process needs; `parameter_server.py` makes Ray actors of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from stacktune.search.nas.children import ChildSpace, within_limits
from stacktune.search.nas.policy import Episode, Policy, PolicySettings, flat, gradient_of, load_flat
from stacktune.seeds import derive_seed
from stacktune.storage.lines import write_whole

BASELINE_DECAY = 0.95  # NASNet (Zoph et al. 2018, appendix A.1)
# Rewards that differ by a smaller share than this are the same, but for rounding.
MIN_RELATIVE_SPREAD = 1e-9


class Baseline:
    """A moving baseline of rewards.

    It has moving averages of rewards and of their squared distance from the average, both corrected for their start.

    A numerator and a denominator are kept, as in TabNAS's code, so that the average of one reward is that reward. What
    a reward is compared with does not hold the reward itself, but in the first batch.
    """

    def __init__(self, decay: float = BASELINE_DECAY):
        self._decay = decay
        self._sum = self._sum_of_squares = self._weight = 0.0

    @property
    def value(self) -> float | None:
        """Return the average; None before the first reward."""
        return self.average if self._weight else None

    @property
    def average(self) -> float:
        """Return the average reward.

        There is one from the first reward on.
        """
        return self._sum / self._weight

    def advantages(self, rewards: Sequence[float]) -> list[float]:
        """Return a batch's advantages, then learn its rewards.

        An advantage is how much better than expected a reward is, in standard deviations.

        The first batch has nothing to be compared with but itself; against the mean of the other rewards, all its
        advantages and their spread would be larger by the same factor.
        """
        expected = self.average if self._weight else float(np.mean(rewards))
        for reward in rewards:
            self._sum = self._decay * self._sum + reward
            self._sum_of_squares = self._decay * self._sum_of_squares + (reward - expected) ** 2
            self._weight = self._decay * self._weight + 1.0
        spread = math.sqrt(self._sum_of_squares / self._weight)
        is_flat = spread <= MIN_RELATIVE_SPREAD * abs(expected)
        return [0.0 if is_flat else (reward - expected) / spread for reward in rewards]


@dataclass(frozen=True)
class PushReply:
    """A shard's answer to a push.

    values: its parameters as they are now. staleness: updates since those it was computed on.
    """

    is_taken: bool
    version: int
    staleness: int
    values: np.ndarray


class Shard:
    """Owns a slice of the controller's parameters.

    It owns Adam's state for it, too.

    values: (n,) float32 first parameters. most_stale: gradients on parameters older than so many updates are refused.
    file: where its state is written before an update is acknowledged, and read from when it begins anew; None keeps
    nothing.
    """

    def __init__(self, values: np.ndarray, lr: float, most_stale: int, file: Path | None = None):
        self._weight = torch.nn.Parameter(torch.from_numpy(values.copy()))
        self._adam = torch.optim.Adam([self._weight], lr=lr)
        self._most_stale, self._file = most_stale, file
        self._version = 0
        self._taken: set[tuple[int, int]] = set()
        if file is not None and file.exists():
            self._load()

    def pull(self) -> PushReply:
        """Return the parameters."""
        return PushReply(True, self._version, 0, self._values())

    def push(self, replica: int, number: int, gradient: np.ndarray, version: int) -> PushReply:
        """Apply a replica's gradient once.

        It is the `number`-th, computed on `version`, and applied once however often it is pushed.
        """
        staleness = self._version - version
        if (replica, number) in self._taken:
            return PushReply(True, self._version, 0, self._values())
        if staleness > self._most_stale:
            return PushReply(False, self._version, staleness, self._values())
        self._weight.grad = torch.from_numpy(gradient.copy())
        self._adam.step()
        self._version += 1
        self._taken.add((replica, number))
        self._save()
        return PushReply(True, self._version, staleness, self._values())

    def _values(self) -> np.ndarray:
        return self._weight.detach().numpy().copy()

    def _save(self) -> None:
        if self._file is None:
            return
        from safetensors.torch import save

        state = self._adam.state[self._weight]
        facts = {"version": str(self._version), "taken": json.dumps(sorted(self._taken))}
        write_whole(self._file, save({"weight": self._weight.detach(), **state}, facts))

    def _load(self) -> None:
        from safetensors import safe_open

        with safe_open(self._file, "pt") as kept:
            facts, state = kept.metadata(), {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
        with torch.no_grad():
            self._weight.copy_(state.pop("weight"))
        self._adam.state[self._weight] = state
        self._version, self._taken = int(facts["version"]), set(map(tuple, json.loads(facts["taken"])))


class Shards(Protocol):
    """All shards, as a replica sees them."""

    def pull(self) -> list[PushReply]: ...

    def push(self, replica: int, number: int, parts: dict[int, tuple[np.ndarray, int]]) -> dict[int, PushReply]:
        """Push a gradient to the shards.

        It goes with the version that it was computed on, to each shard that `parts` names.
        """


class LocalShards:
    """Shards in this process."""

    def __init__(self, shards: Sequence[Shard]):
        self._shards = shards

    def pull(self) -> list[PushReply]:
        return [shard.pull() for shard in self._shards]

    def push(self, replica: int, number: int, parts: dict[int, tuple[np.ndarray, int]]) -> dict[int, PushReply]:
        return {place: self._shards[place].push(replica, number, *part) for place, part in parts.items()}


def slices(n_parameters: int, n_shards: int) -> list[slice]:
    """Return each shard's slice of the parameters.

    They are as even as can be.
    """
    cuts = np.linspace(0, n_parameters, n_shards + 1).round().astype(int)
    return [slice(int(low), int(high)) for low, high in pairwise(cuts)]


@dataclass(frozen=True)
class UpdateStats:
    """A replica's `number`-th update.

    staleness: the most of any shard. n_refused: gradients that were too stale, and computed anew.
    """

    replica: int
    number: int
    loss: float
    entropy: float
    skip_density: float
    staleness: int
    n_refused: int


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread.

    Others only wait for each other at matrices as small as a controller's.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Replica:
    """Draws children and computes gradients.

    It is a copy of the controller, all parameters being the shards'.
    """

    def __init__(
        self,
        place: int,
        space: ChildSpace,
        settings: PolicySettings,
        seed: int,
        shards: Shards,
        is_feasible: Callable[[dict[str, Any]], bool] | None = None,
    ):
        self._place, self._settings, self._seed = place, settings, seed
        self._shards, self._is_feasible = shards, is_feasible
        self._policy = Policy(space, settings, seed)
        self._held: dict[int, PushReply] = {}
        self._take(dict(enumerate(shards.pull())))

    def draw(self, seed: int, n_depths: int) -> dict[str, Any] | None:
        """Return a child that keeps the limits.

        It is None where none was drawn.
        """
        generator = torch.Generator().manual_seed(seed)
        with _one_thread(), torch.no_grad():
            return within_limits(lambda: self._policy.draw(generator, n_depths).config, self._is_feasible)

    def learn(self, number: int, episodes: Sequence[Episode], n_depths: int) -> UpdateStats:
        """Learn one batch.

        It computes the gradient of this replica's `number`-th batch, pushes each shard its slice, and pulls.
        """
        seed = derive_seed(self._seed, "probes", self._place, number)
        remaining = list(self._held)
        staleness = n_refused = 0
        while remaining:
            with _one_thread():
                gradient = gradient_of(self._policy, episodes, n_depths, self._is_feasible, seed)
            owned = slices(len(gradient.values), len(self._held))
            parts = {place: (gradient.values[owned[place]].numpy(), self._held[place].version) for place in remaining}
            answers = self._shards.push(self._place, number, parts)
            remaining = [place for place, answer in answers.items() if not answer.is_taken]
            staleness = max([staleness, *(answer.staleness for answer in answers.values() if answer.is_taken)])
            n_refused += len(remaining)
            self._take(answers)
        return UpdateStats(
            self._place, number, gradient.loss, gradient.entropy, gradient.skip_density, staleness, n_refused
        )

    def _take(self, answers: dict[int, PushReply]) -> None:
        """Store the shards' latest answers.

        The first answers come from all of them, in order.
        """
        self._held |= answers
        load_flat(self._policy, torch.from_numpy(np.concatenate([held.values for held in self._held.values()])))


def first_parameters(space: ChildSpace, settings: PolicySettings, seed: int) -> np.ndarray:
    """Return a search's first parameters.

    They are (n_parameters,) float32, and follow from its seed.
    """
    return flat(Policy(space, settings, seed)).numpy()


class Controller(Protocol):
    """Draws children, and learns how they did.

    The search asks it, and tells it of them.
    """

    def draw(self, replica: int, seed: int, n_depths: int) -> dict[str, Any] | None:
        """Return a child from a replica's parameters.

        It draws by the replica's copy of them, and returns None where none that was drawn keeps the limits.
        """

    def learn(self, replica: int, number: int, episodes: Sequence[Episode], n_depths: int) -> None:
        """Let a replica learn its `number`-th batch.

        It may return before the replica has.
        """

    def learnt(self) -> list[UpdateStats]:
        """Return the updates since the last call."""


class LocalController:
    """One shard and one replica, in this process."""

    def __init__(
        self,
        space: ChildSpace,
        settings: PolicySettings,
        seed: int,
        is_feasible: Callable[[dict[str, Any]], bool] | None = None,
    ):
        shard = Shard(first_parameters(space, settings, seed), settings.lr, most_stale=0)
        self._replica = Replica(0, space, settings, seed, LocalShards([shard]), is_feasible)
        self._learnt: list[UpdateStats] = []

    def draw(self, replica: int, seed: int, n_depths: int) -> dict[str, Any] | None:
        return self._replica.draw(seed, n_depths)

    def learn(self, replica: int, number: int, episodes: Sequence[Episode], n_depths: int) -> None:
        self._learnt.append(self._replica.learn(number, episodes, n_depths))

    def learnt(self) -> list[UpdateStats]:
        learnt, self._learnt = self._learnt, []
        return learnt
