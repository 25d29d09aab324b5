"""How much memory each trial asks of Ray, and on how many of its rows it has enough of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.families.base import Config, Extent
from pipeline.families.registry import get_family
from pipeline.search.space import load_space

# A process once it has loaded the libraries of all families, by measurement.
PROCESS_BYTES = 600_000_000
# Of the memory that a node has for each trial, so that a node that comes later, and has a little less, holds as many.
ASKED_SHARE = 0.8
ROWS_SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)


@dataclass(frozen=True)
class Node:
    """What a node of the cluster has for trials."""

    n_cpus: int
    n_bytes: int


@dataclass(frozen=True)
class Room:
    """What every trial of a run asks for: the same amount, or Ray would begin a process for each.

    extent: of one fold's fit on all of its rows.
    """

    n_bytes: int
    extent: Extent

    def rows_share(self, family: str, config: Config) -> float:
        """Return the largest share of the rows on which the configuration is expected to keep within its memory."""
        fitting = (share for share in ROWS_SHARES if self._needed(family, config, share) <= self.n_bytes)
        return next(fitting, ROWS_SHARES[-1])

    def _needed(self, family: str, config: Config, share: float) -> float:
        n_rows = max(1, round(share * self.extent.n_rows))
        return needed_bytes(family, config, replace(self.extent, n_rows=n_rows))

    def n_held(self, nodes: Sequence[Node], n_threads: int) -> int:
        """Return how many trials of so many threads the nodes hold at once, but at least one."""
        return max(1, sum(min(node.n_cpus // n_threads, node.n_bytes // self.n_bytes) for node in nodes))


def needed_bytes(family: str, config: Config, extent: Extent) -> float:
    """Return about what the process of such a trial takes."""
    return PROCESS_BYTES + get_family(family).n_bytes(config, extent)


def make_room(
    families: Sequence[str], extent: Extent, is_large: bool, nodes: Sequence[Node], n_threads: int
) -> Room | None:
    """Return what a trial is to ask for: its share of the smallest node, and enough for each portfolio's entries.

    No trial asks for more than the largest node has. None where Ray counts no memory.
    """
    if not nodes or not all(node.n_bytes for node in nodes):
        return None
    share = min(node.n_bytes / max(1, node.n_cpus // n_threads) for node in nodes)
    known = (
        needed_bytes(family, config, extent) for family in families for config in load_space(family, is_large).portfolio
    )
    return Room(int(min(max(ASKED_SHARE * share, *known), max(node.n_bytes for node in nodes))), extent)
