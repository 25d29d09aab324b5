"""Checks of the numbers in a model's file.

They ask whether the numbers can be what was written. A digest tells damage, and lies beside what it is of: whoever
changes the one can change the other. Compiled code that follows a number out of an array ends the process, or reads
what is none of its business. So what such code is given is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stacktune.errors import DataError


def refuse(path: Path, fault: str) -> DataError:
    """Return the error that names a model file's fault."""
    return DataError(
        f"the model in {str(path)!r} is not as it was written: {fault}. Take it from where it came from once more; it "
        "is not loaded."
    )


def first_of(path: Path, faults: Iterator[str]) -> None:
    """Raise DataError with the first fault, if any."""
    for fault in faults:
        raise refuse(path, fault)


def is_whole(array: np.ndarray, n_dimensions: int = 1) -> bool:
    """Return whether an array holds integers in `n_dimensions`."""
    return array.ndim == n_dimensions and array.dtype.kind in "iu"


def is_real(array: np.ndarray, n_dimensions: int) -> bool:
    """Return whether an array holds fractions in `n_dimensions`."""
    return array.ndim == n_dimensions and array.dtype.kind == "f"


def is_within(array: np.ndarray, low: int, high: int | np.ndarray) -> bool:
    """Return whether all values are in [`low`, `high`)."""
    return bool(((array >= low) & (array < high)).all())
