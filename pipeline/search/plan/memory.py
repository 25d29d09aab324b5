"""Plans trials' memory, and rows where it is short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stacktune.families.base import Config, FitSize
from stacktune.families.registry import get_family
from stacktune.search.narrowing import USUAL_SPACES, Spaces
from stacktune.search.space import SearchSpace
from stacktune.text import size

# A process once it has loaded the libraries of all families, by measurement.
PROCESS_BYTES = 600_000_000
# Of the memory that a node has for each trial, so that a node that comes later, and has a little less, holds as many.
ASKED_SHARE = 0.8
ROWS_SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)
# Drawn of each space beside its portfolio, to know what the hungrier of its configurations take.
N_DRAWN = 32


@dataclass(frozen=True)
class Node:
    """A node's offer to trials."""

    n_cpus: int
    n_bytes: int


@dataclass(frozen=True)
class MemoryRequest:
    """The memory that each trial of a run requests.

    All ask for the same, or Ray would begin a process for each amount.

    fit_size: of one fold's fit on all of its rows. keeps_rows: whether trials learn from all rows whatever they take.
    most_wanted, hungriest: the bytes that one would take, and its family, as far as is known.
    """

    n_bytes: int
    fit_size: FitSize
    keeps_rows: bool = False
    most_wanted: int = 0
    hungriest: str = ""

    @property
    def shortage(self) -> str | None:
        """Return a sentence on trials too large for nodes.

        Such a trial exceeds the largest node. It is None where all fit, or where trials that do not may learn from
        fewer rows.
        """
        if not self.keeps_rows or self.most_wanted <= self.n_bytes:
            return None
        return (
            f"a trial of {self.hungriest} may take {size(self.most_wanted)} on all rows, and a node has "
            f"{size(self.n_bytes)} for it: it may fail for that, and the leaderboard be another than with more "
            "memory. --sample-rows makes every trial smaller, --time-budget lets trials learn from fewer rows"
        )

    def rows_share(self, family: str, config: Config) -> float:
        """Return the largest share of rows that fits memory."""
        if self.keeps_rows:
            return 1.0
        fitting = (share for share in ROWS_SHARES if self._needed(family, config, share) <= self.n_bytes)
        return next(fitting, ROWS_SHARES[-1])

    def _needed(self, family: str, config: Config, share: float) -> float:
        n_rows = max(1, round(share * self.fit_size.n_rows))
        return needed_bytes(family, config, replace(self.fit_size, n_rows=n_rows))

    def max_concurrent(self, nodes: Sequence[Node], n_threads: int) -> int:
        """Return how many trials the nodes hold at once.

        It is at least one.
        """
        return max(1, sum(min(node.n_cpus // n_threads, node.n_bytes // self.n_bytes) for node in nodes))


def needed_bytes(family: str, config: Config, fit_size: FitSize) -> float:
    """Return about what the trial's process takes, in bytes."""
    return PROCESS_BYTES + get_family(family).n_bytes(config, fit_size)


def plan_memory(
    families: Sequence[str],
    fit_size: FitSize,
    is_large: bool,
    nodes: Sequence[Node],
    n_threads: int,
    keeps_rows: bool = False,
    spaces: Spaces = USUAL_SPACES,
) -> MemoryRequest | None:
    """Return the memory that a trial asks for.

    It is its share of the smallest node, and enough for each portfolio's entries. No trial asks for more than the
    largest node has. It is None where Ray counts no memory.

    keeps_rows: of a reproducible run, which is to be the same whatever memory there is. Its trials ask for what any
        configuration may take, so that where memory is short fewer run at once.
    """
    if not nodes or not all(node.n_bytes for node in nodes):
        return None
    share = min(node.n_bytes / max(1, node.n_cpus // n_threads) for node in nodes)
    n_drawn = N_DRAWN if keeps_rows else 0
    wanted, hungriest = max(
        (needed_bytes(family, config, fit_size), family)
        for family in families
        for config in _configs(spaces.load(family, is_large), n_drawn)
    )
    n_bytes = int(min(max(ASKED_SHARE * share, wanted), max(node.n_bytes for node in nodes)))
    return MemoryRequest(n_bytes, fit_size, keeps_rows, int(wanted), hungriest)


def _configs(space: SearchSpace, n_drawn: int) -> Iterator[Config]:
    yield from space.portfolio
    random = np.random.RandomState(0)
    for _ in range(n_drawn):
        yield {name: domain.sample(random_state=random) for name, domain in space.domains.items()}
