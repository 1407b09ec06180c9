"""YAMNet: MobileNet-v1 on log-mel patches, 521 sound classes of AudioSet.

Source: tensorflow/models, `research/audioset/yamnet` (features.py, yamnet.py); Howard et al.,
"MobileNets", 2017. The weights are in Keras' HDF5 format.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Backbone, power_spectrum
from baselines.catalogue import Pretrained, pretrained
from baselines.files import YAMNET, YAMNET_CLASSES, YAMNET_INT8
from baselines.mel import mel_bank
from baselines.pruning import convolved
from baselines.weights import WeightsError, find, load_exactly, require
from melodai.errors import DependencyError

FRAME, HOP_LENGTH, N_FFT, N_MELS = 400, 160, 512, 64
PATCH_FRAMES, PATCH_HOP = 96, 48
# Samples under the 96 frames of the first patch, and those that each further patch adds.
PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP_LENGTH + FRAME
PATCH_HOP_SAMPLES = PATCH_HOP * HOP_LENGTH
NUM_CLASSES = 521
BATCH_NORM_EPS = 1e-4
# Stride and output channels of the separable layers 2 to 14.
LAYERS = (
    (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512),
    (1, 512), (1, 512), (2, 1024), (1, 1024),
)  # fmt: skip


class _ConvNorm(nn.Module):
    """3x3 or 1x1 convolution with TensorFlow's "same" padding, batch norm without scale, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride=1, groups=1):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = kernel // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS)
        self.norm.register_parameter("weight", None)  # the published network has no scale

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = pad_same(x, self.kernel, self.stride)
        return convolved(x, self.convolution, self.norm).relu_()


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's "same" padding, `(..., height, width)`: an odd zero goes to the end."""
    amounts = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        amounts += [total // 2, total - total // 2]
    return F.pad(x, amounts)


class Yamnet(Backbone):
    """Patches of 0.96 s every 0.48 s. The end is padded with zeros to whole patches.

    Args:
        layers: only "embedding", the mean over the last feature map.
        tag_names: the 521 names; numbers if None.
    """

    name = "yamnet"
    sample_rate = 16000
    licence = YAMNET.licence
    source = YAMNET.source
    layer_sizes: ClassVar = {"embedding": 1024}
    default_layers = ("embedding",)

    def __init__(
        self, layers: Sequence[str] | None = None, tag_names: Sequence[str] | None = None
    ) -> None:
        super().__init__(layers)
        self.tag_names = tuple(tag_names or (f"class {i}" for i in range(NUM_CLASSES)))
        self.stem = _ConvNorm(1, 32, 3, stride=2)
        self.blocks = nn.ModuleList()
        channels = 32
        for stride, out_channels in LAYERS:
            depthwise = _ConvNorm(channels, channels, 3, stride, groups=channels)
            self.blocks.append(nn.Sequential(depthwise, _ConvNorm(channels, out_channels, 1)))
            channels = out_channels
        self.output = nn.Linear(channels, NUM_CLASSES)
        self.to(memory_format=torch.channels_last)
        bank = mel_bank(
            sample_rate=self.sample_rate, n_fft=N_FFT, n_mels=N_MELS, f_min=125, f_max=7500,
            scale="htk", area_norm=False, triangles_in="mel",
        )  # fmt: skip
        bank[0] = 0
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(FRAME), persistent=False)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Natural logarithm of mel magnitudes, not power: `(..., time)` -> `(..., frame, 64)`."""
        magnitude = power_spectrum(waveform, self.window, N_FFT, HOP_LENGTH).sqrt()
        return torch.log(magnitude @ self.bank + 0.001)

    def front_end(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` -> `(batch, patch, 96, 64)`."""
        beyond = max(0, waveform.shape[1] - PATCH_SAMPLES)
        # Not -(-beyond // hop): ONNX divides towards zero.
        num_hops = (beyond + PATCH_HOP_SAMPLES - 1) // PATCH_HOP_SAMPLES
        whole = PATCH_SAMPLES + num_hops * PATCH_HOP_SAMPLES
        log_mel = self.log_mel(F.pad(waveform, (0, whole - waveform.shape[1])))
        return log_mel.unfold(1, PATCH_FRAMES, PATCH_HOP).mT

    def activations(self, patches: Tensor) -> dict[str, Tensor]:
        x = self.stem(patches[:, None]).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x)
        embedding = x.mean((2, 3))
        logits = self.output(embedding)
        return {"embedding": embedding, "logits": logits, "tags": logits.sigmoid()}

    def keras_names(self) -> dict[str, _ConvNorm]:
        """The published layer names."""
        names = {"layer1/conv": self.stem}
        for number, block in enumerate(self.blocks, start=2):
            names[f"layer{number}/depthwise_conv"] = block[0]
            names[f"layer{number}/pointwise_conv"] = block[1]
        return names


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Values of a Keras HDF5 file, by the last names they have: "layer1/conv/kernel".

    Raises:
        DependencyError: h5py is not installed.
        WeightsError: not such a file.
    """
    try:
        import h5py
    except ImportError as error:
        raise DependencyError("h5py is needed: pip install 'melodai[baselines]'") from error
    values: dict[str, np.ndarray] = {}

    def take(name: str, item: object) -> None:
        # Each layer's group repeats its name: "dense/dense/kernel:0".
        if isinstance(item, h5py.Dataset):
            parts = name.removesuffix(":0").split("/")
            values["/".join(parts[len(parts) // 2 :])] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(take)
    except OSError as error:
        raise WeightsError(f"{path} is not an HDF5 file: {error}") from error
    return values


def state_from_keras(network: Yamnet, values: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The file's values under our names and in PyTorch's order of axes."""
    prefixes = {id(module): name for name, module in network.named_modules()}
    state = {
        name: value
        for name, value in network.state_dict().items()
        if name.endswith("num_batches_tracked")
    }

    def put(name: str, source: str, *axes: int) -> None:
        if source not in values:
            raise WeightsError(f"yamnet's weights lack {source}")
        state[name] = torch.tensor(np.ascontiguousarray(values[source].transpose(*axes)))

    for keras, module in network.keras_names().items():
        own = prefixes[id(module)]
        if keras.endswith("depthwise_conv"):  # (height, width, channel, 1)
            put(f"{own}.convolution.weight", f"{keras}/depthwise_kernel", 2, 3, 0, 1)
        else:  # (height, width, in, out)
            put(f"{own}.convolution.weight", f"{keras}/kernel", 3, 2, 0, 1)
        put(f"{own}.norm.bias", f"{keras}/bn/beta")
        put(f"{own}.norm.running_mean", f"{keras}/bn/moving_mean")
        put(f"{own}.norm.running_var", f"{keras}/bn/moving_variance")
    put("output.weight", "dense/kernel", 1, 0)
    put("output.bias", "dense/bias")
    return state


