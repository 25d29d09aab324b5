"""The door of the architecture search: the one thing of it that the rest of the search uses, beside its domain."""

from __future__ import annotations

from stacktune.search.nas.settings import limits_of, topology_of
from stacktune.search.nas.source import ControllerSource
from stacktune.search.nas.told import CONTROLLER, draw_child, draw_rewards
from stacktune.search.sources import SourceKind, SourceRequest


def _make(request: SourceRequest) -> ControllerSource:
    return ControllerSource(
        request.family,
        request.space,
        request.seed,
        topology_of(request.plan),
        limits_of(request.plan.options),
        request.tell,
        request.folder,
    )


ARCHITECTURE_SEARCH = SourceKind(_make, series=(CONTROLLER,), describe=draw_child, summarise=draw_rewards)
