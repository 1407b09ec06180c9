"""Networks for photographs, `timm:<name>` and `torchvision:<name>`, on log-mel pictures.

A picture has one channel; the network's first convolution gets the sum of its three kernels, which
is what it would compute from a grey photograph.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.base import Backbone
from melodai.config import DataConfig, FrontEndConfig
from melodai.transforms.mel import LogMel

FRONT_END = "melodai's log-mel picture (its settings), scaled as the photographs were"


class PictureBackbone(Backbone):
    """A network without its classifier, on the pictures of as few even windows as cover a song.

    A window is a segment long; a shorter sound is one picture, whatever its length.

    Args:
        name: "timm:resnet18".
        network: `(batch, 1 or 3, height, width) -> (batch, size)`.
        size: numbers in an embedding.
        image_size: height and width of the pictures.
        mean, deviation: of the photographs it was trained on, in [0, 1], averaged over colours.
        licence, source: of the weights.
        frontend: settings of the log-mel; image_size is the network's own.
    """

    mel_axis = None
    default_layers = ("embedding",)
    layer_sizes: ClassVar = {"embedding": 0}

    def __init__(
        self,
        name: str,
        network: nn.Module,
        *,
        size: int,
        image_size: int,
        mean: float = 0.5,
        deviation: float = 0.5,
        licence: str = "see source",
        source: str = "",
        frontend: FrontEndConfig | None = None,
        layers: Sequence[str] | None = None,
    ) -> None:
        self.name, self.licence, self.source = name, licence, source
        self.layer_sizes = {"embedding": size}
        super().__init__(layers)
        settings = frontend or FrontEndConfig()
        self.sample_rate = settings.sample_rate
        self.log_mel = LogMel(
            sample_rate=settings.sample_rate,
            n_fft=settings.n_fft,
            hop_length=settings.hop_length,
            n_mels=settings.n_mels,
            f_min=settings.f_min,
            f_max=settings.f_max,
            image_size=image_size,
        )
        self.network = network
        self.num_channels = 1 if take_one_channel(network) else 3
        # A picture is in [-1, 1], the photographs were in [0, 1] before they were standardised.
        self.scale, self.shift = 0.5 / deviation, (0.5 - mean) / deviation
        self.window_samples = math.ceil(float(DataConfig.segment_seconds) * self.sample_rate)

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` -> `(batch, window, 1, image_size, image_size)`."""
        time = waveform.shape[1]
        length = min(time, self.window_samples)
        count = math.ceil(time / length)
        starts = [round(i * (time - length) / max(1, count - 1)) for i in range(count)]
        pictures = [self.log_mel(waveform[:, start : start + length]) for start in starts]
        return torch.stack(pictures, dim=1)

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        """`(patch, 1, image_size, image_size)` pictures."""
        x = patches * self.scale + self.shift
        return {"embedding": self.network(x.expand(-1, self.num_channels, -1, -1))}


def take_one_channel(network: nn.Module) -> bool:
    """Sums the three input kernels of the first convolution; False where that changes it.

    That is where the layer standardises its kernels: it then goes on to take three equal channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels in (1, 3) and module.groups == 1:
            if "Std" in type(module).__name__:
                return False
            if module.in_channels == 3:
                kernel = module.weight.detach().sum(1, keepdim=True)
                module.weight = nn.Parameter(kernel)
                module.in_channels = 1
            return True
    return False


def average(values: Sequence[float]) -> float:
    """Of the three colours, since a picture has none."""
    return sum(values) / len(values)
