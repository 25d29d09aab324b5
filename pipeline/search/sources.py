"""Sources of a family's next configuration.

The portfolio comes first, then Bayesian optimisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from stacktune.families.base import Family
from stacktune.logs import hear
from stacktune.search.events import Drawing, Event
from stacktune.search.plan.plan import SearchPlan
from stacktune.search.space import SearchSpace
from stacktune.seeds import derive_seed
from stacktune.trials.result import COMPLETED, TrialResult


class Source(Protocol):
    """Suggests one family's configurations, and learns from results.

    What every one keeps is checked by `stacktune.testing.sources`.
    """

    def ask(self, trial_id: str) -> dict[str, Any]:
        """Return the configuration of the family's next trial."""

    def was_asked(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Take in a configuration asked in an earlier session."""

    def tell(self, result: TrialResult) -> None:
        """Learn from the result of an asked trial."""

    def bank(self) -> tuple[str, ...]:
        """Return the ids of trials to inherit from.

        The next trial may begin with their weights; the best come first.
        """

    @property
    def is_spent(self) -> bool:
        """Return whether it has nothing more to suggest."""


@dataclass(frozen=True)
class SourceRequest:
    """The data that a source is made from.

    tell: hears its events. folder: that of the trials, in which it may keep what its own processes need.
    """

    family: Family
    space: SearchSpace
    seed: int
    plan: SearchPlan
    tell: Callable[[Event], None]
    folder: Path | None = None


@dataclass(frozen=True)
class SourceKind:
    """A way to search a family's space.

    make: makes a source. series: the names of the events that it tells.
    describe: draws a configuration. summarise: draws all events of a series.
    spent: why a source has nothing more to suggest.
    """

    make: Callable[[SourceRequest], Source]
    series: tuple[str, ...] = ()
    describe: Callable[[Mapping[str, Any]], tuple[Drawing, ...]] = lambda config: ()
    summarise: Callable[[Sequence[Event]], tuple[Drawing, ...]] = lambda events: ()
    spent: str = "all that it was to try was asked for"


class BayesianSource:
    """The portfolio in order, then Optuna's multivariate TPE.

    The latter (Falkner et al. 2018) is told every result.

    A configuration rests on the seed, its trial, and what was asked and told before, and on nothing else: a search that
    was cut off goes on as it would have gone.
    Trials that were stopped at a rung are told as pruned at that rung, so that slow starters are not taken for losers.
    Optuna is imported when the portfolio is spent: a short run never pays for it.
    """

    # Random draws before the model is trusted; TPE's own default is 10, but here the portfolio's results count too.
    N_STARTUP_TRIALS = 8

    def __init__(self, space: SearchSpace, seed: int):
        self._space = space
        self._seed = seed
        self._asked: list[tuple[str, dict[str, Any]]] = []
        self._told: list[TrialResult] = []
        self._model: _Model | None = None

    def ask(self, trial_id: str) -> dict[str, Any]:
        """Return the configuration of the family's next trial."""
        place = len(self._asked)
        if place < len(self._space.portfolio):
            config = dict(self._space.portfolio[place])
        else:
            config = self._trained_model().ask(trial_id)
        self._asked.append((trial_id, config))
        return config

    def was_asked(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Take in a configuration asked in an earlier session."""
        self._asked.append((trial_id, dict(config)))

    def tell(self, result: TrialResult) -> None:
        """Learn from the result of an asked trial."""
        self._told.append(result)
        if self._model is not None:
            self._model.tell(result)

    def bank(self) -> tuple[str, ...]:
        """Return nothing: each trial begins from scratch."""
        return ()

    @property
    def is_spent(self) -> bool:
        """Return whether a closed space was asked for whole.

        Of any other there is always another configuration.
        """
        return self._space.is_closed and len(self._asked) >= len(self._space.portfolio)

    def _trained_model(self) -> _Model:
        if self._model is None:
            self._model = _Model(self._space, self._seed, self.N_STARTUP_TRIALS)
            for trial_id, config in self._asked:
                self._model.ask(trial_id, config)
            for result in self._told:
                self._model.tell(result)
        return self._model


class _Model:
    """An Optuna study, asked and told."""

    def __init__(self, space: SearchSpace, seed: int, n_startup_trials: int):
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        hear("optuna")
        self._distributions = OptunaSearch.convert_search_space(dict(space.domains))
        self._seed = seed
        self._new_sampler = partial(
            optuna.samplers.TPESampler, multivariate=True, constant_liar=True, n_startup_trials=n_startup_trials
        )
        self._study = optuna.create_study(direction="maximize")
        self._open: dict[str, Any] = {}

    def ask(self, trial_id: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if config is not None:
            self._study.enqueue_trial(dict(config))
        self._study.sampler = self._new_sampler(seed=derive_seed(self._seed, "ask", trial_id))
        trial = self._study.ask(self._distributions)
        self._open[trial_id] = trial
        return dict(trial.params)

    def tell(self, result: TrialResult) -> None:
        from optuna.trial import TrialState

        trial = self._open.pop(result.trial_id)
        for rung, score in enumerate(result.curve):
            trial.report(score, rung)
        if result.status == COMPLETED:
            self._study.tell(trial, result.score)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if result.curve else TrialState.FAIL)


BAYESIAN = SourceKind(lambda request: BayesianSource(request.space, request.seed))
