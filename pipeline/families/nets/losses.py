"""The losses of values that a net descends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stacktune.objectives import ABSOLUTE, HUBER, HUBER_DELTA, PERCENTAGE, POISSON, QUANTILE, TWEEDIE, kind_of, level_of

if TYPE_CHECKING:
    import torch

    from stacktune.families.nets.predictor import Outputs

# Absolute errors below this, in units of the spread or of the target, are squares: a slope that jumps never rests.
ROUNDED = 0.05
# An exponential of a gap of logarithms goes on straight from here, lest one row that is far off hold all the say.
LARGEST_RATIO = 20.0
# A logarithm of the mean's share beyond these is no better and no worse: the exponential of any more overflows.
MOST_LOG = 15.0


def value_losses(predicted: torch.Tensor, target: torch.Tensor, outputs: Outputs) -> torch.Tensor:
    """Return the loss of each prediction of each row.

    predicted, target: (n_rows, k), as labels are; under losses of means, predictions are their logarithms.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    kind = kind_of(outputs.loss)
    if kind in (ABSOLUTE, PERCENTAGE):
        gaps = _gaps(predicted, target, outputs)
        return F.smooth_l1_loss(gaps, torch.zeros_like(gaps), reduction="none", beta=ROUNDED)
    if kind == HUBER:
        return F.huber_loss(predicted, target, reduction="none", delta=HUBER_DELTA)
    if kind == QUANTILE:
        level = level_of(outputs.loss)
        rounded = F.smooth_l1_loss(predicted, target, reduction="none", beta=ROUNDED)
        return torch.where(target > predicted, level, 1 - level) * rounded
    if kind in (POISSON, TWEEDIE):
        return _deviances(predicted.clamp(-MOST_LOG, MOST_LOG), target, outputs.loss)
    return (predicted - target).square()


def _deviances(logs: torch.Tensor, target: torch.Tensor, loss: str) -> torch.Tensor:
    """Return half the deviance, less a constant."""
    if kind_of(loss) == POISSON:
        return logs.exp() - target * logs
    left, right = 1 - level_of(loss), 2 - level_of(loss)
    return (right * logs).exp() / right - target * (left * logs).exp() / left


def _gaps(predicted: torch.Tensor, target: torch.Tensor, outputs: Outputs) -> torch.Tensor:
    """Return the gaps that absolute errors are of.

    These are differences, or differences as shares of the target.

    A net can fit shares as they are, with (sign e^size - 1) for a value in units, since it needs no second derivative.
    By measurement they come out a tenth smaller than under the weights that stand for them in other families.
    """
    if outputs.loss != PERCENTAGE:
        return predicted - target
    predicted, target = (values * outputs.scale + outputs.centre for values in (predicted, target))
    excess, below = predicted.abs() - target.abs(), (-target.abs()).exp()
    most = math.log(LARGEST_RATIO)
    ratio = excess.clamp(max=most).exp() * (1 + (excess - most).clamp(min=0))
    return predicted.sign() * (ratio - below) - target.sign() * (1 - below)
