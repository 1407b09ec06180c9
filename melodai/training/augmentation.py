"""The same augmentation for every front end, as far as it goes with it."""

import dataclasses
from typing import Any

from torch import Tensor, nn

from melodai.config import AugmentConfig, Config
from melodai.models.base import MoodModel
from melodai.transforms.augment import Augment
from melodai.transforms.pixels import Pixels


def settings_for(model: MoodModel, config: Config) -> AugmentConfig:
    """Pitch and tempo are changed within melodai's own log-mel; other front ends have none."""
    if getattr(model.frontend, "moves_pitch", True):
        return config.augment
    return dataclasses.replace(config.augment, pitch_semitones=0.0, tempo=0.0)


def augment_for(model: MoodModel, config: Config) -> Augment:
    """Augmentation at the sample rate of the model."""
    frontend = config.frontend
    if isinstance(model.frontend, Pixels):  # whose sample rate is none, and whose sound is past
        return Augment.from_config(config.augment, frontend)
    if frontend.sample_rate != model.sample_rate:
        frontend = dataclasses.replace(
            frontend, sample_rate=model.sample_rate,
            f_max=min(frontend.f_max, model.sample_rate / 2),
        )  # fmt: skip
    return Augment.from_config(settings_for(model, config), frontend)


def pictures_of(frontend: nn.Module, features: Any) -> Tensor | None:
    """Features as pictures `(batch, 1, height, width)`; None where they are no spectrograms."""
    if not hasattr(frontend, "to_pictures"):
        return features
    return frontend.to_pictures(features) if frontend.has_pictures else None


def augmented_image(augment: Augment, frontend: nn.Module, features: Any, draw: Any) -> Any:
    """Features after the transforms of pictures, where they are pictures or can be made such."""
    pictures = pictures_of(frontend, features)
    if pictures is None:
        return features
    changed = augment.image(pictures, draw)
    return changed if pictures is features else frontend.from_pictures(changed, features)
