"""Combines members' predictions into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stacktune.families.losses import scaled, unscaled
from stacktune.objectives import SQUARED_LOG

SINGLE, AVERAGE, STACK = "single", "average", "stack"
# A forest says 0 where no leaf has seen the class. Unclipped, one such member would outvote all others; at one in a
# million a logit is 13.8, still beyond what a few hundred thousand rows can tell from certainty.
MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Blend:
    """Weights on members' predictions.

    kind: "single" or "average" (a weighted mean of probabilities or values), or "stack" (a weighted sum of values, or
        of log-probabilities under a softmax, plus a bias).
    weights: one a member, none negative; those of an average sum to one.
    bias: one an output, of a stack; else empty.
    temperature: of the probabilities: the logarithms of what is blended are divided by it, see temperature.py.
    is_log: whether a stack of values sums log(1 + value), as is fitted where errors are measured on that scale.
    """

    kind: str
    weights: tuple[float, ...]
    bias: tuple[float, ...] = ()
    is_log: bool = False
    temperature: float = 1.0

    @property
    def n_members(self) -> int:
        """Return how many members' predictions are needed."""
        return sum(weight > 0 for weight in self.weights)

    def combine(self, predictions: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Return the blend of the members' predictions.

        Each member has an (n, n_outputs) array, and so has the blend. Members that weigh nothing are not looked at.
        """
        blended = self._blended(predictions)
        return blended if self.temperature == 1 else heated(blended, self.temperature)

    def _blended(self, predictions: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        if self.kind != STACK:
            return self._weighted(predictions, lambda prediction: prediction)
        if self.is_log:
            logs = self._weighted(predictions, lambda prediction: scaled(prediction, SQUARED_LOG, 1.0))
            return unscaled(logs + self.bias[0], SQUARED_LOG, 1.0)
        if len(self.bias) == 1:
            return self._weighted(predictions, lambda prediction: prediction) + self.bias[0]
        from scipy.special import softmax

        return softmax(self._weighted(predictions, log_probabilities) + np.array(self.bias), axis=-1)

    def _weighted(self, predictions: np.ndarray | Sequence[np.ndarray], view: Any) -> np.ndarray:
        total = np.zeros_like(predictions[0], dtype=np.float64)
        for weight, prediction in zip(self.weights, predictions, strict=True):
            if weight > 0:
                total += weight * view(prediction)
        return total

    def compact(self) -> tuple[list[int], Blend]:
        """Return the members that count, and their blend.

        They are the positions of those that weigh something, and the blend of these alone.
        """
        kept = [position for position, weight in enumerate(self.weights) if weight > 0]
        kind = SINGLE if len(kept) == 1 and self.kind == AVERAGE else self.kind
        return kept, replace(self, kind=kind, weights=tuple(self.weights[position] for position in kept))

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, fit for JSON."""
        record: dict[str, Any] = {"kind": self.kind, "weights": list(self.weights), "bias": list(self.bias)}
        record |= {"is_log": True} if self.is_log else {}
        return record if self.temperature == 1 else record | {"temperature": self.temperature}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Blend:
        """Read what `to_dict` wrote."""
        is_log = document.get("is_log", False)
        temperature = document.get("temperature", 1.0)
        return cls(document["kind"], tuple(document["weights"]), tuple(document["bias"]), is_log, temperature)


def heated(prediction: np.ndarray, temperature: float) -> np.ndarray:
    """Return (n, n_outputs) probabilities at a temperature.

    Their logarithms are divided by it: above 1 they are nearer to each other. Those of 0 stay at next to nothing.
    """
    from scipy.special import softmax

    logs = np.log(np.maximum(prediction, np.finfo(np.float64).tiny))
    return softmax(logs / temperature, axis=-1)


def log_probabilities(prediction: np.ndarray) -> np.ndarray:
    """Return log-probabilities, clipped from below.

    prediction: (…, n_outputs) probabilities; none counts as less than MIN_PROBABILITY.
    """
    return np.log(np.clip(prediction, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
