"""Integrated gradients: contributions of single cells that add up to the change of the logit.

Source: Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017, eq. 1, on
the straight path, with the midpoint rule.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

FIRST_STEPS, MOST_STEPS = 16, 432
TOLERANCE = 0.01
STEPS_AT_ONCE = 16


class IntegratedGradients(NamedTuple):
    """What each feature contributes.

    Attributes:
        values: as the features, `(height, width)`.
        change: of the logit from the baseline to the features.
        error: how far the sum of the values is from the change, as a share of it.
        num_steps: points on the path.
    """

    values: Tensor
    change: float
    error: float
    num_steps: int


def integrated_gradients(
    logit: Callable[[Tensor], Tensor],
    features: Tensor,
    baseline: Tensor,
    *,
    most_steps: int = MOST_STEPS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> IntegratedGradients:
    """Refines the path threefold, keeping its points, until the sum fits or the steps are used up.

    Args:
        logit: `(batch, 1, height, width) -> (batch,)`.
        features, baseline: `(1, 1, height, width)`.
    """
    with torch.no_grad():
        ends = logit(torch.cat([features, baseline]))
        change = (ends[0] - ends[1]).item()
    difference = features - baseline
    # Added up on the CPU: not every device has float64.
    total, num_steps = torch.zeros(features.shape, dtype=torch.float64), FIRST_STEPS
    places = (torch.arange(num_steps) + 0.5) / num_steps
    done = 0
    while True:
        for part in places.split(STEPS_AT_ONCE):
            along = part.to(features)[:, None, None, None]
            points = (baseline + along * difference).requires_grad_()
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(logit(points).sum(), points)
            total += gradient.sum(0, keepdim=True).cpu().double()
            done += len(part)
            on_progress(done, num_steps)
        values = difference.cpu().double() * total / num_steps
        error = abs(values.sum().item() - change) / max(abs(change), 1e-12)
        if error < TOLERANCE or 3 * num_steps > most_steps:
            return IntegratedGradients(values[0, 0], change, error, num_steps)
        num_steps *= 3
        # The middle third of each step is where its point was; the outer two are new.
        places = (torch.arange(num_steps) + 0.5) / num_steps
        places = places[torch.arange(num_steps) % 3 != 1]
