"""Level."""

from typing import NamedTuple

import torch
from torch import Tensor

from melodai.transforms.base import WaveformTransform, uniform


class GainParameters(NamedTuple):
    """Of each example: `gain (batch,)`, an amplitude ratio."""

    active: Tensor
    gain: Tensor


class Gain(WaveformTransform):
    """Another level, cut off at full scale as a file would be.

    The pictures do not move with the level itself; what they show of a boost is its clipping.

    Args:
        max_db: largest boost or cut.
    """

    def __init__(self, max_db: float) -> None:
        self.max_db = max_db

    def sample(self, batch_size: int, generator: torch.Generator) -> GainParameters:
        gain_db = uniform(-self.max_db, self.max_db, batch_size, generator)
        active = torch.full((batch_size,), self.max_db > 0)
        return GainParameters(active, torch.pow(10.0, gain_db / 20))

    def change(self, x: Tensor, num_samples: Tensor, parameters: GainParameters) -> Tensor:
        return (x * parameters.gain[:, None]).clamp_(-1, 1)
