"""Mixtures of two examples and of their targets."""

from typing import NamedTuple

import torch
from torch import Tensor

from melodai.transforms.base import per_example


class MixupParameters(NamedTuple):
    """Of each example: `share (batch,)` of itself in the mixture, from 0.5 to 1."""

    active: Tensor
    share: Tensor


class Mixup:
    """Mixes rows 2k and 2k + 1 of a batch (Zhang et al., ICLR 2018).

    Batches are shuffled already, so neighbours are strangers, and processes that share a batch in
    blocks of even size get the mixtures that one process would. A last row without a neighbour
    stays as it is. Each row keeps at least half of itself, so that its own mood stays the largest.

    Args:
        alpha: both parameters of the Beta distribution of the share; 0 never mixes.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def sample(self, batch_size: int, generator: torch.Generator) -> MixupParameters:
        """Parameters on the host."""
        uniform = torch.rand(batch_size, generator=generator, dtype=torch.float64)
        if not self.alpha:
            return MixupParameters(torch.zeros(batch_size).bool(), torch.ones(batch_size))
        # Torch draws no Beta numbers from a given generator: by the inverse of the distribution.
        from scipy.special import betaincinv

        share = torch.from_numpy(betaincinv(self.alpha, self.alpha, uniform.numpy())).float()
        return MixupParameters(torch.ones(batch_size).bool(), torch.maximum(share, 1 - share))

    def apply(
        self, x: Tensor, targets: Tensor, parameters: MixupParameters
    ) -> tuple[Tensor, Tensor]:
        """Mixes both; `targets (batch, class)` are shares of the moods."""
        partner = torch.arange(len(x), device=x.device) ^ 1
        partner = torch.where(partner < len(x), partner, partner ^ 1)

        def mix(values: Tensor) -> Tensor:
            share = per_example(parameters.share, values)
            mixed = values[partner] + (values - values[partner]) * share
            return torch.where(per_example(parameters.active, values), mixed, values)

        return mix(x), mix(targets)
