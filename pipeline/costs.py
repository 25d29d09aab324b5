"""What decisions cost: a metric, and a threshold.

Of two classes, each of the four outcomes of a decision has a cost. The metric is their mean a row, and the threshold
the one where that is least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stacktune.errors import ConfigError, nearest
from stacktune.metrics import Metric, confusion

COST = "cost"
# True negatives, false positives, false negatives, true positives: by true class, then by the class decided for.
OUTCOMES = ("tn", "fp", "fn", "tp")


@dataclass(frozen=True)
class OutcomeCosts:
    """The cost of each outcome of a decision.

    values: those of OUTCOMES.
    """

    values: tuple[float, float, float, float]

    def of_counts(self, counts: np.ndarray) -> np.ndarray:
        """Return the mean cost of (…, 2, 2) counts."""
        total: np.ndarray = (counts * np.reshape(self.values, (2, 2))).sum(axis=(-2, -1))
        return total / counts.sum(axis=(-2, -1))

    def measure(self, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None, threshold: float) -> float:
        """Return the mean cost of decisions at a threshold."""
        return float(self.of_counts(confusion(target, prediction, weight, threshold)))


def cost_metric(given: Mapping[str, float], task_kind: str) -> Metric:
    """Return the metric of costs by outcome.

    given: by names of OUTCOMES; those left out cost nothing.

    Raises:
        ConfigError: there are not two classes, an outcome is none, or being wrong costs no more than being right.
    """
    for name in given:
        if name not in OUTCOMES:
            raise ConfigError(
                f"--cost gives a cost to {name!r}, which is no outcome of a decision.{nearest(name, OUTCOMES)} "
                "fn is a positive row taken for negative, fp the other mistake."
            )
    if task_kind != "binary":
        raise ConfigError(
            f"--cost weighs decisions between two classes, and this is a {task_kind} task. Leave it out, or name a "
            "--metric that suits the task."
        )
    costs = {name: given.get(name, 0.0) for name in OUTCOMES}
    for wrong, right in (("fn", "tp"), ("fp", "tn")):
        if costs[wrong] <= costs[right]:
            raise ConfigError(
                f"--cost has {wrong}={costs[wrong]:g} and {right}={costs[right]:g}, but a wrong decision must cost "
                f"more than a right one on the same row. Give {wrong} a higher cost, as in --cost fn=10,fp=1."
            )
    outcomes = OutcomeCosts((costs["tn"], costs["fp"], costs["fn"], costs["tp"]))
    return Metric(
        COST,
        frozenset({"binary"}),
        greater_is_better=False,
        needs_threshold=True,
        measure=outcomes.measure,
        of_counts=outcomes.of_counts,
        unit=max(costs["fn"] - costs["tp"], costs["fp"] - costs["tn"]),
        version=",".join(f"{name}={cost:g}" for name, cost in costs.items()),
    )
