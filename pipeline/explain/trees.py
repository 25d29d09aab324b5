"""What members' trees say of themselves.

Boosted trees share their raw scores out among columns by themselves (see `Attributing`), at the cost of little. What
they say is of each member and on its own scale, path-dependent, and does not add up to what the leader predicts: it is
a panel beside importance, and what columns are shuffled first is chosen by it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stacktune.data.table import REGRESSION, Table
from stacktune.ensemble.blend import AVERAGE, SINGLE, STACK
from stacktune.ensemble.leader import Leader
from stacktune.explain.columns import RawColumn
from stacktune.families.base import Attributing, Predictor

# So many rows tell means of contributions well; the first ones of each model tell what the others would take.
MAX_ROWS, N_TIMED_ROWS = 200, 10
# Of many columns and classes, contributions of fewer rows: 160 MB.
MAX_CELLS = 20_000_000


@dataclass(frozen=True)
class Part:
    """A member's model beside rows for it."""

    member: str
    predictor: Predictor
    table: Table


def members_say(parts: Iterable[Part], columns: Sequence[RawColumn], deadline: float) -> pd.DataFrame:
    """Return mean absolute contributions of columns by member.

    They are in raw scores, and means over classes where there is a score for each: member, column,
    mean_abs_contribution, the largest first. Members that are no boosted trees are left out. deadline: on
    `time.monotonic()`'s scale.
    """
    sums: dict[str, np.ndarray] = {}
    n_rows: dict[str, int] = {}
    for part in parts:
        found = _within(part, deadline)
        if found is None:
            continue
        own = np.column_stack([found[:, list(one.features)].sum(axis=1) for one in columns])
        size = np.abs(own.reshape(len(found), len(columns), -1)).mean(axis=2).sum(axis=0)
        sums[part.member] = sums.get(part.member, 0.0) + size
        n_rows[part.member] = n_rows.get(part.member, 0) + len(found)
    rows = [
        (member, columns[place].name, float(sizes[place] / n_rows[member]))
        for member, sizes in sums.items()
        for place in np.argsort(-sizes, kind="stable")
    ]
    return pd.DataFrame(rows, columns=["member", "column", "mean_abs_contribution"])


def _within(part: Part, deadline: float) -> np.ndarray | None:
    """Return contributions of as many rows as time allows."""
    model, table = part.predictor, part.table
    began_at = time.monotonic()
    if not isinstance(model, Attributing) or not table.n_rows or began_at >= deadline:
        return None
    first = model.contributions(table.take(np.arange(min(N_TIMED_ROWS, table.n_rows))))
    if first is None:
        return None
    row_s = max(1e-7, (time.monotonic() - began_at) / len(first))
    affordable = min((deadline - time.monotonic()) / row_s / 2, MAX_CELLS / first[0].size)
    rows = np.arange(len(first), int(min(table.n_rows, max(len(first), affordable))))
    if not len(rows):
        return first
    rest = model.contributions(table.take(rows))
    return first if rest is None else np.concatenate([first, rest])


def column_order(said: pd.DataFrame, columns: Sequence[RawColumn]) -> list[RawColumn]:
    """Return columns, those that trees make most of first."""
    if said.empty:
        return list(columns)
    shares = said["mean_abs_contribution"] / said.groupby("member")["mean_abs_contribution"].transform("sum")
    of_column = shares.groupby(said["column"]).sum()
    return sorted(columns, key=lambda one: -float(of_column.get(one.name, 0.0)))


def exact_contributions(leader: Leader, table: Table) -> np.ndarray | None:
    """Return what features give to the leader's own output.

    It is (n_rows, n_features + 1), the base last: of a single tree model of two classes the log-odds, and of values
    also a weighted sum of tree models. It is None where the leader is something else.
    """
    blend, models = leader.blend, [one for member in leader.members for one in member.predictors]
    if leader.task.n_outputs > 2 or blend.temperature != 1 or blend.is_log:
        return None
    if leader.task.kind != REGRESSION and (len(models) > 1 or blend.kind == STACK):
        return None
    total = np.zeros((table.n_rows, table.n_features + 1))
    for weight, member in zip(blend.weights, leader.members, strict=True):
        for model in member.predictors:
            found = model.contributions(table) if isinstance(model, Attributing) else None
            if found is None:
                return None
            total += (weight if blend.kind != SINGLE else 1.0) * found[:, :, 0] / len(member.predictors)
    if blend.kind not in (SINGLE, AVERAGE):
        total[:, -1] += blend.bias[0]
    return total
