"""EfficientAT's mn10: MobileNet-v3 on a log-mel of ten seconds, 527 sound classes of AudioSet.

Source: fschmid56/EfficientAT, `models/mn/model.py`, `models/mn/block_types.py` and
`models/preprocess.py` (Schmid et al., "Efficient large-scale audio tagging via transformer-to-CNN
knowledge distillation", 2023).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, power_spectrum, windows
from baselines.catalogue import Pretrained, pretrained
from baselines.files import AUDIOSET_CLASSES, EFFICIENTAT_MN10
from baselines.weights import load_exactly, read_state, require
from baselines.yamnet import read_class_names

N_FFT, FRAME, HOP_LENGTH, N_MELS = 1024, 800, 320, 128
F_MIN, F_MAX = 0.0, 15000.0
PREEMPHASIS = 0.97
NUM_CLASSES = 527
WINDOW_SECONDS = 10
# Kernel, expanded and output channels, squeeze-and-excitation, hard swish, stride of each block.
BLOCKS = (
    (3, 16, 16, False, False, 1), (3, 64, 24, False, False, 2), (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2), (5, 120, 40, True, False, 1), (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2), (3, 200, 80, False, True, 1), (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1), (3, 480, 112, True, True, 1), (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2), (5, 960, 160, True, True, 1), (5, 960, 160, True, True, 1),
)  # fmt: skip


def _conv_norm(in_channels, out_channels, kernel, stride=1, groups=1, activation=None):
    norm = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
    padding = kernel // 2
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False
    )
    return nn.Sequential(convolution, norm, *([activation()] if activation else []))


class _Excitation(nn.Module):
    """Squeeze and excitation over channels, with a plain sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _divisible(channels // 4)
        layer = nn.Module()
        layer.fc1 = nn.Linear(channels, squeezed)
        layer.fc2 = nn.Linear(squeezed, channels)
        # A list of one, as the published network could also excite bands and frames.
        self.conc_se_layers = nn.ModuleList([layer])

    def forward(self, x: Tensor) -> Tensor:
        layer = self.conc_se_layers[0]
        scale = layer.fc2(F.relu(layer.fc1(x.mean((2, 3))))).sigmoid()
        return x * scale[:, :, None, None]


class _Block(nn.Module):
    """Expansion, depthwise convolution, perhaps excitation, projection; shortcut where it fits."""

    def __init__(self, in_channels, kernel, expanded, out_channels, excited, hard, stride) -> None:
        super().__init__()
        activation = partial(nn.Hardswish) if hard else partial(nn.ReLU)
        layers = []
        if expanded != in_channels:
            layers.append(_conv_norm(in_channels, expanded, 1, activation=activation))
        layers.append(_conv_norm(expanded, expanded, kernel, stride, expanded, activation))
        if excited:
            layers.append(_Excitation(expanded))
        layers.append(_conv_norm(expanded, out_channels, 1))
        self.block = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x if self.has_shortcut else self.block(x)


class EfficientAt(Backbone):
    """As few windows of 10 s as cover the song. Modules have the published names."""

    name = "efficientat-mn10"
    sample_rate = 32000
    licence = EFFICIENTAT_MN10.licence
    source = EFFICIENTAT_MN10.source
    layer_sizes: ClassVar = {"embedding": 960}
    mel_axis = -2
    default_layers = ("embedding",)
    patches_at_once = 8

    def __init__(
        self, layers: Sequence[str] | None = None, tag_names: Sequence[str] | None = None
    ) -> None:
        super().__init__(layers)
        self.tag_names = tuple(tag_names or (f"class {i}" for i in range(NUM_CLASSES)))
        features: list[nn.Module] = [_conv_norm(1, 16, 3, 2, activation=nn.Hardswish)]
        channels = 16
        for kernel, expanded, out_channels, excited, hard, stride in BLOCKS:
            features.append(_Block(channels, kernel, expanded, out_channels, excited, hard, stride))
            channels = out_channels
        features.append(_conv_norm(channels, 960, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(960, 1280), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1280, NUM_CLASSES),
        )  # fmt: skip
        self.register_buffer("bank", kaldi_mel_bank(), persistent=False)
        # As torch.stft pads it: in the middle of a frame as long as the transform.
        side = (N_FFT - FRAME) // 2
        window = F.pad(torch.hann_window(FRAME, periodic=False), (side, side))
        self.register_buffer("window", window, persistent=False)

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` -> `(batch, window, 128, 1000)`."""
        cut = windows(waveform, WINDOW_SECONDS * self.sample_rate)
        emphasised = cut[..., 1:] - PREEMPHASIS * cut[..., :-1]
        power = power_spectrum(emphasised, self.window, N_FFT, HOP_LENGTH, pad="reflect")
        return ((power @ self.bank + 1e-5).log().mT + 4.5) / 5

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        maps = self.features(patches[:, None])
        logits = self.classifier(maps)
        return {"embedding": maps.mean((2, 3)), "logits": logits, "tags": logits.sigmoid()}


def kaldi_mel_bank() -> Tensor:
    """Kaldi's triangles, straight in mel, without the bin at half the sample rate; `(513, 128)`."""
    from torchaudio.compliance.kaldi import get_mel_banks

    bank, _ = get_mel_banks(
        N_MELS, N_FFT, EfficientAt.sample_rate, F_MIN, F_MAX, 100.0, -500.0, 1.0
    )
    return F.pad(bank, (0, 1)).T.contiguous()


def _divisible(channels: int, by: int = 8) -> int:
    """MobileNet's rounding of channel counts: to the nearest multiple, not more than 10 % down."""
    rounded = max(by, (channels + by // 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


@pretrained(
    Pretrained(
        name="efficientat-mn10",
        files=(EFFICIENTAT_MN10, AUDIOSET_CLASSES),
        licence=EfficientAt.licence,
        source=EfficientAt.source,
        num_parameters=4_876_831,
        sample_rate=EfficientAt.sample_rate,
        embedding_size=960,
        front_end="pre-emphasis, 128 Kaldi mels 0-15000 Hz of power, 25 / 10 ms, ln, 10 s windows",
        heard="ImageNet, then AudioSet: 2 million clips of YouTube videos",
        tags="527 AudioSet classes",
    ),
    skeleton=EfficientAt,
)
def build_efficientat(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> EfficientAt:
    """mn10 with the published AudioSet weights (mAP 0.471)."""
    path = require(EFFICIENTAT_MN10, weights_dir, offline=offline)
    names = read_class_names(require(AUDIOSET_CLASSES, weights_dir, offline=offline))
    network = EfficientAt(layers, names)
    load_exactly(network, read_state(path, EFFICIENTAT_MN10), network.name)
    return network.eval()
