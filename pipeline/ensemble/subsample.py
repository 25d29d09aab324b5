"""Chooses the rows that an ensemble learns from.

It does so where there are more than it needs; an ensemble is always scored on all.
"""

from __future__ import annotations

import numpy as np

# Weights of fifteen members are known to a hair from so many rows, if each class has its share of them.
MAX_SAMPLED_ROWS = 24_000
MIN_SAMPLED_OF_A_CLASS = 3_000


def rows_to_learn_on(
    target: np.ndarray, probability: np.ndarray | None, seed: int, most: int = MAX_SAMPLED_ROWS
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return row positions, and what each row stands for.

    There are about `most` rows, ascending; None stands instead of weights where all count alike.

    target: (n,). probability: (n,) of the second class by an average member, for two classes; else None. A rare class
    is kept whole. Of the common one, the rows most like the rare are kept (rank metrics are decided there), and the
    rest is sampled, each row then standing for several.
    """
    n = len(target)
    if n <= most:
        return np.arange(n), None
    random = np.random.default_rng(seed)
    if probability is None or min(np.mean(target == 1), np.mean(target == 0)) * most >= MIN_SAMPLED_OF_A_CLASS:
        return np.sort(random.permutation(n)[:most]), None
    rare = int(np.sum(target == 1) * 2 < n)
    common = np.flatnonzero(target != rare)
    likeness = probability[common] if rare else -probability[common]
    kept = np.flatnonzero(target == rare)[random.permutation(n - len(common))[: most // 2]]
    standing = [np.full(len(kept), (n - len(common)) / len(kept))]
    room = most - len(kept)
    hardest = np.argpartition(-likeness, room // 2)
    sampled = random.permutation(hardest[room // 2 :])[: room - room // 2]
    standing += [np.ones(room // 2), np.full(len(sampled), (len(common) - room // 2) / len(sampled))]
    rows = np.concatenate((kept, common[hardest[: room // 2]], common[sampled]))
    order = np.argsort(rows)
    return rows[order], np.concatenate(standing)[order]
