"""Backbones as architectures of melodai: `melodai-train --arch timm:tf_efficientnet_lite0`.

So far the networks for pictures: they take melodai's own log-mel, with all of its augmentation, and
are trained as a whole from their published weights. The others are used from Python
(`baselines.build_backbone`).
"""

import functools
from collections.abc import Callable

from torch import Tensor, nn

from baselines.pictures import PictureBackbone
from melodai.config import FrontEndConfig
from melodai.models.base import Encoder, MoodModel
from melodai.models.registry import register_model

FAMILIES = {
    "timm:": "any image model of timm, from its published weights",
    "torchvision:": "any classifier of photographs of torchvision, likewise",
}
CLASSIFIER_DROPOUT = 0.2


class PictureEncoder(Encoder):
    """A pretrained network for pictures and a new linear layer.

    Shape: `(batch, 1, height, width)` -> `(batch, class)`.
    """

    def __init__(self, backbone: PictureBackbone, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.network, self.num_channels = backbone.network, backbone.num_channels
        self.scale, self.shift = backbone.scale, backbone.shift
        self.embedding_size = backbone.embedding_size
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.embedding_size, num_classes)
        )

    def embed(self, features: Tensor) -> Tensor:
        x = features * self.scale + self.shift
        return self.network(x.expand(-1, self.num_channels, -1, -1))


def build_picture_model(
    load: Callable[..., PictureBackbone],
    *,
    moods: tuple[str, ...],
    frontend: FrontEndConfig,
    dropout: float | None,
    variant: str,
) -> MoodModel:
    """The network on melodai's log-mel, at the picture size that it was trained on.

    Args:
        load: gives the backbone of a variant with its weights.
    """
    backbone = load(variant=variant, frontend=frontend)
    dropout = CLASSIFIER_DROPOUT if dropout is None else dropout
    return MoodModel(
        frontend=backbone.log_mel,
        encoder=PictureEncoder(backbone, len(moods), dropout),
        moods=moods,
        sample_rate=backbone.sample_rate,
    )


def register_families() -> None:
    """Enters the families of picture networks into melodai's registry."""
    from baselines import backbones

    table = backbones()
    for name, summary in FAMILIES.items():
        build = functools.partial(build_picture_model, table[name].build)
        register_model(name, summary=summary, details=table[name].about.details())(build)
