"""PANNs' Cnn14: twelve convolutions on a log-mel of ten seconds, 527 sound classes of AudioSet.

Source: qiuqiangkong/audioset_tagging_cnn, `pytorch/models.py`; torchlibrosa for its front end
(Kong et al., "PANNs: large-scale pretrained audio neural networks", 2020).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, power_spectrum, windows
from baselines.catalogue import Pretrained, pretrained
from baselines.files import AUDIOSET_CLASSES, PANNS_CNN14
from baselines.mel import mel_bank
from baselines.weights import load_exactly, read_state, require
from baselines.yamnet import read_class_names

N_FFT, HOP_LENGTH, N_MELS = 1024, 320, 64
POWER_FLOOR = 1e-10
NUM_CLASSES = 527
WINDOW_SECONDS = 10  # of the clips it was trained on
CHANNELS = (64, 128, 256, 512, 1024, 2048)
# The published file holds the Fourier transform and the mel bank as layers; ours are computed.
FRONT_END_PREFIXES = ("spectrogram_extractor.", "logmel_extractor.")


class _ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU, then averages of 2x2."""

    def __init__(self, in_channels: int, out_channels: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.avg_pool2d(F.relu(self.bn2(self.conv2(x))), self.pool)


class PannsCnn14(Backbone):
    """As few windows of 10 s as cover the song. Modules have the published names."""

    name = "panns-cnn14"
    sample_rate = 32000
    licence = PANNS_CNN14.licence
    source = PANNS_CNN14.source
    layer_sizes: ClassVar = {"embedding": 2048}
    default_layers = ("embedding",)
    patches_at_once = 4

    def __init__(
        self, layers: Sequence[str] | None = None, tag_names: Sequence[str] | None = None
    ) -> None:
        super().__init__(layers)
        self.tag_names = tuple(tag_names or (f"class {i}" for i in range(NUM_CLASSES)))
        self.bn0 = nn.BatchNorm2d(N_MELS)
        before = (1, *CHANNELS)
        for number, channels in enumerate(CHANNELS, start=1):
            pool = 2 if number < len(CHANNELS) else 1
            block = _ConvBlock(before[number - 1], channels, pool)
            self.add_module(f"conv_block{number}", block)
        self.fc1 = nn.Linear(CHANNELS[-1], CHANNELS[-1])
        self.fc_audioset = nn.Linear(CHANNELS[-1], NUM_CLASSES)
        bank = mel_bank(
            sample_rate=self.sample_rate, n_fft=N_FFT, n_mels=N_MELS, f_min=50, f_max=14000,
            scale="slaney",
        )  # fmt: skip
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Decibels of mel power: `(batch, time)` -> `(batch, window, 1001, 64)`."""
        cut = windows(waveform, WINDOW_SECONDS * self.sample_rate)
        mel = power_spectrum(cut, self.window, N_FFT, HOP_LENGTH, pad="reflect") @ self.bank
        return 10 * mel.clamp(min=POWER_FLOOR).log10()

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        x = self.bn0(patches.mT[..., None]).permute(0, 3, 2, 1)  # a norm for each mel band
        for number in range(1, len(CHANNELS) + 1):
            x = self.get_submodule(f"conv_block{number}")(x)
        over_mel = x.mean(3)
        pooled = over_mel.amax(2) + over_mel.mean(2)
        embedding = F.relu(self.fc1(pooled))
        logits = self.fc_audioset(embedding)
        return {"embedding": embedding, "logits": logits, "tags": logits.sigmoid()}


def without_front_end(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state without the layers that stand for its front end."""
    return {k: v for k, v in state.items() if not k.startswith(FRONT_END_PREFIXES)}


@pretrained(
    Pretrained(
        name="panns-cnn14",
        files=(PANNS_CNN14, AUDIOSET_CLASSES),
        licence=PannsCnn14.licence,
        source=PannsCnn14.source,
        num_parameters=80_753_615,
        sample_rate=PannsCnn14.sample_rate,
        embedding_size=2048,
        front_end="64 Slaney mels 50-14000 Hz of power, FFT 1024 / 320, 10 log10, 10 s windows",
        heard="AudioSet: 2 million clips of YouTube videos",
        tags="527 AudioSet classes",
    ),
    skeleton=PannsCnn14,
)
def build_panns(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> PannsCnn14:
    """Cnn14 with the published weights (mAP 0.431)."""
    path = require(PANNS_CNN14, weights_dir, offline=offline)
    names = read_class_names(require(AUDIOSET_CLASSES, weights_dir, offline=offline))
    network = PannsCnn14(layers, names)
    load_exactly(network, without_front_end(read_state(path, PANNS_CNN14)), network.name)
    return network.eval()
