"""Classifiers of photographs of torchvision on log-mel pictures, `torchvision:<name>`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from baselines.catalogue import Pretrained, pretrained
from baselines.pictures import FRONT_END, PictureBackbone, average
from baselines.weights import WeightFile, load_exactly, read_state, require
from melodai.config import FrontEndConfig
from melodai.errors import SettingError


def _check_known(variant: str) -> None:
    import torchvision

    if variant not in torchvision.models.list_models(module=torchvision.models):
        known = ", ".join(torchvision.models.list_models(module=torchvision.models)[:5])
        raise SettingError(f"torchvision has no classifier {variant!r}; it has {known}, …")


def torchvision_skeleton(variant: str, **options: Any) -> PictureBackbone:
    """The backbone without its weights."""
    _check_known(variant)
    return torchvision_backbone(variant, None, **options)


@pretrained(
    Pretrained(
        name="torchvision:",
        licence="BSD-3-Clause (code); weights of networks trained on ImageNet",
        source="https://download.pytorch.org/models",
        front_end=FRONT_END,
        heard="photographs (ImageNet)",
    ),
    skeleton=torchvision_skeleton,
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

    _check_known(variant)
    file = torchvision_file(torchvision.models.get_model_weights(variant).DEFAULT.url)
    state = read_state(require(file, weights_dir, offline=offline), file)
    return torchvision_backbone(variant, state, frontend=frontend, layers=layers)


def torchvision_backbone(
    variant: str,
    state: Mapping[str, Tensor] | None,
    *,
    frontend: FrontEndConfig | None = None,
    layers: Sequence[str] | None = None,
) -> PictureBackbone:
    """A classifier of torchvision with these weights, as they are published."""
    import torchvision

    weights = torchvision.models.get_model_weights(variant).DEFAULT
    preset = weights.transforms()
    network = torchvision.models.get_model(variant, weights=None)
    if state is not None:
        load_exactly(network, state, variant)
    return PictureBackbone(
        f"torchvision:{variant}",
        network,
        size=drop_classifier(network, variant),
        image_size=preset.crop_size[0],
        mean=average(preset.mean),
        deviation=average(preset.std),
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
