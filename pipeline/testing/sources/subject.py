"""Names a source to check, and its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from stacktune.errors import ConfigError
from stacktune.search.events import Event
from stacktune.search.plan.plan import ClusterSize, SearchPlan, SourceOptions, make_plan
from stacktune.search.sources import Source, SourceKind, SourceRequest
from stacktune.search.space import SearchSpace
from stacktune.testing.named import named
from stacktune.testing.subject import Subject

NO_OPTIONS = SourceOptions()


@dataclass(frozen=True)
class SourceSubject:
    """A kind of source on one family's space.

    kind: "module:NAME" of a SourceKind. family: whose space is searched.
    options: what the source goes by beside it, e.g. what a prediction may cost.
    """

    kind: str
    family: Subject
    options: SourceOptions = NO_OPTIONS

    @property
    def name(self) -> str:
        limited = "" if self.options == NO_OPTIONS else "-limited"
        return f"{self.kind.partition(':')[2].lower()}-{self.family.name}{limited}"

    @property
    def source_kind(self) -> SourceKind:
        kind = named(self.kind)
        if not isinstance(kind, SourceKind):
            raise ConfigError(f"{self.kind} is a {type(kind).__name__}, but a source is named by its SourceKind")
        return kind

    @property
    def space(self) -> SearchSpace:
        return self.family.space

    @property
    def plan(self) -> SearchPlan:
        """Return the plan of a reproducible run.

        In others a source may part itself, and answer as its parts are done.
        """
        plan = make_plan([self.family.name], ClusterSize(2, 0), 0, max_trials=100, search_s=None, now=0.0)
        return replace(plan, options=self.options)

    def made(self, tell: Callable[[Event], None], seed: int) -> Source:
        """Return a new source, as a search makes it."""
        return self.source_kind.make(SourceRequest(self.family.family, self.space, seed, self.plan, tell))