def read_class_names(path: Path) -> tuple[str, ...]:
    """The column `display_name` of an AudioSet class list."""
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(row["display_name"] for row in csv.DictReader(stream))


@pretrained(
    Pretrained(
        name="yamnet",
        files=(YAMNET, YAMNET_CLASSES),
        licence=Yamnet.licence,
        source=Yamnet.source,
        num_parameters=3_729_481,
        sample_rate=Yamnet.sample_rate,
        embedding_size=1024,
        front_end="64 HTK mels 125-7500 Hz of magnitude, 25 / 10 ms, ln(x + 0.001), 0.96 s patches",
        heard="AudioSet: 2 million clips of YouTube videos",
        tags="521 AudioSet classes",
    ),
    skeleton=Yamnet,
)
def build_yamnet(
    weights_dir: Path | None = None, *, offline: bool = False, layers: Sequence[str] | None = None
) -> Yamnet:
    """YAMNet with the official weights, or with 8-bit ones if only those are on this machine."""
    file, path = YAMNET, find(YAMNET, weights_dir)
    if path is None and (path := find(YAMNET_INT8, weights_dir)) is not None:
        file = YAMNET_INT8
    path = path or require(YAMNET, weights_dir, offline=offline)
    names = read_class_names(require(YAMNET_CLASSES, weights_dir, offline=offline))
    network = Yamnet(layers, names)
    load_exactly(network, state_from_keras(network, read_keras(path)), "yamnet")
    if file is YAMNET_INT8:
        network.weights_note = (
            "8-bit values of YAMNet's weights: embeddings about 4 % off, scores up to 0.04; not "
            "results of the official YAMNet"
        )
    return network.eval()
