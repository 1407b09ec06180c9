"""Frequency responses: a factor on the power of each Fourier bin, folded into the mel bank."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from melodai.transforms.base import chosen, uniform


class LowPassParameters(NamedTuple):
    """Of each example, `(batch,)`.

    Attributes:
        cutoff_hz: where the power is halved.
        order: above the cut-off the level falls by 6.02 dB times this an octave.
    """

    active: Tensor
    cutoff_hz: Tensor
    order: Tensor


class LowPass:
    """What a codec or an old recording does to the treble: a Butterworth low-pass.

    Cut-offs and slopes are drawn evenly on logarithmic scales, from 12 dB an octave to the edge of
    a codec.

    Args:
        probability: share of the examples changed.
        min_hz, max_hz: bounds of the cut-off.
    """

    min_order, max_order = 2.0, 64.0

    def __init__(self, *, probability: float, min_hz: float, max_hz: float) -> None:
        self.probability, self.min_hz, self.max_hz = probability, min(min_hz, max_hz), max_hz

    def sample(self, batch_size: int, generator: torch.Generator) -> LowPassParameters:
        """Parameters on the host."""
        return LowPassParameters(
            chosen(self.probability, batch_size, generator),
            _log_uniform(self.min_hz, self.max_hz, batch_size, generator),
            _log_uniform(self.min_order, self.max_order, batch_size, generator),
        )

    def response(self, parameters: LowPassParameters, frequencies: Tensor) -> Tensor:
        """Factors on the power, `(batch, bin)`, 1 where not active."""
        active, cutoff, order = (values[:, None] for values in parameters)
        # In doubles: 64 octaves of attenuation are more than float32 can count.
        power = 1 / (1 + (frequencies.double() / cutoff) ** (2 * order))
        return torch.where(active, power, 1.0).float()


class EqualizerParameters(NamedTuple):
    """Of each example: `gains_db (batch, node)`, boost or cut at the nodes."""

    active: Tensor
    gains_db: Tensor


class Equalizer:
    """Random tone controls: a smooth boost and cut over the octaves.

    Gains are drawn at `num_nodes` frequencies and joined by straight lines over log frequency.

    Args:
        max_db: largest boost or cut.
        min_hz, max_hz: first and last node; beyond them the response is level.
    """

    num_nodes = 6

    def __init__(self, *, max_db: float, min_hz: float = 60.0, max_hz: float = 10000.0) -> None:
        self.max_db, self.min_hz, self.max_hz = max_db, min_hz, max_hz

    def sample(self, batch_size: int, generator: torch.Generator) -> EqualizerParameters:
        """Parameters on the host."""
        shape = (batch_size, self.num_nodes)
        return EqualizerParameters(
            torch.full((batch_size,), self.max_db > 0),
            uniform(-self.max_db, self.max_db, shape, generator),
        )

    def response(self, parameters: EqualizerParameters, frequencies: Tensor) -> Tensor:
        """Factors on the power, `(batch, bin)`."""
        octaves = (frequencies.clamp(self.min_hz, self.max_hz) / self.min_hz).log2()
        place = octaves / math.log2(self.max_hz / self.min_hz) * (self.num_nodes - 1)
        node = torch.arange(self.num_nodes, device=frequencies.device)
        hats = (1 - (place - node[:, None]).abs()).clamp(min=0)  # (node, bin)
        return torch.pow(10.0, parameters.gains_db @ hats / 10)


def _log_uniform(low: float, high: float, batch_size: int, generator: torch.Generator) -> Tensor:
    return uniform(math.log(low), math.log(high), batch_size, generator).exp()
