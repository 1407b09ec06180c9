"""The musicnn taggers of Pons and Serra, trained on the Million Song Dataset or MagnaTagATune.

Source: Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio
tagging", 2019; jordipons/musicnn, `musicnn/models.py`. Two slips of that package are not repeated:
its front end overflows to infinity in half precision on loud music, and its extractor returns the
layers of the first patch for every patch.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, at_least, power_spectrum
from baselines.catalogue import Pretrained, pretrained
from baselines.files import MUSICNN
from baselines.mel import mel_bank
from baselines.musicnn_tags import MSD_TAGS, MTT_TAGS
from baselines.tensorflow_checkpoint import read_checkpoint
from baselines.weights import load_exactly, require_all

FRAMES = 187  # of a patch, 3 seconds
N_FFT, HOP_LENGTH, N_MELS = 512, 256, 96
BATCH_NORM_EPS = 1e-3  # TensorFlow's default


class _Musicnn(Backbone):
    """What the two networks have in common: front end, tags, licence."""

    sample_rate = 16000
    patches_at_once = 2
    licence = "ISC"
    source = "https://github.com/jordipons/musicnn (PyPI musicnn 0.1.0)"

    def __init__(self, *, data_set: str, name: str, layers: Sequence[str] | None = None) -> None:
        self.name = name
        super().__init__(layers)
        self.tag_names = {"MSD": MSD_TAGS, "MTT": MTT_TAGS}[data_set]
        bank = mel_bank(
            sample_rate=self.sample_rate, n_fft=N_FFT, n_mels=N_MELS, f_min=0, f_max=8000,
            scale="slaney",
        )  # fmt: skip
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """librosa's mel power, compressed: `(batch, time)` -> `(batch, frame, mel)`."""
        power = power_spectrum(waveform, self.window, N_FFT, HOP_LENGTH, pad="constant")
        return torch.log10(10000 * (power @ self.bank) + 1)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Whole patches of 3 seconds, the rest dropped: `(batch, patch, 187, 96)`."""
        log_mel = self.log_mel(at_least(waveform, (FRAMES - 1) * HOP_LENGTH))
        count = log_mel.shape[1] // FRAMES
        return log_mel[:, : count * FRAMES].unflatten(1, (count, FRAMES))


class _ConvReluNorm(nn.Module):
    """Convolution, ReLU, then batch norm: in this order here."""

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int], padding=0):
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=padding)
        self.norm = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(self.convolution(x)))


class Musicnn(_Musicnn):
    """Tall filters for timbre, long ones for rhythm, three residual layers, pooling over time.

    Shape: patches `(patch, 187, 96)`, any number of frames.
    """

    layer_sizes: ClassVar = {"max_pool": 753, "mean_pool": 753, "penultimate": 200}
    default_layers = ("max_pool", "mean_pool", "penultimate")
    temporal_widths = (128, 64, 32)

    def __init__(self, *, data_set: str = "MSD", name: str = "musicnn-msd", layers=None) -> None:
        super().__init__(data_set=data_set, name=name, layers=layers)
        self.input_norm = nn.BatchNorm2d(1, eps=BATCH_NORM_EPS)
        self.timbral = nn.ModuleList(
            _ConvReluNorm(1, 204, (7, height))
            for height in (38, 67)  # 0.4 and 0.7 of the bands
        )
        self.temporal = nn.ModuleList(
            _ConvReluNorm(1, 51, (width, 1)) for width in self.temporal_widths
        )
        self.middle = nn.ModuleList(
            _ConvReluNorm(1, 64, (7, width)) for width in (2 * 204 + 3 * 51, 64, 64)
        )
        self.pool_norm = nn.BatchNorm1d(2 * 753, eps=BATCH_NORM_EPS)
        self.dense = nn.Linear(2 * 753, 200)
        self.dense_norm = nn.BatchNorm1d(200, eps=BATCH_NORM_EPS)
        self.output = nn.Linear(200, len(self.tag_names))

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        """All layers; besides `layer_sizes` those over time, `(patch, frame, channel)`."""
        x = self.input_norm(patches[:, None])
        timbral = torch.cat([layer(_pad_time(x, 7)).amax(3) for layer in self.timbral], dim=1)
        temporal = torch.cat(
            [
                layer(_pad_time(x, width)).amax(3)
                for layer, width in zip(self.temporal, self.temporal_widths, strict=True)
            ],
            dim=1,
        )
        first = torch.cat([timbral, temporal], dim=1).mT  # (patch, frame, 561)
        layers = []
        for number, layer in enumerate(self.middle):
            source = layers[-1] if layers else first
            made = layer(_pad_time(source[:, None], 7)).squeeze(3).mT
            layers.append(made + source if number else made)
        features = torch.cat([first, *layers], dim=2)  # (patch, frame, 753)
        max_pool, mean_pool = features.amax(1), features.mean(1)
        # TensorFlow flattens (channel, pooling), so the two poolings take turns.
        pooled = self.pool_norm(torch.stack([max_pool, mean_pool], dim=2).flatten(1))
        penultimate = self.dense_norm(F.relu(self.dense(pooled)))
        logits = self.output(penultimate)
        return {
            "timbral": timbral.mT, "temporal": temporal.mT,
            "cnn1": layers[0], "cnn2": layers[1], "cnn3": layers[2],
            "max_pool": max_pool, "mean_pool": mean_pool, "penultimate": penultimate,
            "logits": logits, "tags": logits.sigmoid(),
        }  # fmt: skip

    def tensorflow_names(self) -> dict[str, nn.Module]:
        """TensorFlow numbers its layers in the order in which they were made."""
        blocks = [*self.timbral, *self.temporal, *self.middle]
        norms = [self.input_norm, *(b.norm for b in blocks), self.pool_norm, self.dense_norm]
        return {
            **_numbered("conv2d", [block.convolution for block in blocks]),
            **_numbered("batch_normalization", norms),
            **_numbered("dense", [self.dense, self.output]),
        }


class MusicnnVgg(_Musicnn):
    """The same authors' plain stack of five 3x3 convolutions.

    Shape: patches `(patch, 187, 96)`.
    """

    layer_sizes: ClassVar = {"pool5": 256}
    default_layers = ("pool5",)
    pools = (((4, 1), 2), (2, 2), (2, 2), (2, 2), (4, 4))  # size and stride

    def __init__(
        self, *, data_set: str = "MSD", name: str = "musicnn-vgg-msd", layers=None
    ) -> None:
        super().__init__(data_set=data_set, name=name, layers=layers)
        self.input_norm = nn.BatchNorm2d(1, eps=BATCH_NORM_EPS)
        self.blocks = nn.ModuleList(
            _ConvReluNorm(channels, 128, (3, 3), padding=1) for channels in (1, 128, 128, 128, 128)
        )
        self.output = nn.Linear(256, len(self.tag_names))

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        """All layers; besides `layer_sizes` "pool1" to "pool4", `(patch, time, mel, channel)`."""
        found = {}
        x = self.input_norm(patches[:, None])
        for number, (block, (size, stride)) in enumerate(
            zip(self.blocks, self.pools, strict=True), start=1
        ):
            x = F.max_pool2d(block(x), size, stride)
            found[f"pool{number}"] = x.permute(0, 2, 3, 1)
        found["pool5"] = found["pool5"].flatten(1)
        found["logits"] = self.output(found["pool5"])
        return {**found, "tags": found["logits"].sigmoid()}

    def tensorflow_names(self) -> dict[str, nn.Module]:
        """Names of the layers in the published checkpoints."""
        norms = [self.input_norm, *(block.norm for block in self.blocks)]
        convolutions = {f"{i}CNN": b.convolution for i, b in enumerate(self.blocks, start=1)}
        return {**convolutions, **_numbered("batch_normalization", norms), "dense": self.output}


def _pad_time(x: Tensor, width: int) -> Tensor:
    """Zeros before and after; for an even width one more after, as TensorFlow's "same" has it."""
    return F.pad(x, (0, 0, (width - 1) // 2, width // 2))


def _numbered(kind: str, layers: Sequence[nn.Module]) -> dict[str, nn.Module]:
    return {f"{kind}_{i}" if i else kind: layer for i, layer in enumerate(layers)}


def state_from_tensorflow(
    network: Musicnn | MusicnnVgg, variables: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """The checkpoint's variables under our names and in PyTorch's order of axes."""
    ours = {
        "kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias",
        "moving_mean": "running_mean", "moving_variance": "running_var",
    }  # fmt: skip
    prefixes = {id(module): name for name, module in network.named_modules()}
    modules = network.tensorflow_names()
    state = {}
    for name, values in variables.items():
        layer, _, kind = name.rpartition("/")
        if layer not in modules:  # the optimiser's own
            continue
        if kind == "kernel":  # (height, width, in, out) or (in, out)
            values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T
        state[f"{prefixes[id(modules[layer])]}.{ours[kind]}"] = torch.tensor(
            np.ascontiguousarray(values)
        )
    counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
    return {**state, **counters}


def _load(
    network: Musicnn | MusicnnVgg, model: str, weights_dir: Path | None, offline: bool
) -> Backbone:
    index, data = require_all(MUSICNN[model], weights_dir, offline=offline)
    load_exactly(network, state_from_tensorflow(network, read_checkpoint(index, data)), model)
    return network.eval()


def _register(name: str, network: type, data_set: str, kind: str, parameters: int) -> None:
    model = f"{data_set}_{kind}"
    heard = {
        "MSD": "Million Song Dataset, 201,680 previews with last.fm tags",
        "MTT": "MagnaTagATune: clips of Magnatune's catalogue, from which Emotify's songs come too",
    }

    @pretrained(
        Pretrained(
            name=name,
            files=MUSICNN[model],
            licence=_Musicnn.licence,
            source=_Musicnn.source,
            num_parameters=parameters,
            sample_rate=_Musicnn.sample_rate,
            embedding_size=sum(network.layer_sizes.values()),
            front_end="96 Slaney mels of power, FFT 512 / 256, log10(10000 x + 1), 3 s patches",
            heard=heard[data_set],
            tags="50 tags",
        ),
        skeleton=functools.partial(network, data_set=data_set, name=name),
    )
    def build(weights_dir: Path | None = None, *, offline: bool = False, layers=None) -> Backbone:
        made = network(data_set=data_set, name=name, layers=layers)
        return _load(made, model, weights_dir, offline)


_register("musicnn-msd", Musicnn, "MSD", "musicnn", 787_159)
_register("musicnn-mtt", Musicnn, "MTT", "musicnn", 787_159)
_register("musicnn-vgg-msd", MusicnnVgg, "MSD", "vgg", 605_748)
_register("musicnn-vgg-mtt", MusicnnVgg, "MTT", "vgg", 605_748)
