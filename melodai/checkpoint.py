"""Checkpoints: a kill at any moment leaves a whole file, and loading one never runs code."""

import pickle
from pathlib import Path
from typing import Any

import torch

from melodai.config import Config
from melodai.errors import CheckpointError
from melodai.files import replace_file
from melodai.models import MoodModel, build_model
from melodai.models.heads import ProbeHead
from melodai.models.registry import PretrainedOptions

FORMAT = 1
BEST, LAST = "best.pt", "last.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Saves tensors and plain values with a format number."""

    def write(file: Any) -> None:
        try:
            torch.save({"format": FORMAT, **state}, file)
        except RuntimeError as error:
            # torch's zip writer reports a full disk as a RuntimeError of its own.
            if "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error):
                raise OSError(None, "the disk is full or the file cannot grow") from error
            raise

    replace_file(path, write)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Loads what `save_checkpoint` wrote, to the CPU, without unpickling code.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, of another format.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no {path}; give a run folder that holds {path.name}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, pickle.UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is not a checkpoint of melodai: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of melodai, format {FORMAT}")
    return state


def model_state(model: MoodModel, arch: str, config: Config) -> dict[str, Any]:
    """All that is needed to build the model again: settings, moods, weights."""
    return {
        "arch": arch,
        "moods": list(model.moods),
        "config": config.to_json(),
        "encoder": model.encoder.state_dict(),
    }


def load_model(path: Path | str) -> MoodModel:
    """The model of a run folder (its best checkpoint) or of a checkpoint file, ready to evaluate.

    Raises:
        CheckpointError: see `load_checkpoint`; or the weights do not fit the architecture.
    """
    path = Path(path)
    path = path / BEST if path.is_dir() else path
    return restore_model(load_checkpoint(path), path)


def restore_model(state: dict[str, Any], path: Path) -> MoodModel:
    """The model that `model_state` described, ready to evaluate.

    Args:
        path: where the state comes from, for the message.

    Raises:
        CheckpointError: the weights do not fit the architecture.
    """
    config = Config.from_json(state["config"])
    model = build_model(
        state["arch"], state["moods"], frontend=config.frontend, dropout=config.model.dropout,
        pooling=config.model.pooling, pretrained=PretrainedOptions(
            layers=config.model.layers_read, weights_dir=config.run.weights_dir, with_weights=False
        ),
    )  # fmt: skip
    head = ProbeHead.of_state(state["encoder"])
    if head is not None:
        model.encoder.classifier = head
    try:
        model.encoder.load_state_dict(state["encoder"])
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {path} do not fit {state['arch']}") from error
    return model.eval()
