"""The MTG-Jamendo mood and theme tagger: five convolutions on a log-mel of 29.1 s, 56 tags.

Source: MTG/mtg-jamendo-dataset, `scripts/baseline/model.py` and `scripts/melspectrograms.py`
(Bogdanov et al., "The MTG-Jamendo dataset for automatic music tagging", 2019). The weights fit
decibels of power, 10·log10: the mean and variance in their first batch norm are those of such
spectrograms. The repository's script writes 20·log10 of power (its issue 51), twice as much.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, power_spectrum, windows
from baselines.catalogue import Pretrained, pretrained
from baselines.files import JAMENDO
from baselines.mel import mel_bank
from baselines.pruning import convolved
from baselines.weights import load_exactly, read_state, require

N_FFT, HOP_LENGTH, N_MELS = 512, 256, 96
FRAMES = 1366
NUM_SAMPLES = 349200  # 29.1 s
POWER_FLOOR = 1e-10
TAGS = (
    "action", "adventure", "advertising", "background", "ballad", "calm", "children", "christmas",
    "commercial", "cool", "corporate", "dark", "deep", "documentary", "drama", "dramatic", "dream",
    "emotional", "energetic", "epic", "fast", "film", "fun", "funny", "game", "groovy", "happy",
    "heavy", "holiday", "hopeful", "inspiring", "love", "meditative", "melancholic", "melodic",
    "motivational", "movie", "nature", "party", "positive", "powerful", "relaxing", "retro",
    "romantic", "sad", "sexy", "slow", "soft", "soundscape", "space", "sport", "summer",
    "trailer", "travel", "upbeat", "uplifting",
)  # fmt: skip


class JamendoVgg(Backbone):
    """As few windows of 29.1 s as cover the song; one that fits lies in its middle.

    Modules have the published names.

    Args:
        decibels: factor of log10(power): 10 as the weights want it, or 20 as the script writes.
    """

    name = "jamendo-vgg"
    sample_rate = 12000
    licence = JAMENDO.licence
    source = JAMENDO.source
    layer_sizes: ClassVar = {"embedding": 64}
    mel_axis = -2
    default_layers = ("embedding",)
    tag_names = TAGS
    patches_at_once = 1
    pools = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))

    def __init__(self, layers: Sequence[str] | None = None, *, decibels: float = 10.0) -> None:
        super().__init__(layers)
        self.decibels = decibels
        self.bn_init = nn.BatchNorm2d(1)
        channels = (1, 64, 128, 128, 128, 64)
        for i in range(1, 6):
            convolution = nn.Conv2d(channels[i - 1], channels[i], 3, padding=1)
            self.add_module(f"conv_{i}", convolution)
            self.add_module(f"bn_{i}", nn.BatchNorm2d(channels[i]))
        self.dense = nn.Linear(64, len(TAGS))
        self.to(memory_format=torch.channels_last)
        bank = mel_bank(
            sample_rate=self.sample_rate, n_fft=N_FFT, n_mels=N_MELS, f_min=0, f_max=6000,
            scale="slaney",
        )  # fmt: skip
        self.register_buffer("bank", bank, persistent=False)
        # Essentia's Hann window is symmetric.
        self.register_buffer("window", torch.hann_window(N_FFT, periodic=False), persistent=False)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """`(..., 349200)` -> `(..., 96, 1366)`, dB; the first frame is centred on sample 0."""
        padded = F.pad(waveform, (N_FFT // 2, N_FFT))
        power = power_spectrum(padded, self.window, N_FFT, HOP_LENGTH)[..., :FRAMES, :]
        mel = (power @ self.bank).clamp(min=POWER_FLOOR)
        return self.decibels * mel.log10().mT

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` -> `(batch, window, 96, 1366)`."""
        time = waveform.shape[1]
        if NUM_SAMPLES < time < 1.5 * NUM_SAMPLES:
            start = (time - NUM_SAMPLES) // 2
            waveform = waveform[:, start : start + NUM_SAMPLES]
        return self.log_mel(windows(waveform, NUM_SAMPLES))

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        x = self.bn_init(patches[:, None])
        for i, pool in enumerate(self.pools, start=1):
            x = convolved(x, self.get_submodule(f"conv_{i}"), self.get_submodule(f"bn_{i}"))
            x = F.elu(F.max_pool2d(x, pool))  # ELU keeps the order: its maximum is the maximum's
        embedding = x.flatten(1)
        logits = self.dense(embedding)
        return {"embedding": embedding, "logits": logits, "tags": logits.sigmoid()}


@pretrained(
    Pretrained(
        name="jamendo-vgg",
        files=(JAMENDO,),
        licence=JamendoVgg.licence,
        source=JamendoVgg.source,
        num_parameters=448_122,
        sample_rate=JamendoVgg.sample_rate,
        embedding_size=64,
        front_end="96 Slaney mels of power at 12 kHz, FFT 512 / 256, 10 log10, 29.1 s windows",
        heard="MTG-Jamendo: 18,486 songs of Jamendo with mood and theme tags",
        tags="56 moods and themes",
    ),
    skeleton=JamendoVgg,
)
def build_jamendo(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> JamendoVgg:
    """The published best model."""
    network = JamendoVgg(layers)
    path = require(JAMENDO, weights_dir, offline=offline)
    load_exactly(network, read_state(path, JAMENDO), network.name)
    return network.eval()
