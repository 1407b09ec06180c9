"""Convolutional networks without their dead channels, giving the same answers.

Weight decay leaves many filters of a published network without weight: what they put out is a
constant. Such channels are left out; what the constants gave to the next layer is a map of biases,
which differs at the borders, where zeros are padded. Batch norm becomes a multiply-add, and where a
maximum follows, it is taken first: over a window, scale · ReLU(x) is largest where x is, or where
-x is if the scale is negative.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A filter whose norm, times the scale behind it, is below this is dead. Inputs are of order one.
LEAST_EFFECT = 1e-6


class Channels(NamedTuple):
    """Which channels vary, and the values of those that do not: `(channel,)` each."""

    is_living: Tensor
    constants: Tensor

    @property
    def spread(self) -> dict[str, Tensor]:
        """The state of a `Spread` that puts the dead ones back."""
        living, dead = self.is_living.nonzero()[:, 0], (~self.is_living).nonzero()[:, 0]
        return {
            "constants": self.constants[dead].float(),
            "order": torch.cat([living, dead]).argsort(),
        }


class _SizedByState(nn.Module):
    """A module that takes the sizes of the state that it is given."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name, own in (*self.named_parameters(), *self.named_buffers()):
            if prefix + name in state_dict:
                own.data = own.new_empty(state_dict[prefix + name].shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Norm(nn.Module):
    """Batch norm with fixed statistics: a multiply-add a channel, the last axis."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, x, self.weight)


class ConvolutionPeakNorm(_SizedByState):
    """The living filters of convolution, ReLU, norm and a maximum, in this order.

    Args:
        peak: the maximum; the identity if None.
        padding: zeros before and after the last axis, then the one before it, as `F.pad` has it.

    Shape: `(batch, living channel in, height, width)` -> `(batch, living channel out, ...)`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], *,
        padding: tuple[int, ...], peak: Callable[[Tensor], Tensor] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.padding, self.peak = padding, peak
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel)
        self.norm = Norm(out_channels)
        # What one tap of each filter gives of the constant inputs; nothing if there are none.
        self.register_buffer("taps", torch.zeros(0))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.norm.weight[:, None, None]
        sign = torch.where(scale < 0, -1.0, 1.0)
        kernel, bias = self.convolution.weight * sign[..., None], self.convolution.bias
        made = F.conv2d(F.pad(x, self.padding), kernel, bias * sign[:, 0, 0])
        if len(self.taps):
            ones = F.pad(torch.ones_like(x[:1, :1]), self.padding)
            made = made + F.conv2d(ones, self.taps * sign[..., None])
        peak = made if self.peak is None else self.peak(made)
        return F.relu(peak * sign) * scale + self.norm.bias[:, None, None]


class Spread(_SizedByState):
    """Puts the constants of dead channels back: `(batch, living, ...)` -> `(batch, all, ...)`."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("constants", torch.zeros(0))
        self.register_buffer("order", torch.arange(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        constants = self.constants.reshape(-1, *[1] * (x.dim() - 2))
        # Not len(x): an exported graph holds for any number of examples.
        constants = constants.expand(x.shape[0], -1, *x.shape[2:])
        return torch.cat([x, constants], dim=1)[:, self.order]


def convolved(x: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Convolution, then batch norm: one convolution where the statistics are fixed."""
    if norm.training:
        return norm(convolution(x))
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    bias = 0 if convolution.bias is None else convolution.bias
    return F.conv2d(
        x, convolution.weight * scale[:, None, None, None],
        (bias - norm.running_mean) * scale + norm.bias,
        convolution.stride, convolution.padding, convolution.dilation, convolution.groups,
    )  # fmt: skip


def multiply_add(state: Mapping[str, Tensor], name: str, eps: float) -> tuple[Tensor, Tensor]:
    """A batch norm of the state as scale and shift, `(channel,)` float64 each."""
    gamma, beta, mean, variance = (
        state[f"{name}.{kind}"].double()
        for kind in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / (variance + eps).sqrt()
    return scale, beta - mean * scale


def norm_state(state: Mapping[str, Tensor], name: str, eps: float) -> dict[str, Tensor]:
    """A batch norm of the state as the state of a `Norm` of that name."""
    scale, shift = multiply_add(state, name, eps)
    return {f"{name}.weight": scale.float(), f"{name}.bias": shift.float()}


def prune(
    state: Mapping[str, Tensor], name: str, eps: float, inputs: Channels | None = None,
    keep_all: bool = False,
) -> tuple[dict[str, Tensor], Channels]:  # fmt: skip
    """The state of a `ConvolutionPeakNorm` from that of a convolution and a batch norm.

    Args:
        inputs: what comes in; everything varies if None.
        keep_all: leave no filter out.

    Returns:
        what the module needs, and what comes out of it.
    """
    kernel, bias = (state[f"{name}.convolution.{kind}"].double() for kind in ("weight", "bias"))
    scale, shift = multiply_add(state, f"{name}.norm", eps)
    is_living = scale.abs() * kernel.flatten(1).norm(dim=1) >= LEAST_EFFECT
    outputs = Channels(is_living | keep_all, F.relu(bias) * scale + shift)
    taps = torch.zeros(0)
    if inputs is not None:
        dead = ~inputs.is_living
        if dead.any():
            constants = inputs.constants[dead][:, None, None]
            taps = (kernel[:, dead] * constants).sum(1, keepdim=True)
        kernel = kernel[:, inputs.is_living]
    tensors = {
        "convolution.weight": kernel, "convolution.bias": bias,
        "norm.weight": scale, "norm.bias": shift, "taps": taps,
    }  # fmt: skip
    living = {
        f"{name}.{key}": value[outputs.is_living].float() if len(value) else value
        for key, value in tensors.items()
    }
    return living, outputs
