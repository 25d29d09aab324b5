"""Scales float64 numbers into float32.

Those have 24 bits and 76 decades; what tells numbers apart is not lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stacktune.data.spread import evenly_spread

# Within these, numbers are left as they are: scikit-learn's trees take two for the same that are less than 1e-7 apart
# (FEATURE_THRESHOLD in its tree/_partitioner.pyx), and sums and squares need room below the end of float32, 3e38.
_MIN_MAGNITUDE, _MAX_MAGNITUDE = 1e-3, 1e30
_UNDERFLOW = float(np.finfo(np.float32).tiny)
# Fewer numbers than this share may become zero, as those that are left over from subtractions do.
_MAX_UNDERFLOW = 0.01
_MAX_SAMPLED_VALUES = 10_000
# Of the distinct values, at each end; what stands for "not known" is a few values, if in many rows.
_SHARE_ASIDE = 0.05


@dataclass(frozen=True)
class Scale:
    """The change of numbers before they become float32.

    It is made in float64.

    offset: is taken off. factor: a power of two, by which they are divided. log_from: 0, or the number up to which they
    stay in proportion; beyond it their logarithms are, so that 1e-300 and 1 are both held, in their order.
    """

    offset: float = 0.0
    factor: float = 1.0
    log_from: float = 0.0

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) float64 `values` on this scale; NaN stays."""
        if self.log_from:
            with np.errstate(divide="ignore", invalid="ignore"):  # of zeros and of NaN, which come out as they are
                ratio = np.log2(np.abs(values)) - math.log2(self.log_from)
                return np.sign(values) * np.logaddexp2(0, ratio)
        if self.offset:
            values = values - self.offset
        return values / self.factor if self.factor != 1.0 else values

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """Return (n,) float64 numbers that `apply` scales so.

        They are as near to those that were as float32 holds them.
        """
        scaled = np.asarray(scaled, dtype=np.float64)
        if self.log_from:
            return np.sign(scaled) * self.log_from * np.expm1(np.abs(scaled) * math.log(2))
        return scaled * self.factor + self.offset


def scale_of(values: np.ndarray) -> tuple[Scale, int]:
    """Return the numbers' scale, and how many vanish.

    (n,) float64 numbers are to be scaled, at least one of them finite; some become zero on the scale.
    """
    known = values[np.isfinite(values)]
    offset = _offset(known)
    sizes = np.abs(known - offset)
    most = float(sizes.max())
    factor = 1.0 if _MIN_MAGNITUDE <= most <= _MAX_MAGNITUDE or most == 0 else math.ldexp(1.0, math.frexp(most)[1] - 1)
    small = (sizes > 0) & (sizes < _UNDERFLOW * factor)
    n_small = int(np.count_nonzero(small))
    if n_small > _MAX_UNDERFLOW * np.count_nonzero(sizes):
        return Scale(log_from=float(np.abs(known[known != 0]).min())), 0
    return Scale(offset, factor), n_small


def _offset(known: np.ndarray) -> float:
    """Return the offset to subtract from numbers.

    It keeps numbers far from zero and near one another apart.
    """
    low, high = float(known.min()), float(known.max())
    if _is_blurred(low, high):
        return low
    # A zero or a -1 that stands for "not known" hides that all others are far from zero.
    if max(abs(low), abs(high)) <= 2**24:
        return 0.0
    core = core_of(known)
    return float(core[0]) if _is_blurred(float(core[0]), float(core[-1])) else 0.0


def _is_blurred(low: float, high: float) -> bool:
    # Float32 has 24 bits: numbers far from zero and near one another would lose theirs to what they have in common.
    magnitude, span = max(abs(low), abs(high)), high - low
    return span > 0 and (magnitude > 256 * span or (magnitude > 2**24 and magnitude > 2 * span))


def core_of(known: np.ndarray) -> np.ndarray:
    """Return the distinct values without the extremes.

    They are some of them, ascending, without the few that are most extreme at either end.
    """
    distinct = np.unique(known[evenly_spread(known.size, _MAX_SAMPLED_VALUES)])
    n_aside = max(min(2, (distinct.size - 1) // 2), int(_SHARE_ASIDE * distinct.size))
    return distinct[n_aside : distinct.size - n_aside]
