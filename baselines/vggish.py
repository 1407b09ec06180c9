"""VGGish: six convolutions and three dense layers on log-mel patches, trained on AudioSet.

Source: tensorflow/models, `research/audioset/vggish`; PyTorch weights harritaylor/torchvggish
(Hershey et al., "CNN architectures for large-scale audio classification", 2017). The published
post-processing (PCA and 8-bit values, for YouTube-8M) is left out: heads learn from the raw layer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.base import Backbone, at_least, power_spectrum
from baselines.catalogue import Pretrained, pretrained
from baselines.files import VGGISH
from baselines.mel import mel_bank
from baselines.weights import load_exactly, read_state, require

FRAME, HOP_LENGTH, N_FFT, N_MELS = 400, 160, 512, 64
PATCH_FRAMES = 96
CHANNELS = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M")


class Vggish(Backbone):
    """Whole patches of 0.96 s, the rest dropped. Modules have the published names.

    Layers: "embedding", the last of 128 values after its ReLU, and "fc2", 4096 values before it.
    """

    name = "vggish"
    sample_rate = 16000
    licence = VGGISH.licence
    source = VGGISH.source
    layer_sizes: ClassVar = {"embedding": 128, "fc2": 4096}
    default_layers = ("embedding",)

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__(layers)
        convolutions: list[nn.Module] = []
        channels = 1
        for step in CHANNELS:
            if step == "M":
                convolutions.append(nn.MaxPool2d(2))
            else:
                convolutions += [nn.Conv2d(channels, int(step), 3, padding=1), nn.ReLU()]
                channels = int(step)
        self.features = nn.Sequential(*convolutions)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(),
            nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, 128), nn.ReLU(),
        )  # fmt: skip
        bank = mel_bank(
            sample_rate=self.sample_rate, n_fft=N_FFT, n_mels=N_MELS, f_min=125, f_max=7500,
            scale="htk", area_norm=False, triangles_in="mel",
        )  # fmt: skip
        bank[0] = 0
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(FRAME), persistent=False)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of mel magnitudes: `(batch, time)` -> `(batch, patch, 96, 64)`."""
        waveform = at_least(waveform, (PATCH_FRAMES - 1) * HOP_LENGTH + FRAME)
        magnitude = power_spectrum(waveform, self.window, N_FFT, HOP_LENGTH).sqrt()
        log_mel = torch.log(magnitude @ self.bank + 0.01)
        return log_mel.unfold(1, PATCH_FRAMES, PATCH_FRAMES).mT

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        maps = self.features(patches[:, None])  # (patch, 512, 6, 4)
        # The weights come from TensorFlow, where channels stand last.
        flat = maps.permute(0, 2, 3, 1).flatten(1)
        second = self.embeddings[:4](flat)
        return {"fc2": second, "embedding": self.embeddings[4:](second)}


@pretrained(
    Pretrained(
        name="vggish",
        files=(VGGISH,),
        licence=Vggish.licence,
        source=Vggish.source,
        num_parameters=72_141_184,
        sample_rate=Vggish.sample_rate,
        embedding_size=128,
        front_end="64 HTK mels 125-7500 Hz of magnitude, 25 / 10 ms, ln(x + 0.01), 0.96 s patches",
        heard="YouTube videos (a preliminary version of YouTube-8M)",
    ),
    skeleton=Vggish,
)
def build_vggish(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> Vggish:
    """VGGish with the published PyTorch weights."""
    network = Vggish(layers)
    state = read_state(require(VGGISH, weights_dir, offline=offline), VGGISH)
    load_exactly(network, state, "vggish")
    return network.eval()
