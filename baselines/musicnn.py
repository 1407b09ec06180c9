"""The musicnn taggers of Pons and Serra, trained on the Million Song Dataset or MagnaTagATune.

Source: Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio
tagging", 2019; jordipons/musicnn, `musicnn/models.py`. Two slips of that package are not repeated:
its front end overflows to infinity in half precision on loud music, and its extractor returns the
layers of the first patch for every patch.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, at_least, power_spectrum
from baselines.catalogue import Pretrained, pretrained
from baselines.files import MUSICNN
from baselines.mel import mel_bank
from baselines.musicnn_tags import MSD_TAGS, MTT_TAGS
from baselines.pruning import (
    Channels,
    ConvolutionPeakNorm,
    Norm,
    Spread,
    multiply_add,
    norm_state,
    prune,
)
from baselines.tensorflow_checkpoint import read_checkpoint
from baselines.weights import require_all

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

    @classmethod
    def tensorflow_names(cls) -> dict[str, str]:
        """Our layers by the names of the published checkpoints."""
        raise NotImplementedError(f"{cls.__name__} has no tensorflow_names()")

    @classmethod
    def pruned(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state of this network from that of the whole published one."""
        raise NotImplementedError(f"{cls.__name__} has no pruned()")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Also takes the published network's state, which has the statistics of batch norm."""
        if f"{prefix}input_norm.running_mean" in state_dict:
            own = [name for name in state_dict if name.startswith(prefix)]
            whole = {name.removeprefix(prefix): state_dict.pop(name) for name in own}
            state_dict |= {prefix + name: value for name, value in self.pruned(whole).items()}
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Musicnn(_Musicnn):
    """Tall filters for timbre, long ones for rhythm, three residual layers, pooling over time.

    Without its dead filters; the layers have their published sizes. A state of the whole published
    network is pruned as it is loaded.

    Shape: patches `(patch, 187, 96)`, any number of frames.
    """

    layer_sizes: ClassVar = {"max_pool": 753, "mean_pool": 753, "penultimate": 200}
    default_layers = ("max_pool", "mean_pool", "penultimate")
    front = ("timbral.0", "timbral.1", "temporal.0", "temporal.1", "temporal.2")
    middle_layers = ("middle.0", "middle.1", "middle.2")

    def __init__(self, *, data_set: str = "MSD", name: str = "musicnn-msd", layers=None) -> None:
        super().__init__(data_set=data_set, name=name, layers=layers)
        self.input_norm = Norm(1)
        self.timbral = nn.ModuleList(
            # 0.4 and 0.7 of the bands
            ConvolutionPeakNorm(1, 204, (height, 7), padding=_same(7), peak=_loudest_band)
            for height in (38, 67)
        )
        self.temporal = nn.ModuleList(
            ConvolutionPeakNorm(1, 51, (1, width), padding=_same(width), peak=_loudest_band)
            for width in (128, 64, 32)
        )
        self.spread = Spread(2 * 204 + 3 * 51)
        self.middle = nn.ModuleList(
            ConvolutionPeakNorm(channels, 64, (1, 7), padding=_same(7))
            for channels in (561, 64, 64)
        )
        self.dense = nn.Linear(2 * 753, 200)
        self.dense_norm = Norm(200)
        self.output = nn.Linear(200, len(self.tag_names))

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        x = self.input_norm(patches[..., None]).squeeze(-1).mT[:, None].contiguous()
        front = torch.cat([layer(x) for layer in (*self.timbral, *self.temporal)], dim=1)
        first, second, third = self.middle
        layers = [first(front)]  # (patch, 64, 1, frame)
        layers.append(second(layers[-1]) + layers[-1])
        layers.append(third(layers[-1]) + layers[-1])
        max_pool, mean_pool = (
            torch.cat([self.spread(pool(front)), *map(pool, layers)], dim=1)
            for pool in (lambda x: x.amax((2, 3)), lambda x: x.mean((2, 3)))
        )
        # TensorFlow flattens (channel, pooling), so the two poolings take turns.
        pooled = torch.stack([max_pool, mean_pool], dim=2).flatten(1)
        penultimate = self.dense_norm(F.relu(self.dense(pooled)))
        logits = self.output(penultimate)
        return {
            "max_pool": max_pool, "mean_pool": mean_pool, "penultimate": penultimate,
            "logits": logits, "tags": logits.sigmoid(),
        }  # fmt: skip

    @classmethod
    def tensorflow_names(cls) -> dict[str, str]:
        """Our layers by TensorFlow's names, numbered in the order in which they were made."""
        blocks = (*cls.front, *cls.middle_layers)
        norms = ["input_norm", *(f"{block}.norm" for block in blocks), "pool_norm", "dense_norm"]
        return {
            **_numbered("conv2d", [f"{block}.convolution" for block in blocks]),
            **_numbered("batch_normalization", norms),
            **_numbered("dense", ["dense", "output"]),
        }

    @classmethod
    def pruned(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        state, made, front = dict(state), norm_state(state, "input_norm", BATCH_NORM_EPS), []
        for block in cls.front:
            state[f"{block}.convolution.weight"] = state[f"{block}.convolution.weight"].mT
            tensors, channels = prune(state, block, BATCH_NORM_EPS)
            made |= tensors
            front.append(channels)
        inputs = Channels(*map(torch.cat, zip(*front, strict=True)))
        made |= {f"spread.{name}": value for name, value in inputs.spread.items()}
        for number, block in enumerate(cls.middle_layers):
            kernel = state[f"{block}.convolution.weight"]  # (64, 1, 7, channel)
            state[f"{block}.convolution.weight"] = kernel.permute(0, 3, 1, 2)
            source = None if number else inputs
            made |= prune(state, block, BATCH_NORM_EPS, source, keep_all=True)[0]
        scale, shift = multiply_add(state, "pool_norm", BATCH_NORM_EPS)
        dense = state["dense.weight"].double()
        made["dense.weight"] = (dense * scale).float()
        made["dense.bias"] = (state["dense.bias"] + dense @ shift).float()
        return {
            **made, **norm_state(state, "dense_norm", BATCH_NORM_EPS),
            "output.weight": state["output.weight"], "output.bias": state["output.bias"],
        }  # fmt: skip


class MusicnnVgg(_Musicnn):
    """The same authors' plain stack of five 3x3 convolutions, without its dead filters.

    Shape: patches `(patch, 187, 96)`.
    """

    layer_sizes: ClassVar = {"pool5": 256}
    default_layers = ("pool5",)
    pools = (((4, 1), 2), (2, 2), (2, 2), (2, 2), (4, 4))  # size and stride
    stack = ("blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4")

    def __init__(
        self, *, data_set: str = "MSD", name: str = "musicnn-vgg-msd", layers=None
    ) -> None:
        super().__init__(data_set=data_set, name=name, layers=layers)
        self.input_norm = Norm(1)
        self.blocks = nn.ModuleList(
            ConvolutionPeakNorm(
                channels, 128, (3, 3), padding=(1, 1, 1, 1),
                peak=functools.partial(F.max_pool2d, kernel_size=size, stride=stride),
            )
            for channels, (size, stride) in zip((1, 128, 128, 128, 128), self.pools, strict=True)
        )  # fmt: skip
        self.spread = Spread(128)
        self.output = nn.Linear(256, len(self.tag_names))

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        x = self.input_norm(patches[..., None]).squeeze(-1)[:, None]
        for block in self.blocks:
            x = block(x)
        pool5 = self.spread(x).permute(0, 2, 3, 1).flatten(1)
        logits = self.output(pool5)
        return {"pool5": pool5, "logits": logits, "tags": logits.sigmoid()}

    @classmethod
    def tensorflow_names(cls) -> dict[str, str]:
        """Our layers by the names of the published checkpoints."""
        norms = ["input_norm", *(f"{block}.norm" for block in cls.stack)]
        convolutions = {f"{i}CNN": f"{b}.convolution" for i, b in enumerate(cls.stack, start=1)}
        return {**convolutions, **_numbered("batch_normalization", norms), "dense": "output"}

    @classmethod
    def pruned(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        made, channels = norm_state(state, "input_norm", BATCH_NORM_EPS), None
        for block in cls.stack:
            tensors, channels = prune(state, block, BATCH_NORM_EPS, channels)
            made |= tensors
        made |= {f"spread.{name}": value for name, value in channels.spread.items()}
        return made | {f"output.{kind}": state[f"output.{kind}"] for kind in ("weight", "bias")}


def _same(width: int) -> tuple[int, int]:
    """Zeros before and after; for an even width one more after, as TensorFlow's "same" has it."""
    return (width - 1) // 2, width // 2


def _loudest_band(x: Tensor) -> Tensor:
    return x.amax(2, keepdim=True)


def _numbered(kind: str, layers: Sequence[str]) -> dict[str, str]:
    return {f"{kind}_{i}" if i else kind: layer for i, layer in enumerate(layers)}


def state_from_tensorflow(
    network: type[_Musicnn], variables: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """The checkpoint's variables under our names and in PyTorch's order of axes."""
    ours = {
        "kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias",
        "moving_mean": "running_mean", "moving_variance": "running_var",
    }  # fmt: skip
    names = network.tensorflow_names()
    state = {}
    for name, values in variables.items():
        layer, _, kind = name.rpartition("/")
        if layer not in names:  # the optimiser's own
            continue
        if kind == "kernel":  # (height, width, in, out) or (in, out)
            values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T
        state[f"{names[layer]}.{ours[kind]}"] = torch.tensor(np.ascontiguousarray(values))
    return state


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
        index, data = require_all(MUSICNN[model], weights_dir, offline=offline)
        made = network(data_set=data_set, name=name, layers=layers)
        made.load_state_dict(state_from_tensorflow(network, read_checkpoint(index, data)))
        return made.eval()


_register("musicnn-msd", Musicnn, "MSD", "musicnn", 787_159)
_register("musicnn-mtt", Musicnn, "MTT", "musicnn", 787_159)
_register("musicnn-vgg-msd", MusicnnVgg, "MSD", "vgg", 605_748)
_register("musicnn-vgg-mtt", MusicnnVgg, "MTT", "vgg", 605_748)
