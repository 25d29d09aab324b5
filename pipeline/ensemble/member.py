"""One trial's fold models as one predictor.

The K models are averaged as probabilities (or values), not as logits. Both averages lose less than the models do on the
mean, but one fold model that says 0 (a forest's empty leaf) would veto the others in a mean of logits; and a mean is
what greedy selection takes across members, so that one operation serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stacktune.data.table import Table
from stacktune.ensemble.digests import refuse_links
from stacktune.errors import DataError
from stacktune.families.base import Predictor
from stacktune.families.registry import get_family
from stacktune.host import n_cores
from stacktune.storage.run_folder import TrialFolder

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# Families may widen a table when they predict (one-hot columns); so many rows at a time keep that within memory.
_BLOCK_ROWS = 100_000
# Up to so many rows, waking and awaiting other threads takes longer than the work that they would share.
_MAX_ROWS_ON_ONE_THREAD = 64


@dataclass(frozen=True)
class Member:
    """One trial's fold models."""

    trial_id: str
    family: str
    predictors: tuple[Predictor, ...]


def predict_members(
    members: Sequence[Member], table: Table, done: Callable[[int], None] = lambda n_rows: None
) -> list[np.ndarray]:
    """Return each member's mean prediction, using all cores.

    It is (n_rows, n_outputs) float64, the mean over its fold models. done: hears how many
    rows more were predicted, of a large table.
    """
    if not members:
        return []
    families = frozenset(member.family for member in members)
    if table.n_rows <= _MAX_ROWS_ON_ONE_THREAD:
        with _pools(families).limit(limits=1, user_api="openmp"):
            return [_mean(predictor.predict(table) for predictor in member.predictors) for member in members]
    with _workers(families, sum(len(member.predictors) for member in members)) as pool:
        starts = range(0, table.n_rows, _BLOCK_ROWS)
        blocks = (table.take(np.arange(start, min(start + _BLOCK_ROWS, table.n_rows))) for start in starts)
        parts = []
        for block in [table] if len(starts) == 1 else blocks:
            parts.append(_predict_block(members, block, pool))
            done(block.n_rows)
    return parts[0] if len(parts) == 1 else [np.concatenate(of_member) for of_member in zip(*parts, strict=True)]


def _predict_block(members: Sequence[Member], block: Table, pool: ThreadPoolExecutor) -> list[np.ndarray]:
    asked = [[pool.submit(predictor.predict, block) for predictor in member.predictors] for member in members]
    return [_mean(future.result() for future in futures) for futures in asked]


def _mean(predictions: Iterator[np.ndarray]) -> np.ndarray:
    total, n_added = np.array(next(predictions), dtype=np.float64), 1
    for prediction in predictions:
        total += prediction
        n_added += 1
    return total / n_added


@contextmanager
def _workers(families: frozenset[str], n_tasks: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads that share the cores.

    A model each, on a thread of its own, wastes less than all threads on one model after another, as much of a model's
    work (encoding columns, adding up) is not shared among threads. OpenMP's limit is its calling thread's.
    """
    n_threads = n_cores()
    n_workers = min(n_threads, n_tasks)
    pools = _pools(families)
    with ThreadPoolExecutor(
        n_workers, initializer=lambda: pools.limit(limits=n_threads // n_workers, user_api="openmp")
    ) as pool:
        yield pool


@cache
def _pools(families: frozenset[str]) -> ThreadpoolController:
    """Return the thread pools of members' libraries.

    They are looked for once, as that takes milliseconds.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def load_member(folder: Path, trial_id: str, family: str, folds: Sequence[int] | None = None) -> Member:
    """Read a member's fold models from `folder`.

    They are those of `folds` in `folder`, or all that predict new rows (see `TrialFolder.models`). Raises DataError if
    there is none.
    """
    models = TrialFolder(folder)
    found = models.models() if folds is None else [models.fold(fold) for fold in folds]
    if not found:
        raise DataError(f"{folder} holds no fold models of {trial_id!r}; is the folder complete?")
    for fold in found:
        refuse_links(fold)
    # One after another: NumPy parses the head of each array's file as Python, and Python before 3.11.8 fails where two
    # threads parse (SystemError: AST constructor recursion depth mismatch, CPython issue 106905).
    return Member(trial_id, family, tuple(map(get_family(family).load, found)))
