"""Layers that the networks are made of."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
            nn.Dropout(dropout),
            nn.Linear(512, self.size),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
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
