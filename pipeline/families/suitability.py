"""Families say whether, and when, they are tried."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class SearchConditions:
    """The facts by which families judge a search.

    Families that see them are asked whether they pay in that search.

    n_rows, n_columns, n_outputs: of the table. n_cpus, n_gpus: over all nodes.
    budget_s: None in a reproducible run, where nothing may rest on cores or GPUs, so that every machine does the same.
    is_large: whether the table is large for the budget, or has very many rows. is_held_out: whether there is a single
        holdout instead of folds.
    """

    n_rows: int
    n_columns: int
    n_outputs: int
    n_cpus: int
    n_gpus: int
    budget_s: float | None
    is_large: bool = False
    is_held_out: bool = False

    @property
    def n_cells(self) -> int:
        return self.n_rows * self.n_columns

    @property
    def is_large_for_budget(self) -> bool:
        return self.is_large and self.budget_s is not None


@dataclass(frozen=True)
class Unsuited:
    """The answer that a family does not pay.

    reason: why, as it is shown: "without NAME, as REASON".
    is_shown: False for a family that only some searches are for, which is no news elsewhere.
    """

    reason: str
    is_shown: bool = True


@dataclass(frozen=True)
class Turn:
    """The turn at which a family is first tried.

    Lower numbers come earlier, equal ones by name.

    usual: cheap and strong families first, so that a short run has seen every kind of model.
    many_classes: where classes are many; boosting grows a tree a class, other families fit all classes at once.
    first_model: among those that the run's own process may fit while Ray starts, the one of least work first; None
        keeps a family out of it: what takes that process's memory, or ends it, would end the run.
    """

    usual: float = math.inf
    many_classes: float = math.inf
    first_model: float | None = None


LAST = Turn()


def always_suits(conditions: SearchConditions) -> Unsuited | None:
    """Say that a family pays in every search."""
    return None


def suits_unless_large(conditions: SearchConditions) -> Unsuited | None:
    """Refuse trees without boosting where tables are large.

    They do not pay on tables that are large for the budget: there, boosted trees beat them by more than an ensemble
    gains from both.
    """
    return Unsuited("the table is large for this budget") if conditions.is_large_for_budget else None
