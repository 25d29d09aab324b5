"""Tells which targets leave a metric undefined.

They do so whatever is predicted. The words complete "--metric NAME …".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Takes (n,) codes of classes with their names, or (n,) values and no names.
DomainCheck = Callable[[np.ndarray, tuple[str, ...]], str | None]


def no_problem(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return None: any target will do."""
    return None


def one_class(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a problem unless two classes are there."""
    present = np.unique(target)
    if len(present) > 1:
        return None
    return f"needs rows of two classes, but all {len(target):,} are of class {classes[present[0]]}"


def no_positive(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a problem unless the positive class occurs.

    It is that of two classes.
    """
    if len(classes) > 2 or (target == 1).any():
        return None
    return f"needs rows of class {classes[1]}, but all {len(target):,} are of class {classes[0]}"


def beyond_log1p(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a problem for targets beyond log(1 + value).

    The logarithm of one more must be defined.
    """
    n_beyond = int((target <= -1).sum())
    return f"needs targets above -1, but {_of(n_beyond, target)} not, down to {target.min():g}" if n_beyond else None


def zeros(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a problem where the target is zero.

    Such a target would be divided by.
    """
    n_zero = int((target == 0).sum())
    return f"divides by the target, but {_of(n_zero, target)} zero" if n_zero else None


def no_amounts(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a problem unless targets are amounts or counts.

    None is below zero then, and one is above.
    """
    if target.any():
        return below_zero(target, classes)
    return f"needs a target above 0, but all {len(target):,} are zero"


def below_zero(target: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a problem for targets below zero."""
    n_below = int((target < 0).sum())
    if not n_below:
        return None
    return f"needs targets of at least 0, but {_of(n_below, target)} below, down to {target.min():g}"


def _of(n: int, target: np.ndarray) -> str:
    return f"{n:,} of {len(target):,} {'is' if n == 1 else 'are'}"
