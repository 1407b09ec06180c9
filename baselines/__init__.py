"""Pretrained baselines: published networks as backbones, and features made by hand."""

import functools
import importlib

_MODULES = (
    "musicnn",
    "yamnet",
    "jamendo",
    "pictures",
    "vibenet",
    "vggish",
    "panns",
    "efficientat",
    "ast",
    "speech",
    "clap",
)


@functools.cache
def _load_all() -> None:
    for module in _MODULES:
        importlib.import_module(f"baselines.{module}")


def backbones():
    """The table of pretrained backbones: name -> `catalogue.Entry`."""
    from baselines.catalogue import entries

    _load_all()
    return entries()


def register() -> None:
    """Registers every baseline; called by the registry on its first look-up."""
