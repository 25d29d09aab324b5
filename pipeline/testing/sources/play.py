"""Plays a search in miniature.

A source is asked, and told results that follow from what it answered.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from stacktune.metrics import WORST
from stacktune.search.events import Event
from stacktune.search.sources import Source
from stacktune.testing.sources.subject import SourceSubject
from stacktune.trials.result import COMPLETED, FAILED, STOPPED, TrialResult

SEED = 3
# Beyond the portfolio: more than what Optuna draws at random, and two batches of a controller.
N_BEYOND = 11
N_RUNGS = 3
# How a trial ends: its status, and at how many rungs it was scored. An undefined score is WORST, never NaN.
ENDS: Mapping[str, tuple[str, int]] = {
    "completed": (COMPLETED, N_RUNGS),
    "undefined": (COMPLETED, N_RUNGS),
    "stopped": (STOPPED, 1),
    "stopped_late": (STOPPED, 2),
    "unscored": (STOPPED, 0),  # the time was up before its first rung
    "failed": (FAILED, 0),
    "failed_late": (FAILED, 1),
}
# In a usual search every second trial completes.
USUAL_ENDS = ("completed", "stopped", "completed", "stopped_late", "completed", "failed", "completed", "unscored")

Config = Mapping[str, Any]


def usual_end(place: int) -> str:
    """Return how a trial ends in usual searches.

    The trial is known by its place.
    """
    return USUAL_ENDS[place % len(USUAL_ENDS)]


def n_of(subject: SourceSubject) -> int:
    """Return how many configurations a play asks for."""
    return len(subject.space.portfolio) + N_BEYOND


def trial_id_of(subject: SourceSubject, place: int) -> str:
    """Return the id of a family's trial.

    The numbers between are other families'.
    """
    return f"{subject.family.name}-{place + place // 3:04d}"


def result_of(subject: SourceSubject, place: int, config: Config, end: str) -> TrialResult:
    """Return what became of a trial.

    Its score follows from its configuration.
    """
    status, n_scored = ENDS[end]
    score = WORST if end == "undefined" else zlib.crc32(_text(config).encode()) / 2**32
    return TrialResult(
        trial_id=trial_id_of(subject, place),
        family=subject.family.name,
        config=dict(config),
        scheduler="asha",
        status=status,
        rungs_reached=n_scored,
        n_rungs=N_RUNGS,
        curve=(score,) * n_scored,
        fold_scores=(score,) if status == COMPLETED else (),
        error="ValueError: boom" if status == FAILED else None,
    )


def _text(config: Config) -> str:
    return json.dumps(config, sort_keys=True, default=str)


def through_journal(config: Config) -> dict[str, Any]:
    """Return a configuration as a journal gives it back."""
    read: dict[str, Any] = json.loads(json.dumps(config))
    return read


def ask_here(source: Source, trial_id: str) -> dict[str, Any]:
    """Ask on the thread that tells, too."""
    return source.ask(trial_id)


@dataclass
class Play:
    """A source, its answers, and what it heard.

    It keeps what the source was asked, and which of the results it was told.

    end_of: how the trial at a place ends. were_spent: whether it was spent before each of the asks.
    """

    subject: SourceSubject
    seed: int = SEED
    end_of: Callable[[int], str] = usual_end
    ask: Callable[[Source, str], dict[str, Any]] = ask_here
    asked: list[Config] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    were_spent: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = self.subject.made(self.events.append, self.seed)
        self._told: set[int] = set()

    def go_on(self, n: int | None = None, lag: int = 1) -> Play:
        """Ask for `n` trials, or until spent.

        lag: a trial is asked for when all that are so many places before it were told.
        """
        while len(self.asked) < (n_of(self.subject) if n is None else n) and not self.is_spent():
            self.tell_all(len(self.asked) - lag + 1)
            self.asked.append(self.ask(self.source, trial_id_of(self.subject, len(self.asked))))
        return self

    def is_spent(self) -> bool:
        """Return whether the source is spent; keep that."""
        self.were_spent.append(self.source.is_spent)
        return self.were_spent[-1]

    def take_over(self, configs: Iterable[Config]) -> Play:
        """Tell the source an earlier session's trials.

        They are as the journal has them.
        """
        for config in configs:
            self.source.was_asked(trial_id_of(self.subject, len(self.asked)), through_journal(config))
            self.asked.append(config)
        return self

    def tell_all(self, n: int | None = None) -> None:
        """Tell the first `n` results, or all.

        They come in the order of trials.
        """
        for place in range(len(self.asked) if n is None else max(0, n)):
            self.tell(place)

    def tell(self, place: int) -> None:
        """Tell the result of one trial, once."""
        if place not in self._told:
            self._told.add(place)
            self.source.tell(result_of(self.subject, place, self.asked[place], self.end_of(place)))


@cache
def usual(subject: SourceSubject, lag: int = 1) -> Play:
    """Return a whole play.

    This is for the checks that compare another with it, or look at what was asked.
    """
    play = Play(subject).go_on(lag=lag)
    play.tell_all()
    return play


@cache
def all_ending(subject: SourceSubject, end: str) -> Play:
    """Return a play whose trials all end alike."""
    play = Play(subject, end_of=lambda place: end).go_on()
    play.tell_all()
    return play
