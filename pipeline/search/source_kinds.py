"""The kinds of sources, by a family's `searcher`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stacktune.families.registry import get_family
from stacktune.search.events import Drawing, Event
from stacktune.search.nas.kind import ARCHITECTURE_SEARCH
from stacktune.search.sources import BAYESIAN, SourceKind
from stacktune.trials.trial import Trial

KINDS: Mapping[str, SourceKind] = {"bayesian": BAYESIAN, "controller": ARCHITECTURE_SEARCH}


def kind_of(family: str) -> SourceKind:
    """Return how configurations of a family are found."""
    return KINDS[get_family(family).searcher]


def drawings_of_trial(trial: Trial) -> tuple[Drawing, ...]:
    """Return what is to be drawn of a trial."""
    return kind_of(trial.family).describe(trial.config)


def drawings_of_series(name: str, events: Sequence[Event]) -> tuple[Drawing, ...]:
    """Return drawings of all events of one name."""
    return next((kind.summarise(events) for kind in KINDS.values() if name in kind.series), ())
