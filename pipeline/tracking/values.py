"""Turns a run's findings into MLflow's points and texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any

from stacktune.storage.uris import masked
from stacktune.tracking.updates import Point, as_text
from stacktune.trials.result import COMPLETED, TrialResult

# A metric's name, value and step.
Value = tuple[str, Any, int]


def points(values: Iterable[Value]) -> tuple[Point, ...]:
    """Return the finite values.

    A chart has no place for the others.
    """
    return tuple(
        Point(name, float(value), int(step))
        for name, value, step in values
        if isinstance(value, Real) and math.isfinite(value)
    )


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as texts without credentials."""
    return {name: masked(as_text(value)) for name, value in values.items()}


def costs(result: TrialResult) -> Iterator[Value]:
    """Yield what a trial took."""
    yield "fit_s", result.fit_s, 0
    yield "cpu_s", result.cpu_s, 0
    yield "rungs_reached", result.rungs_reached, 0
    if result.status == COMPLETED:
        yield "predict_us", result.predict_us, 0
    for fold, n_units in enumerate(result.n_units):
        yield "n_units", n_units, fold


def changes(result: TrialResult) -> Iterator[Value]:
    """Yield what PBT changed in a trial, by unit.

    The params show how it began.
    """
    configs = [config for _, config in result.lineage]
    for name in configs[0] if configs else ():
        if len({config[name] for config in configs}) > 1:
            for unit, config in result.lineage:
                yield f"changed.{name}", config[name], unit
