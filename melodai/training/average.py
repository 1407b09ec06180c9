"""Exponential moving average of the weights."""

import copy

import torch
from torch import nn


class WeightAverage:
    """A copy of the network whose weights and statistics follow slowly.

    The decay warms up as (1 + n) / (10 + n), so that the random start is soon forgotten.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the
    warm-up is that of TensorFlow's `ExponentialMovingAverage(num_updates=…)`.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        self._num_updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        decay = min(self._decay, (1 + self._num_updates) / (10 + self._num_updates))
        self._num_updates += 1
        for mine, current in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(current, 1 - decay)
            else:
                mine.copy_(current)

    def state_dict(self) -> dict:
        return {"network": self.network.state_dict(), "num_updates": self._num_updates}

    def load_state_dict(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self._num_updates = state["num_updates"]
