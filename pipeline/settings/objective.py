"""Kinds of settings that name a loss or metric."""

from __future__ import annotations

from stacktune.objectives import RULE, loss_of
from stacktune.own_module import hand_over
from stacktune.settings.kinds import TEXT, Kind, MisfitError


def _loss(value: object) -> str:
    if not isinstance(value, str):
        raise MisfitError(value)
    loss_of(value)
    return value.strip().lower()


def _metric(value: object) -> str:
    """Return a metric's name, also of a function."""
    return hand_over(value) if callable(value) else str(TEXT.read(value))


LOSS = Kind(RULE, _loss)
METRIC = Kind(TEXT.rule, _metric)
