"""Features made by hand in the place of a network, so that they are probed and joined like one."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from baselines.base import Backbone
from baselines.catalogue import Pretrained, pretrained

SIZES = {"log-mel-statistics": 896, "acoustic-descriptors": 127}
WORDS = {
    "log-mel-statistics": "128 mels to 8 kHz: mean, deviation, percentiles and changes of each",
    "acoustic-descriptors": "MFCC, chroma, spectral contrast and shape, loudness, onsets, tempo",
}


class Handcrafted(Backbone):
    """One frame: the features of the whole window. Computed on the CPU."""

    sample_rate = 22050
    licence = "MIT"
    source = "melodai"
    mel_axis = None
    default_layers = ("features",)
    layer_sizes: ClassVar = {"features": 0}

    def __init__(self, name: str, layers: Sequence[str] | None = None) -> None:
        self.name, self.layer_sizes = name, {"features": SIZES[name]}
        super().__init__(layers)

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` -> `(batch, 1, feature)`."""
        from baselines.handcrafted import FEATURES

        rows = [
            FEATURES[self.name](row, self.sample_rate).values
            for row in waveform.detach().cpu().numpy()
        ]
        return torch.stack([torch.from_numpy(row) for row in rows])[:, None].to(waveform.device)

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        return {"features": patches}


def _register(name: str) -> None:
    about = Pretrained(
        name=name, licence=Handcrafted.licence, source=Handcrafted.source, num_parameters=0,
        sample_rate=Handcrafted.sample_rate, embedding_size=SIZES[name], front_end=WORDS[name],
        heard="nothing: features made by hand",
    )  # fmt: skip

    def skeleton(layers: Sequence[str] | None = None) -> Handcrafted:
        return Handcrafted(name, layers)

    def build(
        weights_dir: Path | None = None,
        *,
        offline: bool = False,
        layers: Sequence[str] | None = None,
    ) -> Backbone:
        return Handcrafted(name, layers)

    pretrained(about, skeleton)(build)


for _name in SIZES:
    _register(_name)
