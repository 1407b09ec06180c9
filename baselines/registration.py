"""Backbones as architectures of melodai: `melodai-train --arch yamnet`, `--arch timm:resnet18`."""

import functools
from pathlib import Path

from baselines.base import Backbone
from baselines.catalogue import Entry
from baselines.clap import Clap
from baselines.mood_model import mood_model
from baselines.tag_moods import PROMPTS, TAG_MOODS
from melodai.config import FrontEndConfig
from melodai.models.base import MoodModel
from melodai.models.registry import PRETRAINED_PICTURES, PRETRAINED_SOUND, register_model

# What is usual for the tags of a network, see `melodai.zero_shot`.
ZERO_SHOT = Path(__file__).parent / "zero_shot"
SUMMARIES = {
    "timm:": "any image model of timm, from its published weights",
    "torchvision:": "any classifier of photographs of torchvision, likewise",
}


def build_mood_model(
    entry: Entry,
    *,
    moods: tuple[str, ...],
    frontend: FrontEndConfig,
    dropout: float | None,
    variant: str | None = None,
    layers: str | None = None,
    weights_dir: Path | None = None,
    offline: bool = False,
    with_weights: bool = True,
) -> MoodModel:
    """A backbone as a model, untrained on moods.

    Args:
        layers: names joined by +.
        with_weights: False makes the network alone, for weights that a checkpoint brings.

    Raises:
        MelodaiError: weights or a package cannot be had, or there is no such layer.
    """
    options = {"layers": layers.split("+") if layers else None}
    if variant is not None:
        options |= {"variant": variant, "frontend": frontend}
    if with_weights or entry.skeleton is None:
        backbone: Backbone = entry.build(weights_dir, offline=offline, **options)
    else:
        backbone = entry.skeleton(**options).eval()
    if isinstance(backbone, Clap):
        backbone.set_prompts({PROMPTS[mood]: PROMPTS[mood] for mood in moods if mood in PROMPTS})
    return mood_model(backbone, moods, dropout)


def register_backbones() -> None:
    """Enters all of them into melodai's registry."""
    from baselines import backbones

    for name, entry in backbones().items():
        kind = PRETRAINED_PICTURES if name in SUMMARIES else PRETRAINED_SOUND
        summary = SUMMARIES.get(name) or entry.about.summary()
        register_model(
            name, summary=summary, details=entry.about.details(), kind=kind,
            licence=entry.about.licence, heard=entry.about.heard, tag_moods=TAG_MOODS.get(name),
            zero_shot=usual if (usual := ZERO_SHOT / f"{name}.safetensors").is_file() else None,
        )(functools.partial(build_mood_model, entry))  # fmt: skip
