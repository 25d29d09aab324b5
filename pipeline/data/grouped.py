"""Deals whole groups into parts that are alike.

The problem: groups differ in size and in what they hold. Dealt at random, one fold has a third of the rows and another
none of the rare class.

The solution: the largest groups first, each goes to the part that is furthest below its share of the rows and of each
stratum (a class, or a tenth of a regression's values), by the sum of squares of all parts' shares. Where groups are
very many, the small ones are dealt in turn, which chance makes even.

What is guaranteed: all rows of a group are in one part. The same groups, strata and seed give the same parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stacktune.data.table import Task

N_STRATA = 10
# Of more classes the rarer ones count as one, or the counts of many groups would not fit into memory.
MAX_STRATA = 20
# One after another they take a second.
MAX_WEIGHED = 50_000


def strata_of(target: np.ndarray, task: Task) -> np.ndarray:
    """Return each row's class, or its target's tenth.

    Equal values are in the same tenth.
    """
    if not task.is_classification:
        edges = np.quantile(target, np.arange(1, N_STRATA) / N_STRATA)
        return np.searchsorted(np.unique(edges), target, side="right").astype(np.int64)
    sizes = np.bincount(target)
    if len(sizes) <= MAX_STRATA:
        return target.astype(np.int64)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return np.minimum(rank, MAX_STRATA)[target]


def deal_groups(groups: np.ndarray, strata: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Return the (n_rows,) int8 part of each row.

    groups, strata: (n_rows,) whole numbers. shares: of the rows that each part is to have; they sum to one.
    """
    _, groups = np.unique(groups, return_inverse=True)
    sizes = np.bincount(groups)
    n_strata = int(strata.max()) + 1
    counts = np.bincount(groups * n_strata + strata, minlength=len(sizes) * n_strata).reshape(len(sizes), n_strata)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    parts = np.empty(len(sizes), dtype=np.int8)
    weighed, rest = order[:MAX_WEIGHED], order[MAX_WEIGHED:]
    parts[weighed] = _weighed(counts[weighed], sizes[weighed], np.asarray(shares))
    rest = rest[np.argsort(counts[rest].argmax(axis=1), kind="stable")]
    parts[rest] = _in_turn(len(rest), np.asarray(shares))
    return parts[groups]


def _weighed(counts: np.ndarray, sizes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return each group's part, one group after another."""
    held = np.column_stack([sizes, counts]).astype(np.float64)
    held /= np.maximum(1.0, held.sum(axis=0))
    loads, parts = np.zeros((len(shares), held.shape[1])), np.empty(len(held), dtype=np.int8)
    for place, group in enumerate(held):
        # What the sum of squares grows by, as (load + group)² - load².
        parts[place] = part = int(np.argmin(((2 * loads + group) @ group) / shares))
        loads[part] += group
    return parts


def _in_turn(n_groups: int, shares: np.ndarray) -> np.ndarray:
    """Return parts that have their shares at any time."""
    ends = np.append(0, np.cumsum(shares / shares.sum()))
    steps = np.arange(n_groups) * 0.6180339887498949 % 1  # the golden ratio leaves no gap for long
    return np.searchsorted(ends, steps, side="right").clip(1, len(shares)).astype(np.int8) - 1


def first_of_group(groups: np.ndarray) -> np.ndarray:
    """Return the first row of each row's group."""
    _, first, places = np.unique(groups, return_index=True, return_inverse=True)
    return first[places]
