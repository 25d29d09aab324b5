"""The kind of setting that names a loss."""

from __future__ import annotations

from stacktune.objectives import RULE, loss_of
from stacktune.settings.kinds import Kind, MisfitError


def _loss(value: object) -> str:
    if not isinstance(value, str):
        raise MisfitError(value)
    loss_of(value)
    return value.strip().lower()


LOSS = Kind(RULE, _loss)
