"""Suggests an architecture search's children.

The portfolio comes first, then the controller, which learns.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stacktune.families.base import Config, Family
from stacktune.families.nets.architecture import from_line
from stacktune.search.events import Event
from stacktune.search.nas.children import ChildSpace, child_space, random_child, spare_children, within_limits
from stacktune.search.nas.events import ControllerUpdate, Reward
from stacktune.search.nas.settings import ChildLimits, ControllerTopology
from stacktune.search.space import SearchSpace
from stacktune.seeds import derive_seed
from stacktune.trials.result import COMPLETED, FAILED, TrialResult

# One child in so many is drawn at random, and not learnt from: what the controller is held against.
RANDOM_EVERY = 8
# A child is compared with so many before it, so that the controller is asked for more as it learns.
N_COMPARED = 100
# Children inherit weights from the best so many.
N_DONORS = 3
SHARDS = ".controller"


class ControllerSource:
    """The portfolio in order, then the controller's children.

    Now and then one is drawn at random beside them.

    What is asked rests on the seed and on what was asked and told before, in that order, and with one shard and one
    replica on nothing else: so a search that was cut off goes on as it would have gone, its controller, optimiser and
    baseline being made anew from the trials that the journal knows.

    No child costs more than the limits allow. Where neither the controller nor chance draws one that keeps them, a
    spare one is trained, which was drawn at random at the start; once all of these are, the source is spent.

    tell: hears of rewards and updates, on the thread that `tell` of the source is called on.
    folder: where shards that are Ray actors keep their state.
    """

    def __init__(
        self,
        family: Family,
        space: SearchSpace,
        seed: int,
        topology: ControllerTopology,
        limits: ChildLimits | None,
        tell: Callable[[Event], None],
        folder: Path | None = None,
    ):
        self._children, self._seed = child_space(space.domains), seed
        self._topology, self._tell_event, self._folder = topology, tell, folder
        self._is_feasible = None if limits is None else _keeping(family, limits)
        self._portfolio = space.portfolio
        self._spares: tuple[dict[str, Any], ...] = ()
        if self._is_feasible:
            self._portfolio = tuple(child for child in space.portfolio if self._is_feasible(child))
            self._spares = spare_children(self._children, self._is_feasible, derive_seed(seed, "spare children"))
        self._n_asked = 0
        self._asked: set[str] = set()
        self._open: dict[str, tuple[int, Config]] = {}
        self._curves: deque[tuple[float, ...]] = deque(maxlen=N_COMPARED)
        self._batches: dict[int, list[tuple[Config, float] | None]] = defaultdict(list)
        self._completed: list[TrialResult] = []
        self._teacher: _ControllerTrainer | None = None

    def ask(self, trial_id: str) -> dict[str, Any]:
        """Return the next child."""
        number, batch = self._n_asked, self._batch_of(self._n_asked)
        config: dict[str, Any] | None
        if number < len(self._portfolio):
            config = dict(self._portfolio[number])
        elif batch is None:
            rng = np.random.default_rng(derive_seed(self._seed, "random child", trial_id))
            config = within_limits(lambda: random_child(self._children, rng), self._is_feasible)
        else:
            config = self._taught().draw(batch, derive_seed(self._seed, "child", trial_id))
        if config is None:
            config = dict(self._unasked_spares()[0])
        self.was_asked(trial_id, config)
        return config

    @property
    def is_spent(self) -> bool:
        """Return whether no feasible child is left.

        A feasible one is sure to keep the limits. The answer rests on what was asked, and on nothing else.
        """
        return self._is_feasible is not None and not self._unasked_spares()

    def _unasked_spares(self) -> list[Config]:
        return [spare for spare in self._spares if _key(spare) not in self._asked]

    def was_asked(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Take in a child asked in any session."""
        self._open[trial_id] = (self._n_asked, dict(config))
        self._asked.add(_key(config))
        self._n_asked += 1

    def tell(self, result: TrialResult) -> None:
        """Learn from the result of an asked child."""
        number, config = self._open.pop(result.trial_id)
        batch, reward = self._batch_of(number), self._reward(result)
        is_random = batch is None or config in self._spares
        if reward is not None and number >= len(self._portfolio):
            self._tell_event(Reward(number, reward, is_random).as_event())
        if result.curve:
            self._curves.append(result.curve)
        if result.status == COMPLETED:
            self._completed.append(result)
        if batch is not None:
            self._batches[batch].append(None if reward is None or is_random else (config, reward))
            self._learn(batch)
        if self._teacher is not None:
            for update in self._teacher.updates():
                self._tell_event(update.as_event())

    def bank(self) -> tuple[str, ...]:
        """Return the ids of trials to inherit from.

        The next child may inherit from them; the best come first.
        """
        best = sorted(self._completed, key=lambda result: -result.score)
        return tuple(result.trial_id for result in best[:N_DONORS])

    def _batch_of(self, number: int) -> int | None:
        """Return a child's batch.

        It is None for one that is not learnt from.
        """
        drawn = number - len(self._portfolio)
        if drawn < 0 or drawn % RANDOM_EVERY == RANDOM_EVERY - 1:
            return None
        return (drawn - drawn // RANDOM_EVERY) // self._topology.n_children

    def _reward(self, result: TrialResult) -> float | None:
        """Return the share of earlier children it beats.

        They are compared at the highest rung that both reached. Ranks need no scale, whatever the metric, and trials
        that were stopped count as far as they came. It is None for what says nothing of the child: it was cut short
        before its first rung.
        """
        if result.status == FAILED:
            return 0.0
        if not result.curve:
            return None
        if not self._curves:
            return 0.5
        return float(np.mean([_beats(result.curve, other) for other in self._curves]))

    def _learn(self, batch: int) -> None:
        """Train the controller on a batch that has ended."""
        if len(self._batches[batch]) == self._topology.n_children:
            episodes = [episode for episode in self._batches.pop(batch) if episode is not None]
            if episodes:
                self._taught().learn(batch, episodes)

    def _taught(self) -> _ControllerTrainer:
        if self._teacher is None:
            self._teacher = _ControllerTrainer(
                self._children, self._seed, self._topology, self._is_feasible, self._folder
            )
        return self._teacher


class _ControllerTrainer:
    """The controller and its baseline.

    Torch is imported here: a search without an architecture search pays nothing.
    """

    def __init__(
        self,
        space: ChildSpace,
        seed: int,
        topology: ControllerTopology,
        keeps: Callable[[Config], bool] | None,
        folder: Path | None,
    ):
        from stacktune.search.nas.controller import Baseline, Controller, LocalController
        from stacktune.search.nas.parameter_server import RayController
        from stacktune.search.nas.policy import PolicySettings

        self._space, self._topology, self._settings = space, topology, PolicySettings()
        # One shard and one replica do in this process what they would do in two of their own.
        self._controller: Controller
        if topology.is_one_process:
            self._controller = LocalController(space, self._settings, seed, keeps)
        elif folder is None:
            raise TypeError("shards that are Ray actors need a folder for their state")
        else:
            self._controller = RayController(space, self._settings, seed, topology, folder / SHARDS, keeps)
        self._baseline = Baseline()
        self._n_learnt = [0] * topology.n_replicas
        self._told: dict[tuple[int, int], tuple[float, float]] = {}
        self._n_updates = 0

    def draw(self, batch: int, seed: int) -> dict[str, Any] | None:
        return self._controller.draw(self._replica(batch), seed, self._n_depths(batch))

    def learn(self, batch: int, episodes: Sequence[tuple[Config, float]]) -> None:
        """Let the replica that drew a batch learn.

        It learns how its children did.
        """
        from stacktune.search.nas.policy import Episode

        # Where a journal lost a line, a random child may stand in the place of one that was drawn.
        episodes = [episode for episode in episodes if self._could_draw(batch, episode[0])]
        if not episodes:
            return
        rewards, replica = [reward for _, reward in episodes], self._replica(batch)
        advantages = self._baseline.advantages(rewards)
        taught = [
            Episode(self._space.tokens(config), advantage)
            for (config, _), advantage in zip(episodes, advantages, strict=True)
        ]
        number = self._n_learnt[replica]
        self._n_learnt[replica] += 1
        self._told[replica, number] = (float(np.mean(rewards)), self._baseline.average)
        self._controller.learn(replica, number, taught, self._n_depths(batch))

    def updates(self) -> list[ControllerUpdate]:
        """Return the updates since the last call."""
        updates = []
        for learnt in self._controller.learnt():
            mean_reward, baseline = self._told.pop((learnt.replica, learnt.number))
            outcome = (learnt.loss, learnt.entropy, learnt.skip_density, learnt.staleness, learnt.n_refused)
            updates.append(ControllerUpdate(self._n_updates, mean_reward, baseline, *outcome))
            self._n_updates += 1
        return updates

    def _could_draw(self, batch: int, config: Config) -> bool:
        """Return whether a child's depth could be drawn.

        It is then no deeper than those that were to be drawn by then.
        """
        return len(from_line(config["architecture"])) in self._space.depths[: self._n_depths(batch)]

    def _replica(self, batch: int) -> int:
        return batch % self._topology.n_replicas

    def _n_depths(self, batch: int) -> int:
        return self._settings.n_depths(batch * self._topology.n_children)


def _key(config: Mapping[str, Any]) -> str:
    return repr(sorted(config.items()))


def _keeping(family: Family, limits: ChildLimits) -> Callable[[Config], bool]:
    """Return a test of whether a child is feasible.

    It is asked of each child of the family, and says whether that keeps the limits.
    """
    if family.n_multiplications is None:
        raise TypeError(f"{family.name} does not say what its children cost")
    return partial(is_feasible, family.n_multiplications, limits)


def is_feasible(n_multiplications: Callable[..., int], limits: ChildLimits, config: Config) -> bool:
    """Return whether a child costs no more than allowed."""
    return n_multiplications(config, limits.fit_size) <= limits.most_multiplications


def _beats(curve: Sequence[float], other: Sequence[float]) -> float:
    rung = min(len(curve), len(other)) - 1
    return float(curve[rung] > other[rung]) + 0.5 * (curve[rung] == other[rung])
