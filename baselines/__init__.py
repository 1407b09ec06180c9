"""Pretrained baselines: published networks as backbones, and features made by hand."""

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from baselines.base import Backbone
    from baselines.catalogue import Entry

_MODULES = (
    "musicnn",
    "yamnet",
    "jamendo",
    "timm_models",
    "torchvision_models",
    "vibenet",
    "vggish",
    "panns",
    "efficientat",
    "ast",
    "speech",
    "clap",
    "handcrafted_backbone",
)


@functools.cache
def _load_all() -> None:
    for module in _MODULES:
        importlib.import_module(f"baselines.{module}")


def backbones() -> "dict[str, Entry]":
    """The table of pretrained backbones, by name."""
    from baselines.catalogue import entries

    _load_all()
    return entries()


def build_backbone(
    name: str,
    weights_dir: "Path | None" = None,
    *,
    offline: bool = False,
    layers: "Sequence[str] | None" = None,
) -> "Backbone":
    """A backbone with its published weights, "musicnn-msd" or "timm:resnet18".

    Args:
        weights_dir: where to look first, and where to put what is downloaded.
        offline: never use the network.
        layers: those that `embed` joins; the backbone's own choice if None.

    Raises:
        MelodaiError: the name is unknown, or its weights or a package cannot be had; the message
            says what to do.
    """
    from baselines.catalogue import find_entry

    _load_all()
    entry, options = find_entry(name)
    return entry.build(weights_dir, offline=offline, layers=layers, **options)


def register() -> None:
    """Enters the baselines into melodai's registry, which calls this on its first look-up."""
    from baselines.registration import register_backbones

    register_backbones()
