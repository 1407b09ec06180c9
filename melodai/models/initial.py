"""Weights that melodai's own networks begin with: see `melodai-pretrain`."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from melodai.config import FrontEndConfig
from melodai.errors import CheckpointError, SettingError
from melodai.models.base import MoodModel, OwnEncoder
from melodai.presets import PRETRAINED, RANDOM, shipped_weights

WEIGHTS = "pretrained.safetensors"
HEAD = ("classifier.", "embedding.")
# Of the front end, what the weights depend on; the picture may be larger than they learned on.
FRONT_END = ("sample_rate", "n_fft", "hop_length", "n_mels", "f_min", "f_max")


def load_initial(model: MoodModel, arch: str, frontend: FrontEndConfig, init: str) -> None:
    """Lays pretrained feature maps under a new head; the head stays as it is.

    Args:
        init: "random" changes nothing, "pretrained" takes the weights of the package where it has
            some; else a run folder of `melodai-pretrain`, or a file of it.

    Raises:
        SettingError: the network or its front end is another than the weights'.
        CheckpointError: there are no such weights, or they are damaged.
    """
    path = shipped_weights(arch) if init == PRETRAINED else None if init == RANDOM else Path(init)
    if path is None:
        return
    if not isinstance(model.encoder, OwnEncoder):
        raise SettingError(f"--init {init} is for melodai's own networks; {arch} is not one")
    about, state = read_weights(path / WEIGHTS if path.is_dir() else path)
    if about["arch"] != arch:
        raise SettingError(f"--init {init} holds weights of {about['arch']}, not of {arch}")
    settings = about["frontend"]
    if wrong := [name for name in FRONT_END if getattr(frontend, name) != settings[name]]:
        options = ", ".join(f"--{name.replace('_', '-')} {settings[name]}" for name in wrong)
        raise SettingError(f"--init {init} learned with {options}; use that, or --init random")
    own = model.encoder.state_dict()
    head = {name: value for name, value in own.items() if name.startswith(HEAD)}
    try:
        model.encoder.load_state_dict({**state, **head})
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {path} do not fit {arch}") from error
    model.encoder.is_pretrained = True
    for module in model.encoder.classifier.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            # Feature maps that stay have one mean and deviation, which few batches tell best
            # when all of them count; a moving average would still hold its arbitrary start.
            module.momentum = None


def read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file of weights says of itself, and the weights, in float32.

    Raises:
        CheckpointError: no such file, damaged, or not of `melodai-pretrain`.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["melodai"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} holds no weights of melodai-pretrain: {error}") from error
    floats = {name: value.float() for name, value in state.items() if value.is_floating_point()}
    return about, {**state, **floats}


def initial_state(model: MoodModel) -> dict[str, Tensor]:
    """The feature maps' weights alone, in half precision."""
    return {
        name: value.to(torch.half if value.is_floating_point() else value.dtype).contiguous().cpu()
        for name, value in model.encoder.state_dict().items()
        if not name.startswith(HEAD)
    }
