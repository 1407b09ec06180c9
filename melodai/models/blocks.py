"""Layers that the networks are made of."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Element-wise dropout, the same whether one process computes a batch or several do.

    Every process draws the mask of the whole global batch from its (equally seeded) generator and
    takes the rows of its own examples; with one process this is ordinary dropout.

    Shape: any `(batch, ...)` -> the same.

    Args:
        probability: share of the elements set to zero, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def extra_repr(self) -> str:
        return f"probability={self.probability}"

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        rank, world_size, batch = 0, 1, x.shape[0]
        if dist.is_available() and dist.is_initialized():
            rank, world_size = dist.get_rank(), dist.get_world_size()
        channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        keep = torch.empty(
            (world_size * batch, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=layout
        )
        keep.bernoulli_(1 - self.probability)
        return x * keep[rank * batch : (rank + 1) * batch] / (1 - self.probability)


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU; "same" padding.

    Shape: `(batch, in, mel, frame)` -> `(batch, out, mel / stride, frame / stride)`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut: add, then ReLU.

    The shortcut is the identity, or a 1x1 convolution where the shape changes.

    Shape: `(batch, in, mel, frame)` -> `(batch, out, mel / stride, frame / stride)`.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, figure 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBlock(in_channels, out_channels, 3, stride)
        self.second = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Embedding(nn.Sequential):
    """Global average pool and the study's two dense layers, each with ReLU and dropout.

    Shape: `(batch, channels, mel, frame)` -> `(batch, 256)`.
    """

    size = 256

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, 512),
            nn.ReLU(inplace=True),
            Dropout(dropout),
            nn.Linear(512, self.size),
            nn.ReLU(inplace=True),
            Dropout(dropout),
        )


class MeanMaxPool(nn.Module):
    """Mean and maximum of each channel over the picture.

    The mean says how much of something there is, the maximum whether it is there at all.

    Shape: `(batch, channels, mel, frame)` -> `(batch, 2 * channels)`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.size = 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)


def initialise(network: nn.Module) -> None:
    """He initialisation of every convolution and dense layer, for the ReLU behind it.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def start_from_even_odds(classifier: nn.Linear) -> None:
    """Small weights in the last layer: an untrained network finds all moods about as likely."""
    classifier.weight.mul_(0.1)
