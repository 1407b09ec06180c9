"""Masks in time and frequency (SpecAugment: Park et al., Interspeech 2019)."""

from typing import NamedTuple

import torch
from torch import Tensor

from melodai.transforms.base import RandomTransform, uniform


class MaskParameters(NamedTuple):
    """Of each example: `start` and `width (batch, mask)`, shares of the picture."""

    active: Tensor
    start: Tensor
    width: Tensor


class Masks(RandomTransform):
    """Hides stripes of a picture behind its own mean.

    The mean, not the floor: no music holds a silence with edges of 80 dB, and batch norm sees about
    the statistics that it sees in evaluation.

    Args:
        dim: axis along which the stripes have their width: -1 hides times, -2 frequencies.
        num_masks: stripes a picture; they may overlap.
        max_share: widest stripe as a share of the picture.
    """

    def __init__(self, *, dim: int, num_masks: int, max_share: float) -> None:
        self.dim, self.num_masks, self.max_share = dim, num_masks, max_share

    def sample(self, batch_size: int, generator: torch.Generator) -> MaskParameters:
        shape = (batch_size, self.num_masks)
        width = uniform(0, self.max_share, shape, generator)
        start = torch.rand(shape, generator=generator) * (1 - width)
        active = torch.full((batch_size,), self.num_masks > 0 and self.max_share > 0)
        return MaskParameters(active, start, width)

    def change(self, x: Tensor, parameters: MaskParameters) -> Tensor:
        size = x.shape[self.dim]
        place = (torch.arange(size, device=x.device) + 0.5) / size
        start, width = parameters.start[:, :, None], parameters.width[:, :, None]
        is_hidden = ((place >= start) & (place < start + width)).any(dim=1)  # (batch, size)
        shape = [len(x), 1, size, 1] if self.dim == -2 else [len(x), 1, 1, size]
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        return torch.where(is_hidden.view(shape), mean, x)
