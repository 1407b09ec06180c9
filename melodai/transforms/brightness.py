"""Contrast."""

from typing import NamedTuple

import torch
from torch import Tensor

from melodai.transforms.base import RandomTransform, per_example, uniform


class BrightnessParameters(NamedTuple):
    """Of each example: `change (batch,)`, 0.1 makes a picture 10 % brighter."""

    active: Tensor
    change: Tensor


class Brightness(RandomTransform):
    """Multiplies the decibels above the floor (-1); the maximum (1) is not exceeded.

    Args:
        share: largest change.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def sample(self, batch_size: int, generator: torch.Generator) -> BrightnessParameters:
        active = torch.full((batch_size,), self.share > 0)
        return BrightnessParameters(active, uniform(-self.share, self.share, batch_size, generator))

    def change(self, x: Tensor, parameters: BrightnessParameters) -> Tensor:
        return torch.addcmul(x, x + 1, per_example(parameters.change, x)).clamp_(max=1)
