"""A run's best model as a folder: what `melodai.bundle.load_bundle` reads, and a model card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from melodai.bundle import (
    CHECKSUM,
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    ModelBundle,
    checksum,
    description_checksum,
)
from melodai.errors import SettingError
from melodai.export.card import model_card
from melodai.export.folder import without_paths, write_folder
from melodai.models.graph import GraphModel
from melodai.references import FILE_NAME

CARD, ONNX = "README.md", "model.onnx"


def export_model(
    bundle: ModelBundle,
    out: Path,
    *,
    with_onnx: bool = True,
    ceiling: Mapping[str, Any] | None = None,
    licence: str | None = None,
) -> list[Path]:
    """Writes the folder and returns its files.

    Args:
        with_onnx: also the model as ONNX, which needs the packages of the extra `export`.
        ceiling: what `melodai-ceiling --json` wrote, to stand beside the scores; or None.
        licence: of the songs that the model learned from; None where melodai knows it.

    Raises:
        SettingError: there is such a folder already, or the model cannot be expressed in ONNX.
        CheckpointError: the disk is full or the place cannot be written to.
        DependencyError: a package that ONNX needs is missing.
    """

    if isinstance(bundle.model, GraphModel):
        raise SettingError(f"{bundle.source} is an exported model already; export its run folder")

    def fill(folder: Path) -> None:
        (folder / WEIGHTS).write_bytes(weights_of(bundle.model.encoder))
        if bundle.references is not None:
            bundle.references.save(folder / FILE_NAME)
        if with_onnx:
            from melodai.export.onnx import export_onnx

            export_onnx(bundle, folder / ONNX)
        card = model_card(bundle, ceiling, licence=licence, has_onnx=with_onnx)
        (folder / CARD).write_text(card, encoding="utf-8")
        files = {path.name: checksum(path.read_bytes()) for path in sorted(folder.iterdir())}
        said = describe(bundle, files)
        text = json.dumps({**said, CHECKSUM: description_checksum(said)}, indent=2) + "\n"
        (folder / DESCRIPTION).write_text(text, encoding="utf-8")

    write_folder(out, fill)
    return sorted(out.iterdir())


def describe(bundle: ModelBundle, files: Mapping[str, str]) -> dict[str, Any]:
    """What `model.json` says.

    Args:
        files: sha256 of each other file.
    """
    return {
        "format": FORMAT,
        "about": bundle.about,
        "moods": list(bundle.model.moods),
        "sample_rate": bundle.model.sample_rate,
        "segment_seconds": bundle.segment_seconds,
        "pooling": bundle.pooling,
        "temperature": bundle.temperature,
        "segment_temperature": bundle.segment_temperature,
        "is_calibrated": bundle.is_calibrated,
        "embedding_size": bundle.model.encoder.embedding_size,
        "num_parameters": bundle.model.num_parameters(),
        "scores": bundle.scores,
        "config": without_paths(json.loads(bundle.config.to_json())),
        "files": dict(files),
    }


def weights_of(network: nn.Module) -> bytes:
    """A network's weights as the content of a safetensors file."""
    # Copies, for safetensors refuses tensors that share memory or are not contiguous.
    return save({name: value.contiguous().clone() for name, value in network.state_dict().items()})
