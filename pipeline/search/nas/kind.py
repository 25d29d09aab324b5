"""Offers the architecture search to all other code.

That uses this module, and the domain of architectures in domain.py.
"""

from __future__ import annotations

from stacktune.search.nas.events import CONTROLLER, draw_child, draw_rewards
from stacktune.search.nas.settings import limits_of, topology_of
from stacktune.search.nas.source import ControllerSource
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


ARCHITECTURE_SEARCH = SourceKind(
    _make,
    series=(CONTROLLER,),
    describe=draw_child,
    summarise=draw_rewards,
    spent="nothing more of it keeps to what a prediction may cost",
)
